"""The search itself: trials side by side, each through its folds one after the other, in processes of their own."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ncdcli.errors import MissingError, NcdError, RecipeError
from ncdcli.pipeline.signals import StopSignals
from ncdcli.pipeline.spec import BY_NAME
from ncdcli.recipe.resolve import load_recipe
from ncdcli.reports.scores import numbers_by_path
from ncdcli.run.folder import RunFolder
from ncdcli.sweep.children import End
from ncdcli.sweep.execute import LOOK_SECONDS, PATIENCE_SECONDS, Process
from ncdcli.sweep.schedule import Scheduled, must_wait, stage_keys
from ncdcli.tune.folds import Fold, score_path
from ncdcli.tune.load import Search
from ncdcli.tune.trials import FoldScore, Study, Trial

LAST_STAGE = "evaluate"
STOPPED = (130, 143, 129, -signal.SIGTERM, -signal.SIGINT)
MISSING = MissingError.exit_code
MOST_ALIKE = 5  # failures in a row, for one reason: it is no trial's fault


@dataclass
class _Active:
    """A trial that goes on."""

    trial: Trial
    runs: list[tuple[Scheduled, tuple[str, ...]]]  # of each fold: the run, and the words that `ncd run` is given
    process: Process | None = None

    @property
    def next(self) -> tuple[Scheduled, tuple[str, ...]]:
        """The fold that is computed, or comes next."""
        return self.runs[len(self.trial.folds)]


@dataclass
class Runner:
    """Takes trials until there are as many as wanted, or time is up; those that were begun end first."""

    search: Search
    study: Study
    folds: Sequence[Fold]
    known: int  # classes
    start: Callable[[Sequence[str]], Process]
    tell: Callable[[Trial], None]  # called at the end of each trial
    stop: StopSignals
    jobs: int = 1
    deadline: float | None = None  # by `time.monotonic`; no trial is begun after it
    active: list[_Active] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)  # why the last processes failed, where all did for one reason

    def run(self) -> None:
        """Run the search. NcdError where something is missing or wrong that every trial would meet."""
        waiting = [trial.number for trial in self.study.trials() if trial.state == "running"]
        try:
            while not self.stop.requested():
                self._begin_some(waiting)
                if not self.active:
                    return
                self._start_some()
                time.sleep(LOOK_SECONDS)
                self._collect()
            self._stop_running()
        finally:
            for active in self.active:  # only after a second Ctrl-C, or an error
                if active.process is not None:
                    active.process.kill()

    def _begin_some(self, waiting: list[int]) -> None:
        while len(self.active) < self.jobs and not self.stop.requested():
            if waiting:
                self._begin(self.study.resume(waiting.pop(0)))
            elif len(self.study.trials()) < self.search.tune.trials and not self._late():
                self._begin(self.study.begin())
            else:
                return

    def _late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _begin(self, trial: Trial) -> None:
        """Take a trial up, or end it at once: its values do not go together, or were tried before."""
        twin = next((t for t in self.study.trials() if t.state == "done" and t.point == trial.point), None)
        if twin is not None and not trial.folds:
            self.tell(self.study.copy(trial.number, twin))
            return
        try:
            runs = [self._scheduled(trial, fold) for fold in self.folds]
        except RecipeError as error:
            problem = error.problems[0] if error.problems else error
            self.tell(self.study.end(trial.number, "failed", message=problem.message))
            return
        active = _Active(self.study.report(trial.number), runs)
        self.active.append(active)
        if trial.folds:  # an earlier process got so far
            self._judge(active)

    def _scheduled(self, trial: Trial, fold: Fold) -> tuple[Scheduled, tuple[str, ...]]:
        overrides = self.search.fold_words(trial.point, fold, known=self.known)
        recipe = load_recipe(self.search.reference, overrides).recipe
        folder = RunFolder(self.search.folder(trial.number, fold))
        sets = [word for override in overrides for word in ("--set", override)]
        words = ("run", self.search.reference, *sets, "--run", str(folder.path), "--until", LAST_STAGE)
        return Scheduled(folder.path.name, folder, stage_keys(recipe)), words

    def _start_some(self) -> None:
        for active in self.active:
            running = [other.next[0] for other in self.active if other.process is not None]
            scheduled, words = active.next
            if active.process is None and not must_wait(scheduled, running):
                active.process = self.start(words)

    def _collect(self) -> None:
        for active in list(self.active):
            end = active.process.end() if active.process is not None else None
            if end is None:
                continue
            active.process = None
            if end.code == 0:
                self._score(active)
            elif end.code in STOPPED and self.stop.requested():
                self.active.remove(active)  # the trial goes on with the next command
            elif end.code == MISSING:
                raise _missing(end)
            else:
                self._fail(active, end.message or f"ended with exit code {end.code}")

    def _score(self, active: _Active) -> None:
        scheduled, _ = active.next
        found = read_fold(scheduled.folder.path, score_path(self.search.recipe, self.search.tune))
        if found is None:
            self._fail(active, "the hidden classes have no score")
            return
        self.alike = []
        active.trial = self.study.note_fold(active.trial.number, found)
        self._judge(active)

    def _judge(self, active: _Active) -> None:
        """End the trial where it is through all folds, or hopeless."""
        number, done = active.trial.number, len(active.trial.folds)
        if done < len(self.folds) and not self.study.hopeless(number):
            return
        self.active.remove(active)
        self.tell(self.study.end(number, "done" if done == len(self.folds) else "pruned"))

    def _fail(self, active: _Active, message: str) -> None:
        self.active.remove(active)
        where = f"fold {len(active.trial.folds) + 1}: "
        self.tell(self.study.end(active.trial.number, "failed", message=where + message))
        self.alike = [*(self.alike if message in self.alike else []), message]
        if len(self.alike) >= MOST_ALIKE:
            hint = "see to it, and search anew with another `--root`"
            raise NcdError(f"{MOST_ALIKE} trials in a row failed alike: {message}", hint=hint)

    def _stop_running(self) -> None:
        """Let the running processes save their state, however long that takes; a second Ctrl-C hurries them."""
        number = self.stop.received or signal.SIGTERM
        self.active = [active for active in self.active if active.process is not None]
        for active in self.active:
            if active.process is not None:
                active.process.send(number)
        try:
            while self.active:
                time.sleep(LOOK_SECONDS)
                self._collect()
                self.active = [active for active in self.active if active.process is not None]
        except KeyboardInterrupt:
            deadline = time.monotonic() + PATIENCE_SECONDS
            for active in self.active:
                if active.process is not None:
                    active.process.send(signal.SIGINT)
                    active.process.end(timeout=max(0.0, deadline - time.monotonic()))


def read_fold(folder: Path, path: str) -> FoldScore | None:
    """What a run of a fold came to; None where the score is not defined."""
    metrics = json.loads((folder / "evaluate/metrics.json").read_text("utf-8"))
    score = numbers_by_path(metrics).get(path)
    if score is None or score != score:
        return None
    k = metrics.get("k") or {}
    manifests = [RunFolder(folder).manifest(stage) for stage in BY_NAME]
    seconds = sum(manifest.seconds for manifest in manifests if manifest is not None)
    return FoldScore(score, k.get("estimated"), k.get("true"), round(seconds, 3))


def _missing(end: End) -> NcdError:
    error = MissingError(end.message, hint=end.hint)
    error.log = Path(end.log) if end.log else None
    return error

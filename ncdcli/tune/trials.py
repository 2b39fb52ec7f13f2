"""Trials as the search sees them, and the Optuna study that keeps them on the disk and suggests the next ones."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ncdcli.recipe.schema import Recipe
from ncdcli.recipe.tree import Node
from ncdcli.run.files import write_atomic
from ncdcli.sweep.load import text_of
from ncdcli.tune.section import TuneConfig
from ncdcli.tune.space import Parameter, Point, draw, own_point

if TYPE_CHECKING:
    import optuna

State = Literal["done", "pruned", "failed", "running"]
NAME = "ncd"  # of the study in its storage
FOLDS, MESSAGE, ORIGIN = "folds", "message", "origin"  # what is noted beside a trial
SAME_AS = "same_as"


@dataclass(frozen=True)
class FoldScore:
    """What one fold of a trial came to."""

    score: float
    k: int | None  # estimated, or given
    true_k: int | None
    seconds: float


@dataclass(frozen=True)
class Trial:
    """One point of the space, and what it came to so far."""

    number: int
    state: State
    point: Point
    folds: tuple[FoldScore, ...] = ()
    message: str = ""  # why it failed
    origin: str = "drawn"  # "recipe": the recipe's own values; "drawn"
    same_as: int | None = None  # an earlier trial of the same point, whose scores it has

    @property
    def score(self) -> float | None:
        """Mean over the folds that are done."""
        return statistics.fmean(fold.score for fold in self.folds) if self.folds else None

    @property
    def sd(self) -> float | None:
        """Standard deviation (n − 1) over the folds."""
        return statistics.stdev(fold.score for fold in self.folds) if len(self.folds) > 1 else None


class Study:
    """An Optuna study in a journal file, with this process as its only writer (the search holds a lock).

    The journal is a line for each change, synced to the disk: a killed process loses the one it was writing at most,
    which is cut off when the file is opened again. Every trial is suggested by a sampler of its own seed, so that a
    search that was interrupted goes on as it would have.
    """

    def __init__(self, journal: Path, tree: Node, tune: TuneConfig, *, seed: int, jobs: int = 1) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        _cut_half_written(journal)
        self._tree, self._tune, self._seed, self._jobs = tree, tune, seed, jobs
        lock: Any = _NoLock()
        storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))
        median = optuna.pruners.MedianPruner(n_startup_trials=5)
        pruner: Any = median if tune.pruner == "median" else optuna.pruners.NopPruner()
        if journal.stat().st_size:
            self._study = optuna.load_study(study_name=NAME, storage=storage, pruner=pruner)
        else:
            self._study = optuna.create_study(study_name=NAME, storage=storage, pruner=pruner, direction="maximize")

    def trials(self) -> list[Trial]:
        """All trials that were begun, in their order."""
        return [
            self._read(frozen) for frozen in self._study.get_trials(deepcopy=False) if frozen.state.name != "WAITING"
        ]

    def begin(self) -> Trial:
        """The next trial: the recipe's own values first, where the space holds them, then what the sampler suggests."""
        if not self._study.get_trials(deepcopy=False):
            own = own_point(self._tree, self._tune.space, Recipe)
            if own is not None:
                self._study.enqueue_trial(self._as_params(own), user_attrs={ORIGIN: "recipe"})
        frozen = self._study.get_trials(deepcopy=False)
        waiting = [trial.number for trial in frozen if trial.state.name == "WAITING"]
        self._study.sampler = self._sampler(waiting[0] if waiting else len(frozen))
        trial = self._study.ask()
        self._draw(trial)
        return self.read(trial.number)

    def resume(self, number: int) -> Trial:
        """A trial that an earlier process began, with its point complete."""
        self._study.sampler = self._sampler(number)
        self._draw(self._trial(number))
        return self.read(number)

    def read(self, number: int) -> Trial:
        """A trial as it stands."""
        return self._read(self._study.get_trials(deepcopy=False)[number])

    def note_fold(self, number: int, fold: FoldScore) -> Trial:
        """Add a fold's score to a trial, and tell the pruner the mean so far."""
        folds = [*self.read(number).folds, fold]
        trial = self._trial(number)
        trial.set_user_attr(FOLDS, [vars(each) for each in folds])
        return self.report(number)

    def report(self, number: int) -> Trial:
        """Tell the pruner the means that it does not know yet."""
        trial, found = self._trial(number), self.read(number)
        known = self._study.get_trials(deepcopy=False)[number].intermediate_values
        for step in range(1, len(found.folds) + 1):
            if step not in known:
                trial.report(statistics.fmean(fold.score for fold in found.folds[:step]), step)
        return found

    def hopeless(self, number: int) -> bool:
        """Whether the pruner gives the trial up."""
        return bool(self._trial(number).should_prune())

    def end(self, number: int, state: Literal["done", "pruned", "failed"], *, message: str = "") -> Trial:
        """End a trial: `done` with the mean of its folds, `failed` with why."""
        from optuna.trial import TrialState

        trial = self._trial(number)
        if message:
            trial.set_user_attr(MESSAGE, message)
        states = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        value = self.read(number).score if state == "done" else None
        self._study.tell(number, value, state=states[state])
        return self.read(number)

    def copy(self, number: int, other: Trial) -> Trial:
        """End a trial with the scores of another one of the same point."""
        trial = self._trial(number)
        trial.set_user_attr(SAME_AS, other.number)
        trial.set_user_attr(FOLDS, [vars(fold) for fold in other.folds])
        self.report(number)
        return self.end(number, "done")

    def importance(self) -> dict[str, float]:
        """Field -> share of the scores' variance that it explains (fANOVA); empty with fewer than 10 trials done."""
        import optuna

        done = [trial for trial in self.trials() if trial.state == "done" and trial.same_as is None]
        if len(done) < 10 or len({trial.score for trial in done}) < 2:
            return {}
        fields = [field for field in done[0].point if all(field in trial.point for trial in done)]
        if len(fields) < 2:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        found = optuna.importance.get_param_importances(self._study, evaluator=evaluator, params=fields)
        return {field: float(share) for field, share in found.items()}

    def _sampler(self, number: int) -> Any:
        import optuna

        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        if self._tune.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `constant_liar` is marked experimental
            return optuna.samplers.TPESampler(seed=seed, constant_liar=self._jobs > 1)

    def _trial(self, number: int) -> optuna.Trial:
        import optuna

        return optuna.Trial(self._study, self._study.get_trials(deepcopy=False)[number]._trial_id)

    def _draw(self, trial: optuna.Trial) -> Point:
        return draw(self._tree, self._tune.space, lambda parameter: _suggest(trial, parameter), Recipe)

    def _as_params(self, point: Point) -> dict[str, Any]:
        """A point as Optuna keeps it: choices in words."""
        return {
            field: value if hasattr(self._tune.space[field], "low") else text_of(value)
            for field, value in point.items()
        }

    def _as_point(self, params: dict[str, Any]) -> Point:
        point: Point = {}
        for field, value in params.items():
            spec = self._tune.space[field]
            point[field] = value if hasattr(spec, "low") else next(v for v in spec if text_of(v) == value)
        return point

    def _read(self, frozen: optuna.trial.FrozenTrial) -> Trial:
        states: dict[str, State] = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "failed"}
        notes = frozen.user_attrs
        return Trial(
            number=frozen.number,
            state=states.get(frozen.state.name, "running"),
            point=self._as_point(frozen.params),
            folds=tuple(FoldScore(**fold) for fold in notes.get(FOLDS, ())),
            message=notes.get(MESSAGE, ""),
            origin=notes.get(ORIGIN, "drawn"),
            same_as=notes.get(SAME_AS),
        )


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest mean of those that went through all folds; of equals the first."""
    done = [
        (trial.score, -trial.number, trial) for trial in trials if trial.state == "done" and trial.score is not None
    ]
    return max(done, key=lambda entry: entry[:2])[2] if done else None


def _suggest(trial: optuna.Trial, parameter: Parameter) -> Any:
    """The value that a trial has for the field, drawn where it has none yet."""
    name, low, high, log, step = parameter.field, parameter.low, parameter.high, parameter.log, parameter.step
    if parameter.values:
        return parameter.values[parameter.texts.index(trial.suggest_categorical(name, parameter.texts))]
    if parameter.whole:
        return trial.suggest_int(name, int(low), int(high), log=log, step=1 if step is None else int(step))
    return trial.suggest_float(name, low, high, log=log, step=step)


def _cut_half_written(journal: Path) -> None:
    """Drop a last line without its end: what a killed process was writing. Optuna would add the next line to it."""
    content = journal.read_bytes() if journal.is_file() else b""
    if content and not content.endswith(b"\n"):
        write_atomic(journal, content[: content.rfind(b"\n") + 1])


class _NoLock:
    """A lock that locks nothing: Optuna's own is a link, which a killed process leaves behind for half a minute."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None

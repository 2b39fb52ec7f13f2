"""A search on the digits, and processes that only seem to run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ncdcli.pipeline.signals import StopSignals
from ncdcli.sweep.children import End
from ncdcli.tune import run
from ncdcli.tune.folds import Fold
from ncdcli.tune.load import Search
from ncdcli.tune.record import Record
from ncdcli.tune.trials import Study, Trial

RECIPE = """\
version: 1
name: tiny
data: {{card: digits, known_classes: 6}}
backbone: {{kind: identity}}
pretrain: {{objective: {{kind: none}}}}
estimate_k: {{kind: fixed, k: 10}}
cluster: {{kind: semi_kmeans, restarts: 5}}
tune:
  folds: 2
  trials: {trials}
  sampler: {sampler}
  pruner: {pruner}
  space: {{{space}}}
"""
SPACE = "cluster.restarts: {low: 1, high: 1000}, cluster.tolerance: {low: 0, high: 1}"
RECORD = Record(tuple("012345"), (Fold(1, ("0", "1")), Fold(2, ("2", "3"))))


def open_study(search: Search, *, seed: int = 0) -> Study:
    """The study in the folder of a search."""
    return Study(search.root / "study.log", search.tree(), search.tune, seed=seed)


class FakeProcess:
    """Ends with a code after some looks; a run that is done has scores."""

    def __init__(self, words: Sequence[str], outcome: Any, looks: int = 1) -> None:
        self.folder = Path(words[words.index("--run") + 1])
        self.outcome, self.looks = outcome, looks
        self.signals: list[int] = []
        self.killed = False

    def end(self, *, timeout: float | None = 0) -> End | None:
        self.looks -= 1
        if self.signals:
            return End(143)
        if self.looks > 0:
            return None
        if isinstance(self.outcome, End):
            return self.outcome
        (self.folder / "evaluate").mkdir(parents=True)
        metrics = {"ari": {"unlabelled": {"novel": self.outcome}}, "k": {"estimated": 6, "true": 6}}
        (self.folder / "evaluate/metrics.json").write_text(json.dumps(metrics))
        return End(0)

    def send(self, number: int) -> None:
        self.signals.append(number)

    def kill(self) -> None:
        self.killed = True


@dataclass
class Fake:
    """A search with a score for each trial and fold, in place of runs."""

    search: Search
    outcome: Callable[[int, int], Any]  # trial, fold -> score, None or an `End`
    jobs: int = 1
    looks: int = 1
    stop: StopSignals = field(default_factory=StopSignals)
    started: list[str] = field(default_factory=list)
    told: list[Trial] = field(default_factory=list)
    most: int = 0  # at a time
    runner: Any = None

    def start(self, words: Sequence[str]) -> FakeProcess:
        name = Path(words[words.index("--run") + 1]).name
        self.started.append(name)
        trial, _, fold = name.partition("-fold-")
        self.most = max(self.most, 1 + sum(active.process is not None for active in self.runner.active))
        return FakeProcess(words, self.outcome(int(trial), int(fold)), self.looks)

    def run(self, *, deadline: float | None = None) -> list[Trial]:
        """The trials, once the search is through."""
        study = open_study(self.search)
        self.runner = run.Runner(
            self.search, study, RECORD.folds, 6, start=self.start, tell=self.told.append, stop=self.stop,
            jobs=self.jobs, deadline=deadline,
        )  # fmt: skip
        self.runner.run()
        return study.trials()

"""The search: folds one after the other, pruning between them, failed trials, stopping and going on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from toytuning import RECORD, Fake, open_study

from ncdcli.errors import MissingError, NcdError
from ncdcli.sweep.children import End
from ncdcli.tune.load import Search
from ncdcli.tune.trials import Trial, best_of

Make = Callable[..., Search]


def score(trial: int, fold: int) -> float:
    return [0.5, 0.2, 0.8, 0.1, 0.4][trial % 5] + fold / 100


def states(trials: list[Trial]) -> list[str]:
    return [trial.state for trial in trials]


def test_every_trial_goes_through_its_folds_and_the_best_mean_wins(make_search: Make) -> None:
    fake = Fake(make_search(), score)
    trials = fake.run()
    assert fake.started == [f"{trial:04}-fold-{fold}" for trial in range(5) for fold in (1, 2)]
    assert [trial.score for trial in trials] == [pytest.approx(score(trial, 1) + 0.005) for trial in range(5)]
    assert states(trials) == ["done"] * 5 == states(fake.told)
    best = best_of(trials)
    assert best is not None
    assert best.number == 2
    assert trials[0].origin == "recipe"
    assert trials[0].point == {"cluster.restarts": 5, "cluster.tolerance": 1e-4}


def test_each_run_hides_the_classes_of_its_fold(make_search: Make) -> None:
    search = make_search()
    words = search.fold_words({"cluster.restarts": 7}, RECORD.folds[1], known=6)
    assert 'data.hide={classes: ["2", "3"]}' in words
    assert "cluster.restarts=7" in words
    assert "estimate_k={kind: fixed, k: 6}" in words


def test_trials_that_share_an_embedding_wait_for_it(make_search: Make) -> None:
    fake = Fake(make_search(), score, jobs=3, looks=4)
    assert states(fake.run()) == ["done"] * 5
    assert fake.most == 2  # one for each fold: which classes are hidden is all that tells embeddings apart


def test_trials_that_share_nothing_go_side_by_side(make_search: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncdcli.tune.run.must_wait", lambda run, running: False)
    fake = Fake(make_search(), score, jobs=3, looks=4)
    assert states(fake.run()) == ["done"] * 5
    assert fake.most == 3


def test_the_pruner_gives_up_what_is_below_the_median(make_search: Make) -> None:
    fake = Fake(make_search(trials=8, pruner="median"), lambda trial, fold: 0.1 if trial == 6 else 0.5 + trial / 100)
    trials = fake.run()
    assert states(trials) == ["done"] * 6 + ["pruned", "done"]  # five trials are never given up
    assert len(trials[6].folds) == 1
    assert "0006-fold-2" not in fake.started


def test_a_failure_ends_its_trial_and_not_the_search(make_search: Make) -> None:
    failures: dict[tuple[int, int], Any] = {(1, 2): End(1, "the loss is not finite"), (3, 1): None, (4, 1): End(-9)}
    fake = Fake(make_search(), lambda trial, fold: failures.get((trial, fold), 0.5))
    trials = fake.run()
    assert states(trials) == ["done", "failed", "done", "failed", "failed"]
    assert [trials[number].message for number in (1, 3, 4)] == [
        "fold 2: the loss is not finite",
        "fold 1: the hidden classes have no score",
        "fold 1: ended with exit code -9",
    ]


def test_values_that_do_not_go_together_fail_without_a_process(make_search: Make) -> None:
    space = "pretrain.epochs: [2, 50], pretrain.schedule.warmup_epochs: [0, 5]"
    sets = ("backbone={kind: small_cnn, widths: [4], dim: 4}", "pretrain.objective={kind: cross_entropy}")
    fake = Fake(make_search(trials=12, space=space, sets=sets), score)
    trials = fake.run()
    failed = [trial for trial in trials if trial.state == "failed"]
    assert {tuple(trial.point.values()) for trial in failed} == {(2, 5)}
    assert failed[0].message == "warm-up of 5 epochs is longer than training, 2"
    assert {tuple(trial.point.values()) for trial in trials if trial.state == "done"} == {(2, 0), (50, 0), (50, 5)}
    assert not [name for name in fake.started if trials[int(name[:4])].state == "failed"]


def test_failures_that_are_no_trials_fault_end_the_search(make_search: Make) -> None:
    def outcome(trial: int, fold: int) -> Any:
        return 0.5 if trial in (3, 7) else End(1, "the disk is full" if trial != 5 else "the loss is not finite")

    fake = Fake(make_search(trials=20), outcome)
    with pytest.raises(NcdError, match="5 trials in a row failed alike: the disk is full"):
        fake.run()
    assert len(fake.told) == 13  # 8 to 12 are five in a row


def test_what_every_trial_would_miss_ends_the_search(make_search: Make) -> None:
    fake = Fake(make_search(), lambda trial, fold: End(4, "needs the package `igraph`", "pip install igraph"))
    with pytest.raises(MissingError, match="igraph") as caught:
        fake.run()
    assert caught.value.hint == "pip install igraph"
    assert fake.started == ["0000-fold-1"]


def test_a_point_that_was_tried_is_not_tried_again(make_search: Make) -> None:
    fake = Fake(make_search(trials=6, space="cluster.restarts: [4, 5]"), score)
    trials = fake.run()
    assert len(fake.started) == 4
    assert states(trials) == ["done"] * 6
    repeated = [trial for trial in trials if trial.same_as is not None]
    assert len(repeated) == 4
    assert all(trial.folds == trials[trial.same_as or 0].folds for trial in repeated)


def test_no_trial_begins_after_the_time_is_up(make_search: Make) -> None:
    assert Fake(make_search(), score).run(deadline=time.monotonic() - 1) == []


def test_a_search_goes_on_where_it_was_stopped(make_search: Make) -> None:
    whole = Fake(make_search(sampler="tpe", trials=14), score).run()
    for path in sorted((make_search().root).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    search = make_search(sampler="tpe", trials=14)

    class Stopping(Fake):
        def start(self, words: Any) -> Any:
            process = super().start(words)
            if process.folder.name == self.at:
                self.stop.received = signal.SIGINT
                process.looks = 10
            return process

        at = "0003-fold-2"

    stopped = Stopping(search, score)
    assert states(stopped.run()) == ["done"] * 3 + ["running"]
    again = Stopping(search, score)
    again.at = "0012-fold-1"
    assert states(again.run())[-1] == "running"
    assert again.started[0] == "0003-fold-2"  # its first fold is kept
    last = Fake(search, score)
    assert last.run() == whole
    assert Fake(search, score).run() == whole  # nothing is left to do


def test_a_trial_that_was_killed_before_it_was_judged_is_judged(make_search: Make) -> None:
    search = make_search(trials=2)
    Fake(make_search(trials=1), score).run()
    study = open_study(search)
    trial = study.begin()
    for _ in RECORD.folds:
        study.note_fold(trial.number, study.read(0).folds[0])
    fake = Fake(search, score)
    assert states(fake.run()) == ["done", "done"]
    assert fake.started == []


def test_a_signal_is_passed_on(make_search: Make) -> None:
    fake = Fake(make_search(), score, looks=50)
    processes = []
    start = fake.start

    def noted(words: Any) -> Any:
        processes.append(start(words))
        fake.stop.received = signal.SIGTERM
        return processes[-1]

    fake.start = noted  # type: ignore[method-assign]
    assert states(fake.run()) == ["running"]
    assert processes[0].signals == [signal.SIGTERM]

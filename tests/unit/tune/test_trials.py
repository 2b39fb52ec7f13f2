"""The study: what it keeps, what it suggests, and which trial is best."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from toytuning import open_study

from ncdcli.tune.load import Search
from ncdcli.tune.trials import FoldScore, Study, Trial, best_of

Make = Callable[..., Search]


def finish(study: Study, *scores: float, state: str = "done") -> Trial:
    """A trial with these scores of its folds."""
    number = study.begin().number
    for score in scores:
        study.note_fold(number, FoldScore(score, 6, 6, 1.0))
    return study.end(number, state)  # type: ignore[arg-type]


def test_a_study_is_what_it_was_when_it_is_opened_again(make_search: Make) -> None:
    search = make_search()
    study = open_study(search)
    finish(study, 0.5, 0.7)
    finish(study, 0.1, state="pruned")
    failed = study.begin()
    study.end(failed.number, "failed", message="the loss is not finite")
    study.note_fold(study.begin().number, FoldScore(0.3, None, 6, 2.0))
    again = open_study(search).trials()
    assert again == study.trials()
    assert [trial.state for trial in again] == ["done", "pruned", "failed", "running"]
    assert (again[0].score, again[0].sd) == (pytest.approx(0.6), pytest.approx(0.2**0.5 * 0.1**0.5))
    assert again[2].message == "the loss is not finite"
    assert again[3].folds == (FoldScore(0.3, None, 6, 2.0),)


def test_a_half_written_line_is_cut_off(make_search: Make) -> None:
    search = make_search()
    finish(open_study(search), 0.5, 0.7)
    journal = search.root / "study.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"wor')
    study = open_study(search)
    assert journal.read_bytes() == whole
    finish(study, 0.1, 0.2)
    assert len(open_study(search).trials()) == 2


def test_another_seed_draws_other_points_and_the_same_one_the_same(make_search: Make) -> None:
    search = make_search()
    points = []
    for seed in (0, 0, 1):
        (search.root / "study.log").unlink(missing_ok=True)
        study = open_study(search, seed=seed)
        points.append([finish(study, 0.5, 0.5).point for _ in range(4)])
    assert points[0] == points[1]
    assert points[0][0] == points[2][0]  # the recipe's own values
    assert points[0][1:] != points[2][1:]


def test_tpe_learns_where_the_score_is_high(make_search: Make) -> None:
    search = make_search(sampler="tpe", space="cluster.tolerance: {low: 0, high: 1}")
    study = open_study(search)
    for _ in range(40):
        trial = study.begin()
        score = -abs(trial.point["cluster.tolerance"] - 0.7)
        study.note_fold(trial.number, FoldScore(score, None, None, 0.0))
        study.end(trial.number, "done")
    late = [abs(trial.point["cluster.tolerance"] - 0.7) for trial in study.trials()[20:]]
    assert sum(late) / len(late) < 0.29 / 2  # half of that of even draws


def test_importance_tells_the_field_that_matters(make_search: Make) -> None:
    search = make_search()
    study = open_study(search)
    assert study.importance() == {}
    for _ in range(20):
        trial = study.begin()
        study.note_fold(trial.number, FoldScore(trial.point["cluster.tolerance"], None, None, 0.0))
        study.end(trial.number, "done")
    found = study.importance()
    assert list(found) == ["cluster.tolerance", "cluster.restarts"]
    assert found["cluster.tolerance"] > 0.8
    assert sum(found.values()) == pytest.approx(1)


def test_the_best_is_through_all_folds_and_of_equals_the_first() -> None:
    def trial(number: int, state: str, *scores: float) -> Trial:
        return Trial(number, state, {}, tuple(FoldScore(score, None, None, 0.0) for score in scores))  # type: ignore[arg-type]

    trials = [
        trial(0, "done", 0.2, 0.4),
        trial(1, "pruned", 0.9),
        trial(2, "done", 0.5, 0.5),
        trial(3, "done", 0.4, 0.6),
        trial(4, "failed"),
        trial(5, "running", 0.99),
    ]
    best = best_of(trials)
    assert best is not None
    assert best.number == 2
    assert best_of(trials[3:4] + trials[4:]) is trials[3]
    assert best_of([trials[1]]) is None


def test_a_best_score_below_zero_is_a_score() -> None:
    one, other = (Trial(n, "done", {}, (FoldScore(s, None, None, 0.0),)) for n, s in ((0, -0.2), (1, 0.0)))
    assert best_of([one, other]) is other

"""Published figures beside ours: units, tolerance, means over seeds, and that no stage depends on them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ncdcli.cli.requirements import raise_missed
from ncdcli.errors import RequirementError
from ncdcli.metrics import protocols
from ncdcli.pipeline.fingerprint import stage_config
from ncdcli.pipeline.spec import STAGES
from ncdcli.recipe.resolve import load_recipe
from ncdcli.recipe.schema import SCORES, Expected
from ncdcli.reports.expected import expected_table, judge

ALL = "gcd_v2.unlabelled.all"


@pytest.mark.parametrize(
    ("figure", "ours", "within"),
    [
        ({"mean": 62.4, "sd": 2.0}, 0.664, True),  # twice the sd, exactly
        ({"mean": 62.4, "sd": 2.0}, 0.665, False),
        ({"mean": 62.4, "sd": 2.0}, 0.583, False),  # too low is a miss, and so is too high
        ({"mean": 62.4, "sd": 2.0, "tolerance": 1}, 0.64, False),
        ({"mean": 62.4, "sd": 2.0, "tolerance": 0}, 0.624, True),
        ({"mean": 62.4, "sd": 2.0}, math.nan, False),
    ],
)
def test_scores_are_compared_in_percent(figure: dict[str, float], ours: float, within: bool) -> None:
    assert judge([Expected(metric=ALL, **figure)], {ALL: ours})[0].within is within  # type: ignore[arg-type]


def test_k_is_compared_as_it_is() -> None:
    figure = Expected(metric="k.estimated", mean=10, tolerance=1)
    assert [judge([figure], {"k.estimated": k})[0].within for k in (8.0, 9.0, 11.0)] == [False, True, True]


def test_a_score_that_is_not_there_is_a_miss_and_says_so() -> None:
    judged = judge([Expected(metric=ALL, mean=62.4, sd=2.0, source="a paper")], {})

    assert expected_table(judged)[1] == [[ALL, "–", "62.4 ± 2.0", "± 4.0", "no", "a paper"]]
    with pytest.raises(RequirementError, match=rf"{ALL} is not there, expected 62.4 within 4.0"):
        raise_missed([], judged)


def test_no_stage_that_computes_depends_on_what_is_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("extends: letter-pbn\nname: letter-pbn\n")
    with_figures, without = load_recipe("letter-pbn").recipe, load_recipe("mine.yaml").recipe

    assert with_figures.expected
    assert not without.expected  # a child may be another method
    assert [spec.name for spec in STAGES if "expected" in spec.sections] == ["report"]  # which shows it
    for spec in STAGES[:-1]:
        assert stage_config(with_figures, spec) == stage_config(without, spec), spec.name


def test_every_score_of_a_split_can_be_expected() -> None:
    text = Path(protocols.__file__).read_text("utf-8")
    assert all(f'"{name}"' in text for name in SCORES)

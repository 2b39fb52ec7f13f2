"""`--require`: reading bounds and holding scores against them."""

import math

import pytest

from ncdcli.cli.requirements import (
    Requirement,
    check_requirements,
    numbers_by_path,
    parse_requirement,
    raise_missed,
)
from ncdcli.errors import RequirementError, UsageError

METRICS = {
    "gcd_v2": {"unlabelled": {"all": 0.8, "known": 0.9, "novel": 0.7}},
    "k": {"estimated": 10, "true": None},
    "selection": "last",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gcd_v2.unlabelled.novel>=0.75", Requirement("gcd_v2.unlabelled.novel", ">=", 0.75)),
        ("k.estimated == 10", Requirement("k.estimated", "==", 10)),
        ("a<1e-3", Requirement("a", "<", 0.001)),
        ("a<=1", Requirement("a", "<=", 1)),
        (" a > -1 ", Requirement("a", ">", -1)),
    ],
)
def test_reads_score_operator_and_bound(text: str, expected: Requirement) -> None:
    assert parse_requirement(text) == expected


@pytest.mark.parametrize(
    "text", ["novel", "novel>=", ">=0.5", "novel=0.5", "novel>=high", "a>=1>=2", "a>=nan", "a>=inf"]
)
def test_refuses_what_is_not_a_bound(text: str) -> None:
    with pytest.raises(UsageError):
        parse_requirement(text)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("gcd_v2.unlabelled.novel>=0.7", True),
        ("gcd_v2.unlabelled.novel>0.7", False),
        ("gcd_v2.unlabelled.novel<=0.7", True),
        ("gcd_v2.unlabelled.novel<0.7", False),
        ("k.estimated==10", True),
        ("k.estimated==11", False),
        ("k.true>=0", False),  # unknown: no bound is met
    ],
)
def test_compares_value_and_bound(text: str, met: bool) -> None:
    (outcome,) = check_requirements([parse_requirement(text)], METRICS)
    assert outcome.met is met


def test_missed_bounds_are_all_named_with_their_values() -> None:
    required = [parse_requirement(f"gcd_v2.unlabelled.{subset}>=0.85") for subset in ("all", "known", "novel")]
    with pytest.raises(RequirementError) as caught:
        raise_missed(check_requirements(required, METRICS))
    assert caught.value.exit_code == 6
    assert caught.value.message == (
        "gcd_v2.unlabelled.all is 0.8, required >= 0.85; gcd_v2.unlabelled.novel is 0.7, required >= 0.85"
    )


def test_an_unknown_score_is_wrong_usage_and_the_names_are_given() -> None:
    with pytest.raises(UsageError) as caught:
        check_requirements([parse_requirement("gcd_v2.unlabeled.novel>=0.5")], METRICS)
    assert "did you mean `gcd_v2.unlabelled.novel`" in caught.value.message
    assert "gcd_v2.unlabelled.all" in caught.value.hint


def test_numbers_by_path_leaves_out_what_is_no_number() -> None:
    found = numbers_by_path(METRICS)
    assert set(found) == {
        "gcd_v2.unlabelled.all",
        "gcd_v2.unlabelled.known",
        "gcd_v2.unlabelled.novel",
        "k.estimated",
        "k.true",
    }
    assert math.isnan(found["k.true"])

"""What sets clusters of table rows apart."""

import numpy as np
import pandas as pd
import pytest

from ncdcli.data.sources import TableInputs
from ncdcli.reports.features import as_columns, column_text, distinguishing, feature_text, find_rules


def table(n=600):
    """Cluster 0: width above 5. Cluster 1: red, else blue. Cluster 2: the rest."""
    groups = np.arange(n) % 3
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "width": np.where(groups == 0, rng.normal(8, 1, n), rng.normal(2, 1, n)),
            "noise": rng.normal(size=n),
            "colour": pd.array(np.where(groups == 1, "red", "blue"), dtype="string"),
        }
    )
    return as_columns(TableInputs(frame, ("colour",))), groups


def test_the_greatest_difference_comes_first_in_standard_deviations():
    columns, groups = table()
    found = distinguishing(columns, groups, [0, 1, 2])
    first = found[0][0]
    values = columns.values[:, 0]
    here, rest = values[groups == 0], values[groups != 0]
    assert (first.column, first.category) == ("width", None)
    assert first.difference == pytest.approx((here.mean() - rest.mean()) / values.std())
    assert (first.here, first.elsewhere) == (pytest.approx(here.mean()), pytest.approx(rest.mean()))
    assert found[1][0].column == "colour"
    assert feature_text(found[1][0]) == "in 100 %, elsewhere 0 %"
    assert all(feature.column != "noise" for features in found.values() for feature in features)


def test_a_column_is_named_once():
    columns, groups = table()
    assert all(
        len({feature.column for feature in features}) == len(features)
        for features in distinguishing(columns, groups, [0, 1, 2]).values()
    )


def test_missing_numbers_and_constant_columns_are_passed_over():
    frame = pd.DataFrame({"a": [1.0, np.nan, 1.0, 5.0, 5.0, np.nan] * 10, "b": [2.0] * 60})
    columns = as_columns(TableInputs(frame))
    found = distinguishing(columns, np.array([0, 0, 0, 1, 1, 1] * 10), [0, 1])
    assert [(feature.column, feature.here, feature.elsewhere) for feature in found[0]] == [("a", 1.0, 5.0)]


def test_large_numbers_keep_their_differences():
    frame = pd.DataFrame({"year": 1e9 + np.array([0.0, 0.1, 1.0, 1.1] * 10)})
    (feature,) = distinguishing(as_columns(TableInputs(frame)), np.array([0, 0, 1, 1] * 10), [0])[0]
    assert feature.difference == pytest.approx(-2 * 0.5 / np.std([0.0, 0.1, 1.0, 1.1]), rel=1e-3)


def test_what_few_rows_differ_in_by_chance_is_not_told():
    rng = np.random.default_rng(3)
    columns = as_columns(TableInputs(pd.DataFrame(rng.normal(size=(1000, 20)), columns=list("abcdefghijklmnopqrst"))))
    groups = np.arange(1000) // 12
    found = distinguishing(columns, groups, range(83))
    assert sum(map(len, found.values())) <= 10  # of 1,660; three standard errors: 0.27 % of them


def test_a_cluster_with_all_rows_or_none_has_no_features():
    columns, groups = table(60)
    assert distinguishing(columns, np.zeros(60, int), [0, 1]) == {0: [], 1: []}
    assert groups.max() == 2


def test_rules_find_their_cluster():
    columns, groups = table()
    rules = find_rules(columns, groups, [0, 1, 2], np.random.default_rng(0))
    assert rules[1].conditions == ("colour is red",)
    assert (rules[1].precision, rules[1].recall) == (1.0, 1.0)
    (condition,) = rules[0].conditions
    threshold = float(condition.removeprefix("width > "))
    assert 3.5 < threshold < 6.5
    assert rules[0].precision > 0.97
    assert rules[0].recall > 0.97
    category, number = sorted(rules[2].conditions)
    assert category == "colour is blue"
    assert 3.5 < float(number.removeprefix("width ≤ ")) < 6.5


def test_precision_holds_for_all_rows_although_others_were_drawn():
    """One row in a hundred is of the cluster; the rule `x > 0` also finds 2 % of the 29,700 others, drawn or not."""
    n = 30_000
    groups = (np.arange(n) % 100 == 0).astype(int)
    x = np.where(groups == 1, 1.0, np.where(np.arange(n) % 50 == 1, 1.0, -1.0))
    columns = as_columns(TableInputs(pd.DataFrame({"x": x})))
    rule = find_rules(columns, groups, [1], np.random.default_rng(0)).get(1)
    assert rule is not None
    assert rule.recall == 1.0
    assert rule.precision == pytest.approx(300 / (300 + 600), abs=0.08)


def test_noise_has_no_rule():
    n = 400
    columns = as_columns(TableInputs(pd.DataFrame(np.random.default_rng(1).normal(size=(n, 4)), columns=list("abcd"))))
    assert find_rules(columns, np.arange(n) % 8, range(8), np.random.default_rng(0)) == {}


def test_a_cluster_of_few_rows_has_no_rule():
    columns, groups = table(24)
    assert find_rules(columns, groups, [0, 1, 2], np.random.default_rng(0)) == {}


def test_columns_without_a_header_say_that_they_are_columns():
    assert (column_text("3"), column_text("width")) == ("column 3", "width")

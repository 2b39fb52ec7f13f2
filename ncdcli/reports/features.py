"""What sets a cluster of rows or texts apart: columns or terms in which it differs most, and a short rule for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.sources import TableInputs
from ncdcli.reports.texts import is_free_text, term_columns

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.tree import DecisionTreeClassifier

TOP = 5  # features of a cluster
TERMS = 3  # … that may be terms of one column of free text, where there are other columns
ROWS = 10_000  # of a table that are looked at, drawn by the caller
RULE_ROWS = 2_000  # rows of other clusters that a rule is made from and measured on
CATEGORIES = 20  # of a column, the most frequent ones
DEPTH = 3  # conditions of a rule
LEAST = 10  # rows of a cluster below which there is no rule
WORTH = 0.35  # F1 on the rows that a rule was not made from, below which it says too little
ERRORS = 3.0  # standard errors that a difference must have: a dozen rows differ in something by chance
SMALLEST = 0.2  # standardised difference that is worth a line: "small" by Cohen's convention


@dataclass(frozen=True)
class Feature:
    """A column in which a cluster differs from all other rows.

    `difference` is in standard deviations of the column: of means for numbers, of shares for a category or a term.
    """

    column: str
    category: str | None  # or a term that the texts of the column hold; None: a number
    here: float  # mean, or share of the category, in the cluster
    elsewhere: float
    difference: float
    term: bool = False  # the category is a term of free text


@dataclass(frozen=True)
class Rule:
    """Conditions that most rows of a cluster meet and few others, measured on rows that it was not made from."""

    conditions: tuple[str, ...]
    precision: float  # share of the rows that meet it which are in the cluster, at the cluster's true share of rows
    recall: float  # share of the cluster that meets it


@dataclass(frozen=True)
class Columns:
    """A table as numbers: numeric columns, and a 0/1 column for each frequent category, or term of free text."""

    values: NDArray[np.float64]  # (m, f), NaN where a number is missing
    columns: tuple[str, ...]  # f names of table columns
    categories: tuple[str | None, ...]  # f categories or terms; None for a numeric column
    texts: frozenset[str] = frozenset()  # table columns of free text


def as_columns(inputs: TableInputs) -> Columns:
    """The table as numbers."""
    values: list[NDArray[np.float64]] = []
    columns: list[str] = []
    categories: list[str | None] = []
    texts = frozenset(name for name in inputs.categorical if is_free_text(inputs.frame[name]))
    for name in map(str, inputs.frame.columns):
        column = inputs.frame[name]
        found = _terms(column) if name in texts else _numbers(column, name in inputs.categorical)
        for category, numbers in found:
            values.append(numbers)
            columns.append(name)
            categories.append(category)
    array = np.column_stack(values) if values else np.empty((len(inputs), 0))
    return Columns(array, tuple(columns), tuple(categories), texts)


def distinguishing(
    table: Columns, groups: NDArray[np.int64], clusters: Sequence[int], *, top: int = TOP
) -> dict[int, list[Feature]]:
    """Cluster -> the columns in which its rows differ most from all other rows, the greatest difference first.

    `groups`: (m,) cluster of each row of the table. Clusters without rows, and with all of them, have none.
    """
    known = np.isfinite(table.values)
    values = np.where(known, table.values, 0.0)
    member = (groups[:, None] == np.asarray(clusters)[None, :]).astype(np.float64)
    sums, counts = member.T @ values, member.T @ known
    all_sums, all_counts = values.sum(axis=0), known.sum(axis=0)
    mean_all = all_sums / np.maximum(all_counts, 1)
    centred = np.where(known, table.values - mean_all, 0.0)  # squares of large numbers would lose the differences
    spread = np.sqrt((centred**2).sum(axis=0) / np.maximum(all_counts, 1))
    here = sums / np.maximum(counts, 1)
    elsewhere = (all_sums - sums) / np.maximum(all_counts - counts, 1)
    usable = (counts > 0) & (all_counts - counts > 0) & (spread > 0)
    difference = np.where(usable, (here - elsewhere) / np.where(spread > 0, spread, 1), 0.0)
    error = np.sqrt(1 / np.maximum(counts, 1) + 1 / np.maximum(all_counts - counts, 1))
    least = np.maximum(SMALLEST, ERRORS * error)
    found = {}
    for position, cluster in enumerate(clusters):
        sizes = np.round(np.abs(difference[position]), 9)
        order = np.lexsort((difference[position] < 0, -sizes))  # of equals, what it is before what it is not
        features = [
            Feature(
                table.columns[f], table.categories[f], float(here[position, f]), float(elsewhere[position, f]),
                float(difference[position, f]), table.columns[f] in table.texts,
            )
            for f in order
            if abs(difference[position, f]) >= least[position, f]
        ]  # fmt: skip
        found[cluster] = _one_of_a_column(features, table)[:top]
    return found


def find_rules(
    table: Columns, groups: NDArray[np.int64], clusters: Sequence[int], rng: np.random.Generator
) -> dict[int, Rule]:
    """Cluster -> the rule that a small decision tree gives for it; clusters without a rule are left out.

    The tree is grown on half of the rows, and of all its paths the one with the best F1 there is taken; precision and
    recall are those on the other half, weighted so that both hold for all rows although others were drawn.
    """
    rules = {}
    for cluster in clusters if table.columns else ():
        inside, outside = np.flatnonzero(groups == cluster), np.flatnonzero(groups != cluster)
        if min(len(inside), len(outside)) < LEAST:
            continue
        drawn = outside if len(outside) <= RULE_ROWS else rng.choice(outside, RULE_ROWS, replace=False)
        inside = inside if len(inside) <= RULE_ROWS else rng.choice(inside, RULE_ROWS, replace=False)
        rows = rng.permutation(np.concatenate([inside, drawn]))
        target = groups[rows] == cluster
        weights = np.where(target, (groups == cluster).sum() / len(inside), len(outside) / len(drawn))
        rule = _rule(table, rows, target, weights)
        if rule is not None:
            rules[cluster] = rule
    return rules


def feature_text(feature: Feature) -> str:
    """What a feature says after its column and category: `5.2, elsewhere 2.1`; `in 80 %, elsewhere 12 %`."""
    if feature.category is not None:
        return f"in {100 * feature.here:.0f} %, elsewhere {100 * feature.elsewhere:.0f} %"
    return f"{short(feature.here)}, elsewhere {short(feature.elsewhere)}"


def column_text(name: str) -> str:
    """The name of a column; `column 3` where the table has no header."""
    return f"column {name}" if name.isdecimal() else name


def short(value: float) -> str:
    """A number in three or four digits."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def as_json(features: Sequence[Feature], rule: Rule | None) -> Mapping[str, Any]:
    """What `clusters.json` holds of them."""
    return {"features": [asdict(feature) for feature in features], "rule": None if rule is None else asdict(rule)}


def _numbers(column: pd.Series, categorical: bool) -> list[tuple[str | None, NDArray[np.float64]]]:
    if not categorical:
        return [(None, column.to_numpy(dtype=np.float64, na_value=np.nan))]
    texts = column.astype(object).where(column.notna(), "")
    frequent = [str(name) for name in texts.value_counts().index[:CATEGORIES]]
    return [(name or "(missing)", np.asarray(texts == name, np.float64)) for name in frequent]


def _terms(column: pd.Series) -> list[tuple[str, NDArray[np.float64]]]:
    terms, held = term_columns(column)
    return [(term, held[:, number]) for number, term in enumerate(terms)]


def _one_of_a_column(features: Sequence[Feature], table: Columns) -> list[Feature]:
    """The first of each column: that it is red says that it is not blue. Of free text some terms, each word once."""
    room = TOP if len(set(table.columns)) == 1 else TERMS
    taken: dict[str, set[str]] = {}
    found: list[Feature] = []
    for feature in features:
        words = set(str(feature.category).split()) if feature.column in table.texts else {""}
        had = taken.setdefault(feature.column, set())
        terms = sum(other.column == feature.column for other in found)
        if not had & words and terms < room:
            had |= words
            found.append(feature)
    return found


def _rule(
    table: Columns, rows: NDArray[np.int64], target: NDArray[np.bool_], weights: NDArray[np.float64]
) -> Rule | None:
    from sklearn.tree import DecisionTreeClassifier

    half = len(rows) // 2
    grown, measured = slice(0, half), slice(half, None)
    if target[grown].all() or not target[grown].any() or not target[measured].any():
        return None
    balance = np.where(target, 1 / max(target[grown].sum(), 1), 1 / max((~target[grown]).sum(), 1))
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=max(3, half // 500), random_state=0)
    tree.fit(table.values[rows[grown]], target[grown], sample_weight=balance[grown])
    nodes = tree.decision_path(table.values[rows]).toarray().astype(bool)  # (m, nodes): which nodes a row passes
    scores = [_f1(nodes[grown, node], target[grown], weights[grown]) for node in range(nodes.shape[1])]
    best = int(np.argmax(scores))
    if best == 0:  # the root: no condition at all
        return None
    met = nodes[measured, best]
    hits = float(weights[measured][met & target[measured]].sum())
    precision = hits / max(float(weights[measured][met].sum()), 1e-12)
    recall = hits / max(float(weights[measured][target[measured]].sum()), 1e-12)
    if 2 * precision * recall < WORTH * (precision + recall) or not precision + recall:
        return None
    return Rule(_conditions(tree, best, table), round(precision, 4), round(recall, 4))


def _f1(met: NDArray[np.bool_], target: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    hits = float(weights[met & target].sum())
    return 2 * hits / max(float(weights[met].sum() + weights[target].sum()), 1e-12)


def _conditions(tree: DecisionTreeClassifier, node: int, table: Columns) -> tuple[str, ...]:
    """The conditions on the way from the root to a node, those on one column together."""
    inner = tree.tree_
    parents = {child: (parent, side) for parent in range(inner.node_count)
               for side, child in ((0, int(inner.children_left[parent])), (1, int(inner.children_right[parent])))
               if child >= 0}  # fmt: skip
    bounds: dict[int, list[float]] = {}
    while node in parents:
        node, side = parents[node]
        feature, threshold = int(inner.feature[node]), float(inner.threshold[node])
        low, high = bounds.setdefault(feature, [-np.inf, np.inf])
        if side == 0:
            bounds[feature][1] = min(high, threshold)
        else:
            bounds[feature][0] = max(low, threshold)
    return tuple(_condition(table, feature, low, high) for feature, (low, high) in reversed(bounds.items()))


def _condition(table: Columns, feature: int, low: float, high: float) -> str:
    column, category = column_text(table.columns[feature]), table.categories[feature]
    if table.columns[feature] in table.texts:
        return f"{column} {'has' if np.isfinite(low) else 'has no'} “{category}”"
    if category is not None:
        other = _only_other(table, feature)
        if np.isfinite(low) or other is not None:
            return f"{column} is {category if np.isfinite(low) else other}"
        return f"{column} is not {category}"
    if np.isfinite(low) and np.isfinite(high):
        return f"{short(low)} < {column} ≤ {short(high)}"
    return f"{column} > {short(low)}" if np.isfinite(low) else f"{column} ≤ {short(high)}"


def _only_other(table: Columns, feature: int) -> str | None:
    """The other category of a column that has two."""
    same = [f for f in range(len(table.columns)) if table.columns[f] == table.columns[feature]]
    if len(same) != 2 or not (table.values[:, same].sum(axis=1) == 1).all():
        return None
    return table.categories[same[0] if same[1] == feature else same[1]]

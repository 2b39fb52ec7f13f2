"""Which true classes lie in which clusters, and known classes taken for novel ones and the reverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncdcli.reports.results import Results

EXAMPLES = 6
TABLE_SIDE = 40  # rows or columns up to which the confusion is a table of numbers


@dataclass(frozen=True)
class Confusion:
    """Clusters × classes, the cluster that is matched to a class in the place of the class."""

    split: str
    clusters: tuple[int, ...]  # in the order of rows
    names: tuple[str, ...]
    classes: tuple[str, ...]  # in the order of columns: known classes, then novel ones
    n_known: int
    table: NDArray[np.int64]
    matched: frozenset[tuple[int, int]]  # (row, column) of the matching's pairs

    @property
    def as_table(self) -> bool:
        """Whether it is small enough for a table that shows every number."""
        return max(self.table.shape) <= TABLE_SIDE

    def share(self, row: int, column: int) -> float:
        """Part of the cluster that is of the class."""
        return float(self.table[row, column] / max(int(self.table[row].sum()), 1))

    def cells(self) -> list[tuple[int, int, int]]:
        """(row, column, count) where there is any."""
        rows, columns = np.nonzero(self.table)
        return [(r, c, int(self.table[r, c])) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)]


@dataclass(frozen=True)
class Mistake:
    """Samples of one true class on the wrong side of known and novel."""

    name: str
    total: int
    wrong: int
    goes_to: tuple[tuple[str, int], ...]  # cluster's name -> samples, most first
    examples: tuple[int, ...]  # the clearest ones: largest margin

    @property
    def share(self) -> float:
        return self.wrong / self.total


def ordered_confusion(results: Results) -> Confusion | None:
    """The confusion with rows in the order of the classes that they are matched to, unmatched ones last; None where
    nothing is scored."""
    if results.confusion is None or not results.matching:
        return None
    split = results.matching["confusion"]["split"]
    columns = tuple(results.matching["confusion"]["columns"])
    if split not in results.matching["splits"]:
        return None
    pairs = {int(c): columns.index(name) for c, name in results.matching["splits"][split].items() if name is not None}
    sizes = results.confusion.sum(axis=1)
    order = sorted(range(len(sizes)), key=lambda c: (c not in pairs, pairs.get(c, 0), -int(sizes[c]), c))
    counts = results.confusion.sum(axis=0)
    present = [column for column in range(len(columns)) if counts[column] or column in pairs.values()]
    where = {column: position for position, column in enumerate(present)}
    return Confusion(
        split=split,
        clusters=tuple(order),
        names=tuple(results.cluster_name(cluster) for cluster in order),
        classes=tuple(columns[column] for column in present),
        n_known=sum(column < results.n_known for column in present),
        table=results.confusion[np.ix_(order, present)],
        matched=frozenset((row, where[pairs[cluster]]) for row, cluster in enumerate(order) if cluster in pairs),
    )


def mistakes(results: Results) -> tuple[list[Mistake], list[Mistake]]:
    """(known classes taken for novel, novel classes taken for known), the worst first.

    Among samples whose class is known and was not given to the clustering: the pool's and the test part's, as far as
    the truth tells, and held-out ones. Nothing in the NCD setting, where the pool is put in novel clusters by rule.
    """
    samples = results.samples
    if samples.setting == "ncd":
        return [], []
    rows = samples.rows("unlabelled", "validation", "test")
    rows = rows[results.truth.classes[rows] >= 0]
    classes = results.truth.classes[rows]
    novel = np.array([results.is_novel(cluster) for cluster in range(results.k)])[results.clusters[rows]]
    known_class = classes < results.n_known
    wrong = novel == known_class
    sides: tuple[list[Mistake], list[Mistake]] = ([], [])
    for number in np.unique(classes[wrong]).tolist():
        chosen = rows[wrong & (classes == number)]
        groups, counts = np.unique(results.groups[chosen], return_counts=True)
        most = np.argsort(-counts, kind="stable")[:3]
        mistake = Mistake(
            name=results.truth.names[number],
            total=int((classes == number).sum()),
            wrong=len(chosen),
            goes_to=tuple((results.cluster_name(int(groups[i])), int(counts[i])) for i in most),
            examples=tuple(chosen[np.argsort(-results.margins[chosen], kind="stable")[:EXAMPLES]].tolist()),
        )
        sides[number >= results.n_known].append(mistake)
    for side in sides:
        side.sort(key=lambda mistake: (-mistake.share, mistake.name))
    return sides

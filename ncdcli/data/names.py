"""Names of classes and samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ncdcli.errors import DataError, Problem
from ncdcli.words import counted

SHOWN = 5


def class_order(classes: Iterable[str | None]) -> tuple[str, ...]:
    """The different class names, sorted: as whole numbers where all of them are, else as text.

    Not in the order of appearance: that would depend on which sample belongs to which novel class.
    """
    names = {name for name in classes if name is not None}
    if all(name.lstrip("-").isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def domain_names(names: Sequence[str | None], is_test: NDArray[np.bool_]) -> tuple[str, ...]:
    """The names of the domains that samples come from, "" for test samples without one.

    DataError where any other sample has none.
    """
    without = [row for row, name in enumerate(names) if name is None and not is_test[row]]
    if without:
        shown = ", ".join(map(str, without[:SHOWN])) + (", …" if len(without) > SHOWN else "")
        raise DataError(
            f"{counted(len(without), 'sample has', 'samples have')} no domain: row {shown} (from 0)",
            hint="say where each sample comes from, or leave the domains out of the `data` section",
        )
    return tuple(name or "" for name in names)


def repeated_keys(keys: Sequence[str]) -> list[Problem]:
    """A problem for each of the first few names that occur more than once."""
    if len(set(keys)) == len(keys):
        return []
    repeated = [(key, count) for key, count in Counter(keys).items() if count > 1]
    return [Problem(f"`{key}` occurs {count} times") for key, count in repeated[:SHOWN]]

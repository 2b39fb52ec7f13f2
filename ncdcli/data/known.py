"""Which classes are known: from a rule of a recipe or card to class names."""

from __future__ import annotations

from ncdcli.data.resolve import KnownRule
from ncdcli.data.sources import Listing
from ncdcli.errors import DataError, Problem
from ncdcli.words import counted, did_you_mean

RESERVED = "novel"  # what `assignments.csv` writes for a cluster that matches no known class


def known_class_names(listing: Listing, rule: KnownRule) -> tuple[str, ...]:
    """Names of the known classes in order; the position is the id.

    `rule`: the first n of the source's order, names and positions, or None for the classes that the source labels.
    DataError with every fault: unknown names, fewer than two classes, no novel class left.
    """
    if rule is None:
        known = _labelled_classes(listing)
    elif isinstance(rule, int):
        known = _first(rule, listing.class_order)
    else:
        known = _named(rule, listing.class_order)
    _check(known, listing)
    return known


def hidden_classes(known: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """The known classes that `data.hide` names. DataError for others, and where fewer than two would be left."""
    problems = [
        Problem(
            f"no known class is called `{name}`",
            place="data.hide.classes",
            hint=did_you_mean(name, known, f"known classes: {_some(known)}"),
        )
        for name in dict.fromkeys(names)
        if name not in known
    ]
    left = len(set(known) - set(names))
    if not problems and left < 2:
        hint = f"hide {len(known) - 2} of the {len(known)} known classes at most"
        problems = [Problem(f"{counted(left, 'known class', 'known classes')} left", "data.hide.classes", hint=hint)]
    if problems:
        raise DataError("the hidden classes do not fit the data", problems)
    return tuple(dict.fromkeys(names))


def _labelled_classes(listing: Listing) -> tuple[str, ...]:
    if "labelled" not in listing.parts:
        raise _error(
            "every training sample carries a label, and nothing says which classes are known",
            hint="set `data.known_classes` to a number or a list, or leave the labels of pool samples empty",
        )
    labelled = {name for name, part in zip(listing.classes, listing.parts, strict=True) if part == "labelled"}
    return tuple(name for name in listing.class_order if name in labelled)


def _first(count: int, class_order: tuple[str, ...]) -> tuple[str, ...]:
    if count > len(class_order):
        raise _error(f"{count} known classes of {len(class_order)}", hint=f"classes: {_some(class_order)}")
    return class_order[: max(count, 0)]


def _named(rule: tuple[str | int, ...], class_order: tuple[str, ...]) -> tuple[str, ...]:
    problems = []
    known: list[str] = []
    for item in rule:
        if isinstance(item, int):
            name = class_order[item] if 0 <= item < len(class_order) else None
            hint = f"positions run from 0 to {len(class_order) - 1}; a class called {item} is written '{item}'"
        else:
            name = item if item in class_order else None
            hint = did_you_mean(item, class_order, f"classes: {_some(class_order)}")
        if name is None:
            problems.append(Problem(f"no class `{item}`", place="data.known_classes", hint=hint))
        elif name in known:
            problems.append(Problem(f"class `{name}` is named twice", place="data.known_classes"))
        else:
            known.append(name)
    if problems:
        raise DataError("the known classes do not fit the data", problems)
    return tuple(known)


def _check(known: tuple[str, ...], listing: Listing) -> None:
    if len(known) < 2:
        hint = "category discovery learns from the differences between known classes: name at least two"
        raise _error(f"{counted(len(known), 'known class', 'known classes')}: too few", hint=hint)
    if RESERVED in known:
        raise _error(f"a known class is called `{RESERVED}`, which names new clusters", hint="rename the class")
    if "unlabelled" not in listing.parts and set(known) >= set(listing.class_order):
        hint = f"name fewer than {len(listing.class_order)} known classes"
        raise _error("all classes are known: there is none to discover", hint=hint)


def _some(names: tuple[str, ...], limit: int = 12) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:limit])
    return f"{shown}, … ({len(names)})" if len(names) > limit else shown


def _error(message: str, *, hint: str) -> DataError:
    problem = Problem(message, place="data.known_classes", hint=hint)
    return DataError("the known classes do not fit the data", [problem])

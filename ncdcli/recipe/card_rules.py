"""What no single field of a dataset card, of a source or of a list of known classes can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ncdcli.data.kinds import TORCHVISION_SETS, Embeddings, ImageFolder, Source, Table, Torchvision
from ncdcli.data.table_formats import format_fault
from ncdcli.recipe.shape import shorten
from ncdcli.recipe.tree import Steps
from ncdcli.words import did_you_mean

Fault = tuple[Steps, str, str]  # where, what, hint
Faults = Iterator[Fault]


def card_source_fits(source: Source) -> Faults:
    """The source's own fields go together."""
    yield from source_faults(source, ("source",))


def card_classes_fit(
    classes: int, class_names: Sequence[str] | None, known_classes: Any, splits: Mapping[str, Any]
) -> Faults:
    """Names, known classes and named splits agree with the number of classes."""
    if class_names is not None and len(class_names) != classes:
        message = f"{len(class_names)} names for {classes} classes"
        yield ("class_names",), message, "give one name for each class, in the source's order"
    named: dict[Steps, Any] = {("known_classes",): known_classes}
    for steps, known in (named | {("splits", name): split for name, split in splits.items()}).items():
        yield from known_faults(known, steps)
        yield from faults_with_classes(known, classes, class_names, steps)
    yield from split_faults(known_classes, splits, ("known_classes",))


CARD_RULES = (card_source_fits, card_classes_fit)


def known_faults(known: Any, steps: Steps) -> Faults:
    """A number or list of known classes that cannot be one, whatever the data."""
    count = known if isinstance(known, int) else len(known) if isinstance(known, tuple) else 2
    if count < 2:
        message = f"expected at least 2 known classes, found {count}"
        yield steps, message, "category discovery learns from the differences between known classes"
    for index, name in enumerate(known if isinstance(known, tuple) else ()):
        if name in known[:index]:
            yield (*steps, index), f"class {name!r} is given twice", "keep one of them"


def faults_with_classes(known: Any, classes: int, class_names: Sequence[str] | None, steps: Steps) -> Faults:
    """Known classes that are not among those of a card, or are all of them."""
    count = known if isinstance(known, int) else len(known) if isinstance(known, tuple) else 0
    if count >= classes:
        yield steps, f"{count} known classes of {classes} leave no novel one", "name fewer"
    for index, name in enumerate(known if isinstance(known, tuple) else ()):
        if isinstance(name, str) and class_names is not None and name not in class_names:
            hint = did_you_mean(name, class_names, f"classes: {shorten(', '.join(class_names))}", most=1)
            yield (*steps, index), f"no class is named '{name}'", hint
        elif isinstance(name, int) and not 0 <= name < classes:
            hint = f"positions run from 0 to {classes - 1}; a class called {name} is written '{name}'"
            yield (*steps, index), f"no class has the position {name}", hint


def split_faults(known: Any, splits: Mapping[str, Any], steps: Steps) -> Faults:
    """The name of a split that the card does not have."""
    if isinstance(known, str) and known not in splits:
        hint = did_you_mean(known, splits, f"splits of the card: {', '.join(splits) or 'none'}", most=1)
        yield steps, f"no split is named '{known}'", hint


def source_faults(source: Any, steps: Steps) -> Faults:
    """Fields of a source that do not go together."""
    if isinstance(source, Torchvision) and source.dataset not in TORCHVISION_SETS:
        hint = did_you_mean(source.dataset, TORCHVISION_SETS, f"one of {', '.join(TORCHVISION_SETS)}", most=1)
        yield (*steps, "dataset"), f"unknown torchvision data set '{source.dataset}'", hint
    if isinstance(source, ImageFolder):
        yield from _image_folder_faults(source, steps)
    if isinstance(source, Table):
        yield from _table_faults(source, steps)
    if isinstance(source, Embeddings):
        for field in ("test_labels", "test_texts"):
            if getattr(source, field) is not None and source.test is None:
                yield (*steps, field), f"`{field}` without `test`", "add `test: FILE.npy`"
        if source.test_texts is not None and source.texts is None:
            yield (*steps, "test_texts"), "`test_texts` without `texts`", "add `texts: FILE`, those of `train`"


def _image_folder_faults(source: ImageFolder, steps: Steps) -> Faults:
    if source.train is None and source.labelled is None:
        hint = "give `train`, or `labelled` and `unlabelled`"
        yield steps, "no folder of images is given", hint
    elif source.train is not None and (source.labelled or source.unlabelled):
        other = "labelled" if source.labelled else "unlabelled"
        hint = "`train` is for data whose classes are all known to the scorer; keep one form"
        yield (*steps, other), f"`train` and `{other}` are both given", hint
    elif source.labelled is not None and source.unlabelled is None:
        yield steps, "`labelled` without `unlabelled`", "add `unlabelled: FOLDER`, the pool in which to discover"
    if source.truth is not None and source.unlabelled is None:
        yield (*steps, "truth"), "`truth` without `unlabelled`", "the sub-folders of `train` are the truth already"


def _table_faults(source: Table, steps: Steps) -> Faults:
    given = [name for name in ("test", "test_rows", "test_fraction") if getattr(source, name) is not None]
    if len(given) > 1:
        yield (*steps, given[1]), f"`{given[0]}` and `{given[1]}` are both given", "keep one way to choose test rows"
    if source.test_rows is not None and not 0 <= source.test_rows[0] < source.test_rows[1]:
        first, last = source.test_rows
        yield (*steps, "test_rows"), f"expected [from, to) with from < to, found [{first}, {last}]", ""
    if source.thousands == source.decimal:
        yield (*steps, "thousands"), f"`{source.decimal}` stands before fractions already", "leave one of them out"
    for name, form in {} if source.dates == "auto" else source.dates.items():
        if fault := format_fault(form):
            yield (*steps, "dates", name), fault, "e.g. `%d/%m/%Y`, `%Y-%m-%d %H:%M`, or `iso` for all of ISO 8601"

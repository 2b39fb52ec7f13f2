"""What no single field of a dataset card, of a source or of a list of known classes can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ncdcli.data.download_kinds import Download, PreparedTable, file_name
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


def card_download_fits(
    source: Source,
    download: Download | None,
    class_names: Sequence[str] | None,
    classes: int,
    train_samples: int,
    test_samples: int,
) -> Faults:
    """What `--download` would make is what the source reads, and as much as the card says."""
    if download is None:
        return
    if not isinstance(source, Table):
        hint = "other sources have their own, or say in `obtain` where the data are"
        yield ("download",), f"a `{source.kind}` source is not made by `download`, only a `table` is", hint
        return
    yield from _downloaded_names_faults(download)
    tables = download.tables()
    for field in ("train", "test"):
        if (getattr(source, field) is None) != (field not in tables):
            message = f"`{field}` is in the `{'source' if field not in tables else 'download'}` only"
            yield ("download", field), message, "each file of the source is made by one part of `download`"
    wanted = {"train": train_samples + (test_samples if source.test is None else 0), "test": test_samples}
    for field, table in tables.items():
        yield from _prepared_rows_faults(table, source, ("download", field))
        if table.class_rows is None:
            continue
        steps = ("download", field, "class_rows")
        if class_names is None or len(table.class_rows) != classes:
            message = f"{len(table.class_rows)} numbers for {classes} classes"
            yield steps, message, "give one for each of `class_names`, in their order"
        elif sum(table.class_rows) != wanted[field]:
            message = f"{sum(table.class_rows)} rows in all, where the card has {wanted[field]} samples in this file"
            yield steps, message, "`train_samples` and `test_samples` say how many rows there are"


def _prepared_rows_faults(table: PreparedTable, source: Table, steps: Steps) -> Faults:
    """Ranges of rows that are none, or that need a label."""
    for name in ("rows", "rows_of_each_class"):
        first, last = getattr(table, name) or (0, 1)
        if not 0 <= first < last:
            yield (*steps, name), f"expected [from, to) with from < to, found [{first}, {last}]", ""
    if source.label is None:
        yield steps, "the source has no `label`", "say in `source.label` which column holds the classes"


def _downloaded_names_faults(download: Download) -> Faults:
    """Addresses that are none, and checksums of what is not downloaded."""
    for index, url in enumerate(download.urls):
        if not url.startswith(("https://", "http://")) or not file_name(url):
            steps = ("download", "url") if isinstance(download.url, str) else ("download", "url", index)
            yield steps, f"`{url}` is no address of a file", "write https://HOST/PATH/FILE"
    tables = download.tables().values()
    names = [*map(file_name, download.urls), *(name for table in tables for name in (*table.members, *table.beside))]
    for name in download.sha256:
        if name not in names:
            hint = did_you_mean(name, names, "name a downloaded file or a member", most=1)
            yield ("download", "sha256", name), f"nothing that is downloaded is called `{name}`", hint


CARD_RULES = (card_source_fits, card_classes_fit, card_download_fits)


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

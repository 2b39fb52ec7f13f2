"""A look at a user's own data: what there is, what is wrong with it, and what a recipe for it must know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ncdcli.data.arrays import open_embeddings
from ncdcli.data.check import unreadable_images
from ncdcli.data.features import EmbeddingFile
from ncdcli.data.image_folder import ImageFolder
from ncdcli.data.images import TINY, image_size
from ncdcli.data.kinds import Embeddings, Table
from ncdcli.data.kinds import ImageFolder as ImageFolderConfig
from ncdcli.data.sources import Listing, TableInputs
from ncdcli.data.table_advice import Advice
from ncdcli.data.table_numbers import Style
from ncdcli.data.tables import TableFile
from ncdcli.errors import DataError, Problem
from ncdcli.words import counted

SETTLED_AFTER = 2  # readings of a table: decimal marks first, then marks between thousands
SMALLEST_FOR_VALIDATION = 10  # labelled samples of every known class, for a fifth of them to be held out


@dataclass(frozen=True)
class Survey:
    """What was found, and what follows from it for a recipe."""

    modality: str  # images | table | embeddings
    samples: dict[str, int]  # part -> samples
    known: dict[str, int]  # known class -> labelled samples
    found: tuple[str, ...]  # lines to tell the user
    tiny: bool = False  # images of one small size
    leave_out: tuple[str, ...] = ()  # keys of unreadable images
    drop: tuple[str, ...] = ()  # columns that are no features
    fields: dict[str, Any] = field(default_factory=dict)  # of the source section: how a table's cells are read
    benchmark: bool = False  # every sample carries a label: some classes have to play the novel ones
    problems: tuple[Problem, ...] = field(default=())

    @property
    def labelled(self) -> int:
        """Number of samples that carry labels."""
        return sum(self.known.values())

    @property
    def pool(self) -> int:
        """Number of samples that carry none."""
        return self.samples.get("unlabelled", 0)

    @property
    def holds_out(self) -> bool:
        """Whether every known class has samples enough to hold a fifth of them out."""
        return bool(self.known) and min(self.known.values()) >= SMALLEST_FOR_VALIDATION


def survey_images(source: ImageFolderConfig) -> Survey:
    """What the folders hold. Every image is decoded; unreadable ones are to be left out.

    DataError where too little is left to discover anything.
    """
    reader = ImageFolder(source, Path())
    listing = reader.listing()
    files = reader.files(listing.keys)
    problems = unreadable_images(files)
    unreadable = {problem.place for problem in problems}
    leave_out = tuple(key for key, file in zip(listing.keys, files, strict=True) if str(file) in unreadable)
    sizes = [image_size(file) for file in files if str(file) not in unreadable]
    survey = Survey(
        "images",
        _parts(listing, leave_out),
        _known(listing, leave_out),
        (_size_line(sizes), *listing.notes) if sizes else listing.notes,
        tiny=len(set(sizes)) == 1 and max(sizes[0]) <= TINY,
        leave_out=leave_out,
        problems=tuple(problems),
    )
    return _checked(survey)


def survey_table(source: Table) -> Survey:
    """What the table holds: rows, columns, missing values; columns that cannot be features are to be dropped."""
    reader = TableFile(source, Path())
    advice = _settled(source)
    fields = {**advice.fields, **source.model_dump(include={"decimal", "thousands", "dates"}, exclude_defaults=True)}
    drop = advice.drop
    reader = TableFile(source.model_copy(update={**fields, "drop": (*source.drop, *drop)}), Path())
    listing = reader.listing()
    inputs = reader.inputs(listing.keys)
    assert isinstance(inputs, TableInputs)
    empty = int(inputs.frame.isna().sum().sum())
    columns = inputs.frame.shape[1]
    constant = [str(name) for name in inputs.frame.columns if inputs.frame[name].nunique(dropna=False) == 1]
    if len(constant) == columns:
        hint = "check `--label`, and that the other columns hold numbers or few different texts"
        raise DataError("no column of the table tells its rows apart: all are constant, or identifiers", hint=hint)
    found = [
        f"{counted(columns, 'feature column')}, {len(inputs.categorical)} of text",
        counted(empty, "missing value"),
        *(f"numbers are written with {name}: {value}" for name, value in advice.style.fields.items()),
        *(f"column `{name}` holds dates: {form}" for name, form in advice.dates.items()),
    ]
    if constant:
        found.append(f"constant columns, which carry nothing: {len(constant)} ({_some(constant)})")
    reasons = {"with too many different texts": advice.identifiers, "that count the rows": advice.counters,
               "that repeat another column": tuple(advice.repeated)}  # fmt: skip
    for reason, names in reasons.items():
        if names:
            found.append(f"columns to drop, {reason}: {len(names)} ({_some(names)})")
    return _checked(replace(_of_listing("table", listing, found, drop=drop), fields=fields))


def _settled(source: Table) -> Advice:
    """What to say of the table; read again while that changes how its numbers are written."""
    advice = TableFile(source, Path()).advice()
    for _ in range(SETTLED_AFTER):
        if advice.style == Style(source.decimal, source.thousands):
            break
        source = source.model_copy(update=advice.style._asdict())
        advice = TableFile(source, Path()).advice()
    return advice


def survey_embeddings(source: Embeddings) -> Survey:
    """What the array holds."""
    reader = EmbeddingFile(source, Path())
    listing = reader.listing()
    array = open_embeddings(Path(source.train))
    return _checked(_of_listing("embeddings", listing, [f"{counted(array.shape[1], 'value')} a row, {array.dtype}"]))


def _of_listing(modality: str, listing: Listing, found: Sequence[str], *, drop: tuple[str, ...] = ()) -> Survey:
    benchmark = "train" in listing.parts
    return Survey(
        modality, _parts(listing, ()), _known(listing, ()), (*found, *listing.notes), drop=drop, benchmark=benchmark
    )


def _parts(listing: Listing, leave_out: Sequence[str]) -> dict[str, int]:
    gone = set(leave_out)
    pairs = zip(listing.keys, listing.parts.tolist(), strict=True)
    return dict(Counter(part for key, part in pairs if key not in gone))


def _known(listing: Listing, leave_out: Sequence[str]) -> dict[str, int]:
    """Class -> labelled samples; where all samples carry labels, of all classes."""
    gone = set(leave_out)
    triples = zip(listing.keys, listing.classes, listing.parts.tolist(), strict=True)
    counts = Counter(name for key, name, part in triples if part in ("labelled", "train") and key not in gone)
    return {name: counts[name] for name in listing.class_order if counts[name]}


def _checked(survey: Survey) -> Survey:
    """The survey itself; DataError where nothing can be discovered in what was found."""
    if len(survey.known) < 2:
        hint = "category discovery learns from the differences between known classes: label samples of two at least"
        count = counted(len(survey.known), "known class", "known classes")
        raise DataError(f"{count} with labelled samples: too few", survey.problems, hint=hint)
    if survey.benchmark and len(survey.known) < 3:
        hint = "leave the label empty where the class is not known, or bring a third class"
        raise DataError("every sample carries a label, of two classes: there is none to discover", hint=hint)
    if not survey.benchmark and survey.pool < 2:
        raise DataError("the pool is empty: no sample without a label can be read", survey.problems)
    return survey


def _size_line(sizes: Sequence[tuple[int, int]]) -> str:
    if len(set(sizes)) == 1:
        return f"all images are {sizes[0][0]} × {sizes[0][1]} pixels"
    widths, heights = sorted(width for width, _ in sizes), sorted(height for _, height in sizes)
    middle = len(sizes) // 2
    return (
        f"images are {widths[0]} to {widths[-1]} pixels wide and {heights[0]} to {heights[-1]} high, "
        f"{widths[middle]} × {heights[middle]} in the middle"
    )


def _some(names: Sequence[str], limit: int = 5) -> str:
    return ", ".join(f"`{name}`" for name in names[:limit]) + (", …" if len(names) > limit else "")

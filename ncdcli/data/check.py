"""What a source really holds: counts, classes, files that cannot be read; and whether a card tells the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ncdcli.data.image_folder import ImageFolder
from ncdcli.data.images import image_fault
from ncdcli.data.kinds import Card, Embeddings, Source, Table
from ncdcli.data.kinds import ImageFolder as ImageFolderConfig
from ncdcli.data.sources import ImageInputs, Inputs, SourceReader, TableInputs
from ncdcli.errors import MissingError, Problem
from ncdcli.words import counted


@dataclass(frozen=True)
class SourceReport:
    """What was found."""

    parts: dict[str, int]  # part -> samples
    classes: dict[str, int]  # name -> samples of all parts, in the source's order
    unlabelled: int  # samples whose class nobody knows
    digest: str  # of the content
    shape: str  # what a sample looks like, in words
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def inspect_source(reader: SourceReader) -> SourceReport:
    """The report on an opened source; every image file is decoded. MissingError or DataError where it is unusable."""
    listing = reader.listing()
    counts = Counter(listing.classes)
    problems: list[Problem] = []
    if isinstance(reader, ImageFolder):  # tiny images would be decoded by `inputs`, which stops at the first bad one
        problems = unreadable_images(reader.files(listing.keys))
    inputs = reader.inputs(listing.keys) if not problems else None
    if isinstance(inputs, ImageInputs) and inputs.files and not isinstance(reader, ImageFolder):
        problems = unreadable_images(inputs.files)
    return SourceReport(
        parts=dict(Counter(listing.parts.tolist())),
        classes={name: counts[name] for name in listing.class_order if counts[name]},
        unlabelled=counts[None],
        digest=reader.identity(content=True),
        shape=describe(inputs) if inputs is not None else "image files",
        notes=listing.notes,
        problems=tuple(problems),
    )


def unreadable_images(files: Sequence[str | Path]) -> list[Problem]:
    """A problem for each image that cannot be decoded, in the order of the files."""
    with ThreadPoolExecutor() as pool:
        faults = list(pool.map(image_fault, map(Path, files)))
    return [Problem(fault, place=str(file)) for file, fault in zip(files, faults, strict=True) if fault is not None]


def card_differences(card: Card, report: SourceReport) -> list[Problem]:
    """Where the data are not what the card says."""
    train = sum(count for part, count in report.parts.items() if part != "test")
    pairs = [
        ("train_samples", card.train_samples or train, train),
        ("test_samples", card.test_samples, report.parts.get("test", 0)),
        ("classes", card.classes, len(report.classes)),
        ("digest", card.digest or report.digest, report.digest),
    ]
    hint = "the files are incomplete or another release: remove them and get them again"
    return [
        Problem(f"the card says {said}; found {found}", place=name, hint=hint)
        for name, said, found in pairs
        if said != found
    ]


def source_of_path(path: Path) -> Source:
    """The source that reads a folder of images, an `.npy` array or a table. MissingError where there is nothing."""
    path = path.absolute()
    if path.is_dir():
        has_folders = any(entry.is_dir() and not entry.name.startswith(".") for entry in path.iterdir())
        return ImageFolderConfig(train=str(path)) if has_folders else ImageFolderConfig(unlabelled=str(path))
    if not path.exists():
        hint = "`ncd data list` shows the cards; otherwise give a folder of images, a table, an .npy or a card file"
        raise MissingError(f"no card is called `{path.name}`, and no file or folder is there", hint=hint)
    return Embeddings(train=str(path)) if path.suffix == ".npy" else Table(train=str(path))


def describe(inputs: Inputs) -> str:
    """What one sample looks like: "8 × 8 pixels, gray", "16 numbers", "768 values"."""
    if isinstance(inputs, ImageInputs):
        if inputs.array is None:
            return "image files of several sizes" if len(inputs) else "no images"
        height, width, channels = inputs.array.shape[1:]
        return f"{width} × {height} pixels, {'gray' if channels == 1 else 'colour'}"
    if isinstance(inputs, TableInputs):
        texts = len(inputs.categorical)
        return f"{counted(inputs.frame.shape[1] - texts, 'column')} of numbers, {texts} of text"
    return counted(inputs.array.shape[1], "value")

"""Named clusters as labelled samples: the data set for the next round of discovery."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.columns import read_columns, write_columns
from ncdcli.data.samples import Samples
from ncdcli.data.sources import FeatureInputs, ImageInputs, TableInputs
from ncdcli.errors import DataError, Problem, UsageError
from ncdcli.naming import Names

if TYPE_CHECKING:
    from ncdcli.run.folder import RunFolder

LONGEST_NAME = 255  # bytes of a folder's name on common file systems


@dataclass(frozen=True)
class Promoted:
    """What was written, and how to go on with it."""

    folder: Path
    labelled: dict[str, int]  # class -> samples that carry it now
    promoted: int  # samples of the pool among them
    pool: int  # samples that still carry no label
    left_out: int  # test samples, which stay where they are
    next_command: str


def promote(run: RunFolder, names: Names, out: Path, *, least_margin: float = -1.0) -> Promoted:
    """Write a labelled set to the folder `out`: images as links in a folder for each class, a table with a column of
    classes, or labels for ready-made embeddings.

    Samples of the pool that lie in a cluster which the user has named, with a margin of `least_margin` or more, get
    its name; those that had a label keep it. No true class is looked at. UsageError where nothing is named or `out`
    holds something; DataError where a name cannot be that of a folder.
    """
    if not any(names.given):
        raise UsageError("no cluster has a name yet", hint=f"fill in `name` in `{run.path / 'clusters.csv'}`")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"`{out}` is there already", hint="name a folder that is not there yet")
    samples = Samples.read(run.stage_dir("split") / "samples.csv", run.stage_dir("split") / "classes.json")
    labels = new_labels(run, samples, names, least_margin=least_margin)
    command = _write(run.recipe().data, samples, labels, out)
    kept = samples.roles != "test"
    given = [label for label, keep in zip(labels, kept.tolist(), strict=True) if keep and label is not None]
    pool = samples.roles == "unlabelled"
    return Promoted(
        folder=out,
        labelled={name: given.count(name) for name in sorted(set(given))},
        promoted=sum(label is not None for label, is_pool in zip(labels, pool.tolist(), strict=True) if is_pool),
        pool=int(kept.sum()) - len(given),
        left_out=int((~kept).sum()),
        next_command=command,
    )


def new_labels(run: RunFolder, samples: Samples, names: Names, *, least_margin: float) -> list[str | None]:
    """The class of each row for the next round, None for the pool and for test rows."""
    path = run.stage_dir("cluster") / "assignments.csv"
    columns = read_columns(path, texts=["key", "margin"], numbers=["cluster"])
    if tuple(columns["key"].tolist()) != samples.keys:
        raise DataError(
            f"`{path}` is not about the samples of this run", hint=f"ncd cluster {run.path} --force cluster"
        )
    sure = columns["margin"].astype(np.float64) >= least_margin
    labels: list[str | None] = [samples.known[label] if label >= 0 else None for label in samples.labels.tolist()]
    accepted = (samples.roles == "unlabelled") & np.array(names.given)[columns["cluster"]] & sure
    for row in np.flatnonzero(accepted).tolist():
        labels[row] = names.names[columns["cluster"][row]]
    return labels


def _write(data: Any, samples: Samples, labels: Sequence[str | None], out: Path) -> str:
    """Write the set, and say how a recipe for it is made."""
    from ncdcli.data.resolve import open_source, resolve_data

    rows = np.flatnonzero(samples.roles != "test")
    keys = [samples.keys[row] for row in rows.tolist()]
    chosen = [labels[row] for row in rows.tolist()]
    reader = open_source(data)
    inputs = reader.inputs(keys)
    if isinstance(inputs, ImageInputs):
        _check_folder_names(sorted({label for label in chosen if label is not None}))
        _write_images(reader, inputs, keys, chosen, out)
        labelled, pool = out / "labelled", out / "unlabelled"
        return shlex.join(["ncd", "init", "images", "--labelled", str(labelled), "--unlabelled", str(pool)])
    out.mkdir(parents=True, exist_ok=True)
    if isinstance(inputs, TableInputs):
        label = _write_table(inputs, keys, chosen, out / "table.csv")
        return shlex.join(["ncd", "init", "table", "--data", str(out / "table.csv"), "--label", label, "--id", "key"])
    resolved = resolve_data(data)
    array = resolved.root / resolved.source.train  # type: ignore[union-attr, operator]
    _write_labels(inputs, reader.listing().keys, chosen, array, out / "labels.csv")
    words = ["ncd", "init", "embeddings", "--embeddings", str(array), "--labels", str(out / "labels.csv")]
    texts = resolved.source.texts  # type: ignore[union-attr]
    return shlex.join([*words, *(["--texts", str(resolved.root / texts)] if texts is not None else [])])


def _check_folder_names(names: Sequence[str]) -> None:
    problems = []
    for name in names:
        if "/" in name or "\0" in name or name.startswith("."):
            hint = "in `clusters.csv`, give it a name without `/` that does not start with a dot"
            problems.append(Problem("cannot be the name of a folder", place=name, hint=hint))
        elif len(os.fsencode(name)) > LONGEST_NAME:
            hint = f"shorten it: {LONGEST_NAME} bytes at most"
            problems.append(Problem("is too long for the name of a folder", place=name, hint=hint))
    if problems:
        raise DataError("images lie in a folder for each class, and some names cannot be folders", problems)


def _write_images(
    reader: Any, inputs: ImageInputs, keys: Sequence[str], labels: Sequence[str | None], out: Path
) -> None:
    """Links to the images' files, or PNG files of images that have none of their own."""
    from ncdcli.data.image_folder import ImageFolder

    files = reader.files(keys) if isinstance(reader, ImageFolder) else inputs.files
    for folder in ("labelled", "unlabelled"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for row, (key, label) in enumerate(zip(keys, labels, strict=True)):
        place = out / "unlabelled" / key if label is None else out / "labelled" / label / key
        place.parent.mkdir(parents=True, exist_ok=True)
        if files is None:
            inputs.image(row).save(place.with_name(place.name + ".png"))
        else:
            _link(Path(files[row]).resolve(), place)


def _link(source: Path, target: Path) -> None:
    """A link, or a copy where the system makes none."""
    with suppress(OSError, NotImplementedError):
        target.symlink_to(source)
        return
    shutil.copy2(source, target)


def _write_table(inputs: TableInputs, keys: Sequence[str], labels: Sequence[str | None], path: Path) -> str:
    """The rows as they were read, with their key before and their class behind; the name of the class column.

    Dates are written as ISO 8601, whatever their format was.
    """
    from ncdcli.data.table_dates import iso_texts

    frame = inputs.frame.copy()
    for name in inputs.dates:
        frame[name] = iso_texts(frame[name].to_numpy(np.float64))
    label = "class"
    while label in frame.columns or label == "key":
        label += "_"
    frame = frame.drop(columns=[name for name in frame.columns if name == "key"])
    frame.insert(0, "key", list(keys))
    frame[label] = ["" if name is None else name for name in labels]
    frame.to_csv(path, index=False)
    return label


def _write_labels(
    inputs: FeatureInputs, names: Sequence[str], labels: Sequence[str | None], array: Path, path: Path
) -> None:
    """(key, class) for every row of the array, in its order; rows that were not in the run carry no label."""
    from ncdcli.data.arrays import open_embeddings

    count = len(open_embeddings(array))
    found: NDArray[np.object_] = np.full(count, "", dtype=object)
    rows = np.arange(len(labels)) if inputs.rows is None else inputs.rows
    for row, label in zip(rows.tolist(), labels, strict=True):
        if label is not None and row < count:
            found[row] = label
    write_columns(path, {"key": names[:count], "class": found.tolist()})

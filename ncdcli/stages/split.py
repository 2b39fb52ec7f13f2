"""`split`: which sample plays which role, and whose labels may be seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.columns import write_columns
from ncdcli.data.digests import digest_lines
from ncdcli.data.kinds import DataConfig
from ncdcli.data.known import hidden_classes, known_class_names
from ncdcli.data.resolve import input_identity, open_source, resolve_data
from ncdcli.data.samples import Samples
from ncdcli.data.sources import Listing
from ncdcli.errors import DataError, Problem
from ncdcli.jsonfile import write_json
from ncdcli.pipeline.context import StageContext

# Part -> its rank in the order of rows. The first three are trained on.
PARTS = {"train": 0, "labelled": 0, "unlabelled": 1, "test": 2}
SUBSET, LABELLED, VALIDATION, FOLD = range(4)  # keys of the random streams
SEED_0 = 0


@dataclass(frozen=True)
class _Rows:
    """The samples in use, in the order of `samples.csv`."""

    keys: NDArray[np.object_]  # (n,)
    parts: NDArray[np.str_]  # (n,)
    known: NDArray[np.int64]  # (n,) id of the known class, -1 for others: all that the draw may depend on
    truth: tuple[str | None, ...]  # n class names
    domains: tuple[str, ...] | None  # n names, where the source gives them


def run(context: StageContext, config: Any) -> None:
    """Write `samples.csv`, `classes.json`, `source.json`, and `truth.csv` where any pool or test class is known.

    Membership in a known class is looked at here, and only here, because a benchmark cannot be built without it;
    which novel class a sample belongs to changes nothing but `truth.csv`.
    """
    data: DataConfig = config.data
    listing = open_source(data).listing()
    for note in listing.notes:
        context.progress.note(note)
    known = known_class_names(listing, resolve_data(data).known_classes)
    rows = _ordered(listing, known)
    if data.subset is not None:
        rows = _subset(rows, data.subset, context.rng(SUBSET))
    roles = _roles(rows, known, data, context)
    if data.hide is not None:
        rows, roles, known = _fold(rows, roles, known, data, context)
    rows, roles = _without(rows, roles, "unused")
    _check_roles(roles, rows, known)
    labels = np.where(np.isin(roles, ("labelled", "validation")), rows.known, -1)
    samples = Samples(tuple(rows.keys.tolist()), roles, labels, known, data.setting, rows.domains)
    samples.write(context.output)
    _write_source(context.output, data, samples)
    _write_truth(context.output, rows, roles)


def _ordered(listing: Listing, known: tuple[str, ...]) -> _Rows:
    """All samples, by part and then in the source's order."""
    order = np.argsort([PARTS[part] for part in listing.parts.tolist()], kind="stable")
    ids = {name: number for number, name in enumerate(known)}
    truth = tuple(listing.classes[row] for row in order)
    return _Rows(
        np.array(listing.keys, dtype=object)[order],
        listing.parts[order],
        np.array([ids.get(name, -1) if name is not None else -1 for name in truth], np.int64),
        truth,
        None if listing.domains is None else tuple(listing.domains[row] for row in order),
    )


def _take(rows: _Rows, chosen: NDArray[np.int64]) -> _Rows:
    truth = tuple(rows.truth[row] for row in chosen)
    domains = None if rows.domains is None else tuple(rows.domains[row] for row in chosen)
    return _Rows(rows.keys[chosen], rows.parts[chosen], rows.known[chosen], truth, domains)


def _without(rows: _Rows, roles: NDArray[np.str_], role: str) -> tuple[_Rows, NDArray[np.str_]]:
    kept = np.flatnonzero(roles != role)
    return _take(rows, kept), roles[kept]


def _subset(rows: _Rows, count: int, rng: np.random.Generator) -> _Rows:
    """`count` training samples, drawn without looking at any class, and all test samples."""
    training = np.flatnonzero(rows.parts != "test")
    if count > len(training):
        message = f"`subset` asks for {count} training samples; there are {len(training)}"
        raise _data_error(Problem(message, place="data.subset", hint="leave `subset` out to use all"))
    drawn = rng.choice(training, count, replace=False)
    return _take(rows, np.sort(np.concatenate([drawn, np.flatnonzero(rows.parts == "test")])))


def _roles(rows: _Rows, known: tuple[str, ...], config: DataConfig, context: StageContext) -> NDArray[np.str_]:
    """(n,) role of each sample; "unused" for known ones that the NCD setting leaves out of the pool."""
    roles = np.full(len(rows.keys), "unlabelled", dtype="<U10")
    roles[rows.parts == "test"] = "test"
    own = np.isin(rows.parts, ("labelled", "unlabelled")).any()
    candidates = np.flatnonzero(np.isin(rows.parts, ("train", "labelled")) & (rows.known >= 0))
    if own or config.setting == "ncd":
        chosen = candidates  # the source has chosen, or the setting labels all of them
    else:
        chosen = candidates[_draw(rows.known[candidates], config, context.rng(LABELLED))]
    roles[chosen] = "labelled"
    held_out = _hold_out(rows.known[chosen], config.validation_fraction, context.rng(VALIDATION))
    roles[chosen[held_out]] = "validation"
    if own and config.setting == "ncd":
        # The pool of the user's own data is theirs: samples that are known to be known do not belong in it.
        roles[(roles == "unlabelled") & (rows.known >= 0)] = "unused"
    return roles


def _fold(
    rows: _Rows, roles: NDArray[np.str_], known: tuple[str, ...], config: DataConfig, context: StageContext
) -> tuple[_Rows, NDArray[np.str_], tuple[str, ...]]:
    """The split of a fold: some known classes play the novel ones, and only samples that had a label are scored.

    It is made from the split without `hide` and the labels that this one shows: the truth of every other sample is
    dropped here, so that nothing of a fold, scores included, can depend on it. In the GCD setting a part of the other
    known classes' samples joins the pool, as many of each class as `labelled_fraction` leaves.
    """
    assert config.hide is not None
    hidden = hidden_classes(known, config.hide.classes)
    remaining = tuple(name for name in known if name not in hidden)
    seen = np.isin(roles, ("labelled", "validation"))
    ids = np.array([remaining.index(name) if name in remaining else -1 for name in (*known, None)], np.int64)
    classes = np.where(seen, ids[rows.known], -1)  # -1, no known class, takes the last of `ids`
    truth = tuple(name if label else None for name, label in zip(rows.truth, seen.tolist(), strict=True))
    fold = np.where(seen | ((roles == "unlabelled") & (config.hide.pool == "all")), "unlabelled", "unused")
    chosen = np.flatnonzero(classes >= 0)
    rng = context.rng(FOLD)
    if config.setting == "gcd":
        chosen = chosen[_draw_by_class(classes[chosen], config.labelled_fraction, rng, least=1)]
    fold = fold.astype("<U10")
    fold[chosen] = "labelled"
    fold[chosen[_hold_out(classes[chosen], config.validation_fraction, rng)]] = "validation"
    return _Rows(rows.keys, rows.parts, classes, truth, rows.domains), fold, remaining


def _draw(classes: NDArray[np.int64], config: DataConfig, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions, ascending, of the samples of known classes that get labels.

    `classes` are those of the known-class training samples in dataset order. `seed0` is the field's draw (Vaze et
    al. 2022): the legacy generator, seed 0, uniform over samples and not over classes.
    """
    count = len(classes)
    fraction = config.labelled_fraction
    if config.labelled_rule == "seed0":
        legacy = np.random.RandomState(SEED_0)  # the published splits come from it
        return np.sort(legacy.choice(range(count), int(fraction * count), replace=False))
    if config.labelled_rule == "uniform":
        return np.sort(rng.choice(count, round(fraction * count), replace=False))
    return _draw_by_class(classes, fraction, rng, least=1)


def _hold_out(classes: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of the labelled samples that are held out: the same fraction of each class, one left at least."""
    if fraction == 0:
        return np.empty(0, np.int64)
    return _draw_by_class(classes, fraction, rng, leave=1)


def _draw_by_class(
    classes: NDArray[np.int64], fraction: float, rng: np.random.Generator, *, least: int = 0, leave: int = 0
) -> NDArray[np.int64]:
    drawn = []
    for name in np.unique(classes):
        members = np.flatnonzero(classes == name)
        count = min(max(round(fraction * len(members)), least), len(members) - leave)
        drawn.append(rng.choice(members, count, replace=False))
    return np.sort(np.concatenate(drawn)) if drawn else np.empty(0, np.int64)


def _check_roles(roles: NDArray[np.str_], rows: _Rows, known: tuple[str, ...]) -> None:
    """DataError where a known class has no labelled sample, or the pool is empty."""
    problems = []
    counts = np.bincount(rows.known[roles == "labelled"], minlength=len(known))
    for number in np.flatnonzero(counts == 0):
        problems.append(
            Problem(
                f"known class `{known[number]}` has no labelled sample",
                place="data.labelled_fraction",
                hint="raise `labelled_fraction` or `subset`, or set `labelled_rule: stratified`",
            )
        )
    if not (roles == "unlabelled").any():
        problems.append(
            Problem(
                "the pool is empty: there is no unlabelled sample to discover anything in",
                place="data",
                hint="lower `labelled_fraction` or the number of known classes, or add samples without a label",
            )
        )
    if problems:
        raise _data_error(*problems)


def _data_error(*problems: Problem) -> DataError:
    return DataError("the data cannot be split as the recipe says", problems)


def _write_source(folder: Path, config: DataConfig, samples: Samples) -> None:
    """`source.json`: what the inputs are, and a checksum of the split. Nothing here depends on novel labels."""
    lines = (
        f"{key}\t{role}\t{label}"
        for key, role, label in zip(samples.keys, samples.roles.tolist(), samples.labels.tolist(), strict=True)
    )
    content = {
        **input_identity(config),
        "samples": {role: int((samples.roles == role).sum()) for role in np.unique(samples.roles).tolist()},
        "split_checksum": digest_lines(lines),
    }
    write_json(folder / "source.json", content, sort_keys=True)


def _write_truth(folder: Path, rows: _Rows, roles: NDArray[np.str_]) -> None:
    """`truth.csv` (row, class) for all samples; not written where no pool or test class is known."""
    scored = np.isin(roles, ("unlabelled", "test"))
    if not any(name is not None for name, score in zip(rows.truth, scored, strict=True) if score):
        return
    write_columns(folder / "truth.csv", {"row": range(len(rows.truth)), "class": rows.truth})

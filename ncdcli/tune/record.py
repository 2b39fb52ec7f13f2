"""`tune.json`: what a folder of trials is about. Trials of one folder are comparable, or are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncdcli.digests import digest_file
from ncdcli.errors import NcdError, UsageError
from ncdcli.run.files import is_temporary, json_bytes, write_atomic
from ncdcli.run.lock import LOCK
from ncdcli.run.manifest import differences
from ncdcli.tune.folds import Fold, make_folds
from ncdcli.tune.load import Search
from ncdcli.words import either

FORMAT = 1
RECORD, JOURNAL = "tune.json", "study.log"
SPLIT = Path("split")


@dataclass(frozen=True)
class Record:
    """What all trials of a folder share."""

    known: tuple[str, ...]  # known classes of the recipe
    folds: tuple[Fold, ...]


def check_folder(search: Search, *, seed: int) -> None:
    """Nothing, or UsageError: the folder holds something else, or trials of another search."""
    root = search.root
    if root.exists() and not root.is_dir():
        raise UsageError(f"`{root}` is a file, not a folder of trials", hint="choose another `--root`")
    if (root / RECORD).is_file():
        _check_same(_read(root), search, seed=seed)
    elif root.is_dir() and not all(map(_precedes_trials, root.iterdir())):
        message = f"`{root}` is not empty and holds no trials (it has no `{RECORD}`): nothing was written there"
        raise UsageError(message, hint="choose another `--root`")


def open_record(search: Search, split: Callable[[], None], *, seed: int) -> Record:
    """The record of the search's folder, made where there is none. `split` makes the base run's split.

    UsageError where the samples, or those that carry labels, are not those that the trials so far were made with.
    """
    split()
    samples, classes = (search.base / SPLIT / name for name in ("samples.csv", "classes.json"))
    known = tuple(json.loads(classes.read_text("utf-8"))["known"])
    digest = digest_file(samples)
    path = search.root / RECORD
    if not path.is_file():
        folds = make_folds(known, search.recipe, search.tune, seed=seed)
        content = {
            "format": FORMAT,
            "name": search.recipe.name,
            "seed": seed,
            "known": list(known),
            "folds": [list(fold.hidden) for fold in folds],
            "samples": digest,
            "searched": search.identity(),
        }
        write_atomic(path, json_bytes(content))
    content = _read(search.root)
    if content["samples"] != digest:
        message = f"the samples are not those of the trials in `{search.root}`"
        raise UsageError(message, hint=_elsewhere(search.root))
    return _record(content)


def read_record(search: Search) -> Record | None:
    """The record of the search's folder; None where nothing was begun."""
    return _record(_read(search.root)) if (search.root / RECORD).is_file() else None


def _record(content: dict[str, Any]) -> Record:
    folds = tuple(Fold(number, tuple(hidden)) for number, hidden in enumerate(content["folds"], start=1))
    return Record(tuple(content["known"]), folds)


def _read(root: Path) -> dict[str, Any]:
    path = root / RECORD
    try:
        content = json.loads(path.read_bytes())
        known = content["format"] <= FORMAT and {"seed", "known", "folds", "samples", "searched"} <= set(content)
    except (ValueError, TypeError, KeyError) as error:
        raise NcdError(f"`{path}` is damaged: {error}", hint=_elsewhere(root)) from error
    if not known:
        raise UsageError(f"`{path}` is of another version of ncd", hint=_elsewhere(root))
    return dict(content)


def _check_same(content: dict[str, Any], search: Search, *, seed: int) -> None:
    now = {"seed": seed, **search.identity()}
    before = {"seed": content["seed"], **content["searched"]}
    fields = [path.removeprefix("recipe.") for path in differences(before, now)]
    if fields:
        shown = either(f"`{field}`" for field in fields[:3]) if len(fields) < 4 else _some(fields)
        message = f"`{search.root}` holds trials of another search: not the same {shown}"
        raise UsageError(message, hint=_elsewhere(search.root))


def _some(fields: Sequence[str]) -> str:
    return f"{', '.join(f'`{field}`' for field in fields[:3])} and {len(fields) - 3} more"


def _elsewhere(root: Path) -> str:
    return f"search elsewhere with `--root`, or remove `{root}`"


def _precedes_trials(path: Path) -> bool:
    """Whether it may lie in a folder whose search was stopped before its first trial."""
    return path.name == "base" or path.name.startswith(LOCK) or is_temporary(path)

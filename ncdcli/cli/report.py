"""`ncd report`: the page of one run, or the page that compares several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ncdcli.cli import options
from ncdcli.cli.output import print_text
from ncdcli.cli.session import Session, session_of
from ncdcli.errors import UsageError
from ncdcli.words import counted

if TYPE_CHECKING:
    from ncdcli.run.folder import RunFolder

COMPARISON = Path("comparison.html")


def add_report_command(app: typer.Typer) -> None:
    """Register `ncd report`."""
    app.command("report", rich_help_panel="Results")(report)


def report(
    context: typer.Context,
    runs: options.RunsArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write; default: in the run, or comparison.html."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write the page of a run again although it is there.")] = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Write one HTML file that shows what a run discovered, or that compares several runs."""
    from ncdcli.cli.target import find_run

    session = session_of(context, json=json, quiet=quiet)
    found = {folder.path.resolve(): folder for folder in map(find_run, runs)}
    folders = list(found.values())
    if len(folders) == 1:
        path = report_run(session, folders[0], force=force)
        if output is not None:
            _copy(path, output)
            path = output
    elif force:
        raise UsageError("`--force` is for the page of one run: a comparison is always written anew")
    else:
        path = _compare(folders, output or COMPARISON)
    if json:
        session.answer({"runs": [str(folder.path) for folder in folders], "file": str(path)})
        return
    print_text(f"report: {path}")


def report_run(session: Session, folder: RunFolder, *, force: bool = False) -> Path:
    """The page of a run, made if it is not up to date. MissingError where an earlier stage is to be done first."""
    from ncdcli.cli.progress import open_progress
    from ncdcli.cli.stages import check_ready
    from ncdcli.cli.target import resolve_target
    from ncdcli.pipeline.context import Resources
    from ncdcli.pipeline.plan import make_plan
    from ncdcli.pipeline.runner import execute

    resolved, folder = resolve_target(str(folder.path))
    forced = ("report",) if force else ()
    plan = make_plan(resolved.recipe, folder, only=("report",), force=forced)
    check_ready("report", str(folder.path), resolved, folder, plan, Resources())
    if not plan.nothing_to_do:
        session.run = folder.path
        execute(
            resolved, folder, stages=("report",), force=forced,
            progress=open_progress(quiet=session.quiet), command=session.command,
        )  # fmt: skip
    return folder.stage_dir("report") / "report.html"


def _compare(folders: list[RunFolder], path: Path) -> Path:
    from ncdcli.reports.comparison import compare, read_entry
    from ncdcli.reports.comparison_page import render_comparison

    entries = [read_entry(folder.path, folder.recipe().model_dump(mode="json")) for folder in folders]
    if unscored := [entry.run for entry in entries if not entry.scored]:
        raise UsageError(
            f"{counted(len(unscored), 'run has', 'runs have')} no scores yet: {', '.join(unscored)}",
            hint=f"ncd run {unscored[0]}",
        )
    _write(path, render_comparison(compare(entries)).encode())
    return path


def _copy(source: Path, target: Path) -> None:
    _write(target, source.read_bytes())


def _write(path: Path, content: bytes) -> None:
    from ncdcli.run.files import write_atomic

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)

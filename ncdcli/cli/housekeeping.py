"""`ncd clean` and `ncd doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from ncdcli.cli import options
from ncdcli.cli.output import print_text
from ncdcli.cli.session import session_of

PANEL = "Housekeeping"


def add_housekeeping_commands(app: typer.Typer) -> None:
    """Register `clean` and `doctor`."""
    app.command("clean", rich_help_panel=PANEL)(clean)
    app.command("doctor", rich_help_panel=PANEL)(doctor)


def clean(
    context: typer.Context,
    run: options.RunArgument,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove interrupted work as well: it can no longer be resumed.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed; remove nothing.")] = False,
    json: options.JsonOption = False,
) -> None:
    """Remove replaced results and interrupted work that cannot be resumed; finished stages stay."""
    from ncdcli.cli.target import find_run
    from ncdcli.pipeline.clean import clean as remove_unused

    session = session_of(context, json=json)
    folder = find_run(run)
    cleaned = remove_unused(folder, dry_run=dry_run, everything=everything)
    if json:
        content = {"run": str(folder.path), "removed": [str(path) for path in cleaned.folders], "dry_run": dry_run}
        session.answer({**content, "freed_bytes": cleaned.freed_bytes})
        return
    for path in cleaned.folders:
        print_text(str(path))
    size = f"{cleaned.freed_bytes / 1e6:.1f} MB"
    if not cleaned.folders:
        print_text("nothing to remove")
    else:
        print_text(f"would free {size}" if dry_run else f"freed {size}")


def doctor(context: typer.Context, json: options.JsonOption = False) -> None:
    """Describe this machine and its packages; say what is missing and how to get it."""
    from ncdcli.cli.doctor import examine

    examine(session_of(context, json=json))

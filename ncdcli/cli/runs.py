"""`ncd runs`, `ncd show`, `ncd compare`: what runs there are and what they found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncdcli.cli import options
from ncdcli.cli.output import csv_table, markdown_table, percent, print_table, print_text, seconds
from ncdcli.cli.session import Session, session_of
from ncdcli.cli.status import status
from ncdcli.errors import MissingError, UsageError
from ncdcli.pipeline.spec import BY_NAME
from ncdcli.words import counted

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
            f"{len(entry['done'])}/{len(BY_NAME)}",
            entry["scores"].get("name") or "–",
            *(percent(entry["scores"].get(subset)) for subset in ("all", "known", "novel")),
            "–" if entry["k"] is None else str(entry["k"]),
            entry["created"][:16].replace("T", " "),
        )
        for entry in entries
    ]
    columns = ("run", "recipe", "stages", "protocol.split", "all %", "known %", "novel %", "k", "created (UTC)")
    print_table(columns, rows, right=("stages", "all %", "known %", "novel %", "k"))


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
        "in_use_by": None if owner is None else owner.pid,
        "scores": headline(metrics),
        "k": metrics.get("k", {}).get("estimated"),
    }


def show(context: typer.Context, run: options.RunArgument, json: options.JsonOption = False) -> None:
    """Show a run: its recipe in short, scores, stages and times."""
    from ncdcli.cli.target import find_run
    from ncdcli.reports.scores import read_metrics

    session = session_of(context, json=json)
    folder = find_run(run)
    recipe = folder.recipe()
    info = folder.info()
    stages = [_stage_row(folder, stage) for stage in BY_NAME]
    metrics = read_metrics(folder.path)
    if json:
        session.answer(
            {
                "run": str(folder.path),
                "created": info.created,
                "commands": list(info.commands),
                "recipe": recipe.model_dump(mode="json"),
                "stages": stages,
                "metrics": metrics,
            }
        )
        return
    from ncdcli.cli.summary import print_scores

    print_text(f"{recipe.name}, seed {recipe.seed}, in {folder.path}")
    if recipe.description:
        print_text(recipe.description.strip())
    print_table(("part", "setting"), recipe_summary(recipe))
    print_text()
    rows = [
        (row["stage"], seconds(row["seconds"]), row["device"] or "–", (row["started"] or "–")[:19]) for row in stages
    ]
    print_table(("stage", "time", "device", "started (UTC)"), rows, right=("time",))
    print_text()
    if metrics:
        print_scores(metrics, everything=True)
    else:
        print_text(f"no scores yet: `ncd run {folder.path}`")


def _stage_row(folder: RunFolder, stage: str) -> dict[str, Any]:
    manifest = folder.manifest(stage)
    names = ("seconds", "device", "started", "reused_from", "peak_memory_bytes")
    known = {name: None if manifest is None else getattr(manifest, name) for name in names}
    return {"stage": stage, "done": manifest is not None, **known}


def recipe_summary(recipe: Any) -> list[tuple[str, str]]:
    """(part, setting) rows: what is chosen in each section, and fields that are not at their default."""
    data = recipe.data
    rows = [("data", _data_text(data)), ("backbone", _section_text(recipe.backbone))]
    pretrain = recipe.pretrain
    epochs = f", {counted(pretrain.epochs, 'epoch')}" if pretrain.objective.kind != "none" else ""
    rows.append(("pretrain", _section_text(pretrain.objective) + epochs))
    rows.append(("estimate_k", _section_text(recipe.estimate_k)))
    rows.append(("cluster", _section_text(recipe.cluster)))
    return rows


def _data_text(data: Any) -> str:
    """Name, setting and the fields that were chosen: `digits, gcd setting, known_classes=5`."""
    name = data.card if data.card is not None else data.source.kind
    chosen = data.model_dump(mode="json", exclude_defaults=True, exclude={"card", "source", "root", "setting"})
    return ", ".join([name, f"{data.setting} setting", *(f"{field}={value}" for field, value in chosen.items())])


def _section_text(section: Any) -> str:
    """The kind and the fields that were chosen: `timm (name=vit_small, train_last_blocks=1)`."""
    chosen = section.model_dump(mode="json", exclude_defaults=True)
    fields = ", ".join(f"{name}={value}" for name, value in chosen.items() if name != "kind")
    return f"{section.kind} ({fields})" if fields else str(section.kind)


def compare(
    context: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Run folders, or their names.", autocompletion=options.complete_runs),
    ],
    markdown: Annotated[bool, typer.Option("--md", help="Print a Markdown table.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a row per run, every score as a fraction.")] = False,
    json: options.JsonOption = False,
) -> None:
    """Compare runs: recipe fields that differ, and scores, seeds grouped into mean ± sd."""
    from ncdcli.cli.target import find_run
    from ncdcli.reports import comparison as comparing

    session = session_of(context, json=json)
    if markdown + csv + json > 1:
        raise UsageError("`--md`, `--csv` and `--json` exclude each other")
    folders = [find_run(run) for run in runs]
    entries = [
        comparing.read_entry(folder.path, folder.recipe().model_dump(mode="json"))
        for folder in {folder.path.resolve(): folder for folder in folders}.values()
    ]
    comparison = comparing.compare(entries)
    if json:
        session.answer(comparison.as_json())
        return
    if csv:
        print_text(csv_table(*comparing.flat_rows(comparison)))
        return
    scores, differences = comparing.score_table(comparison), comparing.difference_table(comparison)
    if markdown:
        print_text(markdown_table(*scores))
        print_text()
        print_text(markdown_table(*differences))
        return
    print_table(*scores, right=comparison.score_paths())
    if differences[1]:
        print_text()
        print_table(*differences)
    for entry in entries:
        if not entry.scores:
            session.note(f"note: `{entry.run}` has no scores yet")

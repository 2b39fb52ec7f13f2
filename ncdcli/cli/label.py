"""`ncd label`: names for clusters, and named clusters as labelled samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncdcli.cli import options
from ncdcli.cli.output import print_table, print_text
from ncdcli.cli.session import Session, session_of
from ncdcli.errors import MissingError, UsageError
from ncdcli.words import counted

if TYPE_CHECKING:
    from ncdcli.naming import Cluster, Names
    from ncdcli.run.folder import RunFolder


def add_label_command(app: typer.Typer) -> None:
    """Register `ncd label`."""
    app.command("label", rich_help_panel="Results")(label)


def label(
    context: typer.Context,
    run: options.RunArgument,
    promote: Annotated[
        Path | None,
        typer.Option("--promote", metavar="OUT", help="Write named clusters as labelled samples to a new folder."),
    ] = None,
    least_margin: Annotated[
        float | None,
        typer.Option("--min-margin", metavar="M", help="Promote only samples with this margin or more, -1 to 1."),
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Keep the present clusters.csv under another name, and write a new one.")
    ] = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Give clusters names: writes clusters.csv to fill in, or reads it back and uses the names from then on."""
    from ncdcli.cli.target import find_run
    from ncdcli.naming import FILE, clusters_of, fits, read_names

    session = session_of(context, json=json, quiet=quiet)
    if least_margin is not None and promote is None:
        raise UsageError("`--min-margin` goes with `--promote`")
    if renew and promote is not None:
        raise UsageError("`--renew` and `--promote` exclude each other")
    folder = find_run(run)
    path = folder.path / FILE
    clusters = clusters_of(folder.path)
    if renew or not path.is_file():
        if promote is not None:
            raise MissingError(f"`{path}` is not there: no cluster has a name yet", hint=f"ncd label {folder.path}")
        _write(session, folder, clusters, path)
        return
    if not fits(path, clusters):
        session.note(f"note: `{path}` was written for another clustering of this run")
    names = read_names(path, clusters)
    if promote is not None:
        _promote(session, folder, names, promote, least_margin)
        return
    _use(session, folder, clusters, names)


def _write(session: Session, folder: RunFolder, clusters: list[Cluster], path: Path) -> None:
    """Write the file to be filled in; one that is there is kept beside it."""
    from ncdcli.naming import NOVEL, write_template

    kept = None
    with folder.lock(session.command):
        if path.is_file():
            kept = _free_name(path)
            path.rename(kept)
        write_template(path, [replace(one, suggested_name=_suggestion(folder, one)) for one in clusters])
    novel = sum(cluster.match == NOVEL for cluster in clusters)
    if session.json:
        session.answer({"run": str(folder.path), "file": str(path), "kept": kept and str(kept), "written": True})
        return
    if kept is not None:
        print_text(f"the names given before: {kept}")
    print_text(f"to fill in: {path}")
    print_text(f"{counted(novel, 'novel cluster')} first; write `name`, or in `merge_into` the number of another one")
    if (page := folder.stage_dir("report") / "report.html").is_file():
        print_text(f"to look at them: {page}")
    print_text(f"next: ncd label {folder.path}")


def _suggestion(folder: RunFolder, cluster: Cluster) -> str:
    """What sets a cluster of table rows apart, in a few words; nothing for other data."""
    from ncdcli.reports.facts import feature_words, read_clusters

    rows = {row["cluster"]: row for row in read_clusters(folder.path)["clusters"]}
    features = rows.get(cluster.number, {}).get("features") or []
    return cluster.suggested_name or ", ".join(map(feature_words, features[:2]))


def _use(session: Session, folder: RunFolder, clusters: list[Cluster], names: Names) -> None:
    """Bring report and assignments up to date with the names."""
    from ncdcli.cli.report import report_run
    from ncdcli.naming import described

    page = report_run(session, folder)
    assignments = page.with_name("assignments.csv")
    rows = described(names, clusters)
    if session.json:
        files = {"report": str(page), "assignments": str(assignments)}
        session.answer({"run": str(folder.path), "written": False, "clusters": rows, **files})
        return
    print_table(("cluster", "size", "match", "name", "part of", "note"), [_cells(row) for row in rows], right=("size",))
    named = sum(names.given)
    print_text(f"{counted(named, 'cluster')} named, {names.merged} merged, {counted(names.count, 'cluster')} in all")
    print_text(f"assignments: {assignments}")
    print_text(f"report: {page}")
    print_text(
        f"next: ncd label {folder.path} --promote OUT" if named else f"to fill in: {folder.path / 'clusters.csv'}"
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    into = row["merge_into"]
    name = row["name"] if row["named"] or row["match"] != "novel" else "–"
    return str(row["cluster"]), str(row["size"]), row["match"], name, "–" if into is None else str(into), row["note"]


def _promote(session: Session, folder: RunFolder, names: Names, out: Path, least_margin: float | None) -> None:
    from ncdcli.promote import promote as write_labelled

    promoted = write_labelled(folder, names, out, least_margin=-1.0 if least_margin is None else least_margin)
    if session.json:
        session.answer(
            {
                "run": str(folder.path),
                "folder": str(promoted.folder),
                "labelled": promoted.labelled,
                "promoted": promoted.promoted,
                "pool": promoted.pool,
                "left_out": promoted.left_out,
                "next": promoted.next_command,
            }
        )
        return
    rows = [(name, str(count)) for name, count in promoted.labelled.items()]
    print_table(("class", "labelled samples"), rows, right=("labelled samples",))
    print_text(f"{counted(promoted.promoted, 'sample')} of the pool labelled now, {promoted.pool:,} still without")
    if promoted.left_out:
        print_text(f"{counted(promoted.left_out, 'test sample')} left where they are")
    print_text(f"next: {promoted.next_command}")


def _free_name(path: Path) -> Path:
    """A name beside the file that nothing has yet: `clusters.1.csv`, …"""
    number = 1
    while (found := path.with_suffix(f".{number}{path.suffix}")).exists():
        number += 1
    return found

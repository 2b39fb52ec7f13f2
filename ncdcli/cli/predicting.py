"""`ncd predict`: new samples in the clusters of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ncdcli.cli import options
from ncdcli.cli.output import print_table, print_text
from ncdcli.cli.session import session_of
from ncdcli.words import counted


def add_predict_command(app: typer.Typer) -> None:
    """Register `ncd predict`."""
    app.command("predict", rich_help_panel="Results")(predict)


def predict(
    context: typer.Context,
    run: options.RunArgument,
    input: Annotated[
        Path, typer.Option("--input", "-i", metavar="PATH", help="A folder of images, a table, or an .npy file.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="CSV to write; default `RUN/predictions/INPUT.csv`."),
    ] = None,
    device: options.DeviceOption = "auto",
    workers: options.WorkersOption = 0,
    deterministic: options.DeterministicOption = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Assign new samples to the discovered clusters."""
    from ncdcli.cli.progress import open_progress
    from ncdcli.cli.target import find_run
    from ncdcli.naming import FILE
    from ncdcli.pipeline.context import Resources
    from ncdcli.predict import cluster_matches, cluster_names, predict_samples

    session = session_of(context, json=json, quiet=quiet)
    folder = find_run(run)
    resources = Resources(device=options.check_device(device), workers=workers, deterministic=deterministic)
    predictions = predict_samples(folder, input, resources=resources, progress=open_progress(quiet=quiet))
    path = folder.path / "predictions" / f"{input.stem}.csv" if output is None else output
    predictions.write(path)

    counts = predictions.counts()
    names = cluster_names(predictions)
    if predictions.names is None and (folder.path / FILE).is_file():
        session.note(f"note: `{folder.path / FILE}` names another clustering of this run: its names are not used")
    if json:
        matches = cluster_matches(predictions)
        clusters = [
            {"cluster": cluster, "match": matches[cluster], "name": names[cluster], "samples": count}
            for cluster, count in counts.items()
        ]
        session.answer({"run": str(folder.path), "file": str(path), "samples": len(predictions), "clusters": clusters})
        return
    rows = [(str(cluster), names[cluster], str(count)) for cluster, count in counts.items()]
    what = "match" if predictions.names is None else "name"
    print_table(("cluster", what, "samples"), rows, right=("cluster", "samples"))
    print_text(f"{counted(len(predictions), 'sample')}, written to {path}")

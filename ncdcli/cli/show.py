"""`ncd show`: what a run found, in the terminal; the facts of its page without the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncdcli.cli import options
from ncdcli.cli.cluster_tables import Table, apart_table, clusters_table
from ncdcli.cli.output import csv_table, markdown_table, percent, print_table, print_text, seconds
from ncdcli.cli.session import session_of
from ncdcli.errors import UsageError
from ncdcli.pipeline.spec import ORACLE, STAGES, stages_of
from ncdcli.words import counted

if TYPE_CHECKING:
    from ncdcli.run.folder import RunFolder

SHOWN_CLASSES = 20
NO_CURVES = ("lr",)  # of a training, in the terminal


def show(
    context: typer.Context,
    run: options.RunArgument,
    markdown: Annotated[bool, typer.Option("--md", help="Print Markdown tables.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a row for every number, scores as fractions.")] = False,
    json: options.JsonOption = False,
) -> None:
    """Show a run: recipe, scores, clusters, counting, training, stages and times."""
    from ncdcli.cli.target import find_run

    session = session_of(context, json=json)
    if markdown + csv + json > 1:
        raise UsageError("`--md`, `--csv` and `--json` exclude each other")
    folder = find_run(run)
    if json:
        session.answer(_content(folder))
    elif csv:
        print_text(csv_table(("what", "value"), _numbers(folder)))
    elif markdown:
        _print_markdown(folder)
    else:
        _print(folder)


def _content(folder: RunFolder) -> dict[str, Any]:
    from ncdcli.reports.facts import criteria, read_clusters, read_counting, read_rows, training_series
    from ncdcli.reports.scores import read_metrics

    recipe, info = folder.recipe(), folder.info()
    candidates = read_rows(folder.stage_dir("estimate_k") / "scores.csv")
    return {
        "run": str(folder.path),
        "created": info.created,
        "commands": list(info.commands),
        "recipe": recipe.model_dump(mode="json"),
        "stages": [_stage_row(folder, spec.name) for spec in stages_of(recipe, STAGES)],
        "metrics": read_metrics(folder.path),
        "counting": read_counting(folder.path) | {"scores": criteria(candidates)},
        **read_clusters(folder.path),
        "classes": [dict(row) for row in read_rows(folder.stage_dir("evaluate") / "per_class.csv")],
        "training": training_series(folder.path),
        "report": _page(folder),
    }


def _numbers(folder: RunFolder) -> list[tuple[str, Any]]:
    """(dotted path, number) of scores, counts and costs, for a program that reads CSV."""
    from ncdcli.reports.comparison import read_cost
    from ncdcli.reports.facts import read_clusters, read_counting
    from ncdcli.reports.scores import numbers_by_path, read_metrics

    numbers = numbers_by_path(read_metrics(folder.path)) | read_cost(folder.path)
    numbers |= numbers_by_path({"counting": read_counting(folder.path)})
    for cluster in read_clusters(folder.path)["clusters"]:
        facts = {name: cluster.get(name) for name in ("size", "confidence") if cluster.get(name) is not None}
        facts |= {"purity": cluster["purity"]["value"]} if cluster.get("purity") else {}
        numbers |= numbers_by_path({f"cluster {cluster['cluster']}": facts})
    rule = read_metrics(folder.path).get("selection")
    stamp = [("selection", rule)] if rule == ORACLE else []
    return [*stamp, *((path, "" if value != value else value) for path, value in numbers.items())]


def _print(folder: RunFolder) -> None:
    from ncdcli.cli.summary import print_scores
    from ncdcli.reports.scores import read_metrics

    recipe, metrics = folder.recipe(), read_metrics(folder.path)
    print_text(f"{recipe.name}, seed {recipe.seed}, in {folder.path}")
    if recipe.description:
        print_text(recipe.description.strip())
    print_table(("part", "setting"), recipe_summary(recipe))
    if metrics:
        print_text()
        print_scores(metrics, everything=True)
    for table in _tables(folder):
        print_text()
        print_table(table.columns, table.rows, right=table.right, title=table.title)
    for line in _suggestion_lines(folder):
        print_text(line)
    print_text()
    stages = _stages_table(folder)
    print_table(stages.columns, stages.rows, right=stages.right)
    print_text()
    if not metrics:
        print_text(f"no scores yet: `ncd run {folder.path}`")
    elif page := _page(folder):
        print_text(f"report: {page}")
    else:
        print_text(f"to look at the clusters: ncd report {folder.path}")


def _print_markdown(folder: RunFolder) -> None:
    from ncdcli.reports.scores import SUBSETS, protocols, read_metrics, rule_text

    recipe, metrics = folder.recipe(), read_metrics(folder.path)
    scores = [
        (name, *(percent(values.get(subset)) for subset in SUBSETS)) for name, values in protocols(metrics).items()
    ]
    print_text(f"## {recipe.name}, seed {recipe.seed}")
    if metrics:
        print_text(f"\nselection rule: {rule_text(metrics['selection'])}")
    tables = [
        Table("Recipe", ("part", "setting"), recipe_summary(recipe)),
        Table("Scores", ("protocol.split", "all %", "known %", "novel %"), scores),
        *_tables(folder),
        _stages_table(folder),
    ]
    for table in tables:
        if table.rows:
            print_text(f"\n### {table.title}\n")
            print_text(markdown_table(table.columns, table.rows))


def _tables(folder: RunFolder) -> list[Table]:
    """Clusters, classes, counting and training, as far as there are any."""
    found = [
        clusters_table(folder),
        apart_table(folder),
        _classes_table(folder),
        _counting_table(folder),
        _training_table(folder),
    ]
    return [table for table in found if table.rows]


def _classes_table(folder: RunFolder) -> Table:
    from ncdcli.reports.facts import number, read_rows

    rows = read_rows(folder.stage_dir("evaluate") / "per_class.csv")
    rows = sorted(
        rows, key=lambda row: (row["split"] != "unlabelled", row["known"] == "yes", number(row["recall"]) or 0)
    )
    columns = ("class", "kind", "split", "samples", "recall %", "precision %", "cluster")
    cells = [
        (
            row["class"],
            "known" if row["known"] == "yes" else "novel",
            row["split"],
            row["n"],
            percent(number(row["recall"])),
            percent(number(row["precision"])),
            row["cluster"] or "–",
        )
        for row in rows[:SHOWN_CLASSES]
    ]
    more = f", the {SHOWN_CLASSES} hardest of {len(rows)}" if len(rows) > SHOWN_CLASSES else ""
    return Table(f"Classes{more}", columns, cells, ("samples", "recall %", "precision %", "cluster"))


def _counting_table(folder: RunFolder) -> Table:
    from ncdcli.reports.facts import criteria, read_rows

    curves = criteria(read_rows(folder.stage_dir("estimate_k") / "scores.csv"))
    return _curves("Counting", "criterion", "k", curves)


def _training_table(folder: RunFolder) -> Table:
    from ncdcli.reports.facts import training_series

    curves = training_series(folder.path)
    shown = {name: curve for name, curve in curves.items() if name.rpartition("/")[2] not in NO_CURVES}
    return _curves("Training", "value", "epochs", shown)


def _curves(title: str, what: str, over: str, curves: Mapping[str, Sequence[tuple[float, float]]]) -> Table:
    """A line of bars for each curve, with where it begins, ends, and is greatest."""
    from ncdcli.reports.facts import sparkline

    rows = []
    for name, points in curves.items():
        values = [value for _, value in points]
        best = max(points, key=lambda point: point[1])
        span = f"{points[0][0]:.0f}–{points[-1][0]:.0f}"
        rows.append((name, span, sparkline(values), f"{values[0]:.4g}", f"{values[-1]:.4g}", f"{best[0]:.0f}"))
    return Table(title, (what, over, "curve", "first", "last", "greatest at"), rows, ("first", "last", "greatest at"))


def _suggestion_lines(folder: RunFolder) -> list[str]:
    from ncdcli.reports.facts import read_clusters

    found = read_clusters(folder.path)
    names = {cluster["cluster"]: cluster["name"] for cluster in found["clusters"]}
    merges = [f"{names.get(a, a)} and {names.get(b, b)}" for a, b in (one["clusters"] for one in found["merges"])]
    splits = [str(names.get(one["cluster"], one["cluster"])) for one in found["splits"]]
    return [
        *([f"may be one class, with no gap between them: {'; '.join(merges)}"] if merges else []),
        *([f"may be several classes, with a gap inside: {', '.join(splits)}"] if splits else []),
    ]


def _stages_table(folder: RunFolder) -> Table:
    rows = [
        (row["stage"], seconds(row["seconds"]), row["device"] or "–", (row["started"] or "–")[:19])
        for row in (_stage_row(folder, spec.name) for spec in stages_of(folder.recipe(), STAGES))
    ]
    return Table("Stages", ("stage", "time", "device", "started (UTC)"), rows, ("time",))


def _stage_row(folder: RunFolder, stage: str) -> dict[str, Any]:
    manifest = folder.manifest(stage)
    names = ("seconds", "device", "started", "reused_from", "peak_memory_bytes")
    known = {name: None if manifest is None else getattr(manifest, name) for name in names}
    return {"stage": stage, "done": manifest is not None, **known}


def _page(folder: RunFolder) -> str | None:
    path = folder.stage_dir("report") / "report.html"
    return str(path) if path.is_file() else None


def recipe_summary(recipe: Any) -> list[tuple[str, ...]]:
    """(part, setting) rows: what is chosen in each section, and fields that are not at their default."""
    data = recipe.data
    rows: list[tuple[str, ...]] = [("data", _data_text(data)), ("backbone", _section_text(recipe.backbone))]
    pretrain = recipe.pretrain
    epochs = f", {counted(pretrain.epochs, 'epoch')}" if pretrain.objective.kind != "none" else ""
    rows.append(("pretrain", _section_text(pretrain.objective) + epochs))
    rows.append(("estimate_k", _section_text(recipe.estimate_k)))
    joint = recipe.joint_training
    if joint is not None:
        rows.append(("joint_training", f"{_section_text(joint.method)}, {counted(joint.epochs, 'epoch')}"))
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

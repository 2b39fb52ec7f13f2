"""`report`: one page that shows what was found, and a description of every cluster."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ncdcli.data.columns import read_columns, write_columns
from ncdcli.jsonfile import write_json
from ncdcli.pipeline.context import StageContext
from ncdcli.reports.report_page import Discovery, cluster_rows, discover, render_report
from ncdcli.reports.results import Results, read_results


def run(context: StageContext, config: Any) -> None:
    """Write `report.html`, `clusters.json`, and `assignments.csv` where the user has named clusters.

    `clusters.json` has a row for each cluster, merged ones together, and suggestions to merge and split. The truth is
    shown where there is one, and decides nothing but `purity`. `assignments.csv` is that of `cluster` with the columns
    `name` and `merged`, the number of the cluster that it is part of.
    """
    results = read_results(context.inputs)
    if results.names_left_out:
        context.progress.note(
            "report: `clusters.csv` names another clustering and is left out; `ncd label RUN --renew` starts a new one"
        )
    discovery = discover(context, config, results)
    write_json(context.output / "clusters.json", _content(results, discovery))
    if results.named:
        _write_assignments(context, results)
    page = render_report(context, config, results, discovery)
    (context.output / "report.html").write_text(page, "utf-8")


def _content(results: Results, discovery: Discovery) -> dict[str, Any]:
    return json.loads(json.dumps({"named": results.named, **cluster_rows(results, discovery)}))


def _write_assignments(context: StageContext, results: Results) -> None:
    path = context.inputs["cluster/assignments.csv"]
    header = path.open(encoding="utf-8").readline().strip().split(",")
    columns = read_columns(path, texts=header)
    names = np.array(results.names.names, dtype=object)
    columns |= {"name": names[results.clusters], "merged": results.groups}
    write_columns(context.output / "assignments.csv", {name: values.tolist() for name, values in columns.items()})

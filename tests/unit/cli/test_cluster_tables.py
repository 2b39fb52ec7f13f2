"""What `ncd show` says of the clusters of a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ncdcli.cli.cluster_tables import apart_table
from ncdcli.run.folder import RunFolder


def write(folder: Path, *clusters: dict[str, Any]) -> RunFolder:
    (folder / "report").mkdir()
    rows = [{"cluster": number, "name": f"new {number}", **cluster} for number, cluster in enumerate(clusters)]
    (folder / "report/clusters.json").write_text(json.dumps({"clusters": rows}))
    return RunFolder(folder)


def feature(column: str, difference: float, category: str | None = None, *, term: bool = False) -> dict[str, Any]:
    return {"column": column, "category": category, "difference": difference, "term": term}


def test_differences_have_a_direction_and_rules_their_precision_and_recall(tmp_path: Path) -> None:
    rule = {"conditions": ["width > 3.1", "colour is red"], "precision": 0.913, "recall": 0.8}
    run = write(
        tmp_path,
        {"features": [feature("width", 2.13), feature("colour", -1.3, "red"), feature("text", 0.9, "cash", term=True)]},
        {"features": [feature("width", -0.5)], "rule": rule},
        {"features": [], "rule": None},
    )
    table = apart_table(run)
    assert table.columns == ("cluster", "name", "differs by (sd)", "rule", "precision %", "recall %")
    assert list(table.rows) == [
        ("0", "new 0", "width +2.1, colour red -1.3, cash +0.9", "–", "–", "–"),
        ("1", "new 1", "width -0.5", "width > 3.1 and colour is red", "91.3", "80.0"),
    ]


def test_clusters_without_columns_have_no_table(tmp_path: Path) -> None:
    assert not apart_table(write(tmp_path, {"sizes": {}})).rows

"""`selection: oracle` is said wherever a number that it touched is shown."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from finished import Ncd

from ncdcli.reports.scores import STAMP

ORACLE = (
    "run tiny.yaml --run runs/oracle --set 'backbone={kind: small_cnn, widths: [8], dim: 8}' "
    "--set 'pretrain={objective: {kind: cross_entropy}, epochs: 2, selection: oracle}'"
)
RULE = f"selection rule: oracle ({STAMP})"
NOTE = "note: `pretrain.selection: oracle` chooses by the labels that are scored: not comparable"


def test_every_number_that_an_oracle_touched_is_stamped(ncd: Ncd) -> None:
    assert NOTE in ncd(f"{ORACLE} --dry-run").err
    done = ncd(ORACLE)
    assert done.code == 0
    assert NOTE in done.err
    assert RULE in done.out.splitlines()
    assert json.loads(Path("runs/oracle/evaluate/metrics.json").read_text())["selection"] == "oracle"
    assert ncd("eval runs/oracle --json").json["headline"]["selection"] == "oracle"
    assert f"<b>Oracle:</b> {STAMP}." in Path("runs/oracle/report/report.html").read_text()
    assert STAMP not in Path("runs/tiny/report/report.html").read_text()

    assert RULE in ncd("show runs/oracle").out.splitlines()
    assert RULE in ncd("show runs/oracle --md").out.splitlines()
    assert "selection,oracle" in ncd("show runs/oracle --csv").out.splitlines()
    assert "selection" not in ncd("show runs/tiny --csv").out
    listed = {line.split()[0]: line for line in ncd("runs").out.splitlines() if line.startswith("runs/")}
    assert "gcd_v2.unlabelled (oracle)" in listed["runs/oracle"]
    assert "oracle)" not in listed["runs/tiny"]


def test_a_comparison_says_which_recipe_is_stamped(ncd: Ncd) -> None:
    assert ncd(f"{ORACLE} --until evaluate").code == 0
    for form in ("", " --md"):
        shown = ncd(f"compare runs/tiny runs/oracle{form}").out
        (line,) = [line for line in shown.splitlines() if STAMP in line]
        assert ": selection rule oracle" in line
    rows = list(csv.DictReader(ncd("compare runs/tiny runs/oracle --csv").out.splitlines()))
    assert [row["selection"] for row in rows] == ["last", "oracle"]
    groups = ncd("compare runs/tiny runs/oracle --json").json["groups"]
    assert [group["selection"] for group in groups] == ["last", "oracle"]
    assert ncd("report runs/tiny runs/oracle").code == 0
    assert STAMP in Path("comparison.html").read_text()

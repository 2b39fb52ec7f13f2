"""`ncd report`, `ncd show` and `ncd compare` on small runs."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from finished import tiny

RECIPE = tiny(estimate_k="{kind: max_acc, high: 12, restarts: 1}")


@pytest.fixture
def ncd(run_ncd: Callable) -> Callable:
    """In a folder with two methods, two seeds each."""
    Path("tiny.yaml").write_text(RECIPE)
    for seed in ("0", "1"):
        for kind in ("semi_kmeans", "kmeans"):
            words = ["--set", f"seed={seed}", "--set", f"cluster.kind={kind}", "--run", f"runs/{kind}-{seed}"]
            assert run_ncd("run", "tiny.yaml", "--quiet", *words).code == 0
    return run_ncd


RUNS = ["runs/semi_kmeans-0", "runs/semi_kmeans-1", "runs/kmeans-0", "runs/kmeans-1"]


def test_everything_that_is_printed_and_written(ncd: Callable) -> None:
    """One test: the runs take longer than all that is looked at."""
    run = Path(RUNS[0])
    page = run / "report" / "report.html"

    # The page of one run: made where it is not up to date, and only then.
    before = page.stat().st_mtime_ns
    assert ncd("report", RUNS[0]).out == f"report: {page}\n"
    assert page.stat().st_mtime_ns == before
    assert ncd("report", RUNS[0], "--force", "--quiet").code == 0
    assert page.stat().st_mtime_ns > before
    answer = json.loads(ncd("report", RUNS[0], "--output", "copy.html", "--json").out)
    assert answer == {"runs": [RUNS[0]], "file": "copy.html"}
    assert Path("copy.html").read_bytes() == page.read_bytes()

    # A page that compares runs, and the same in the terminal.
    assert ncd("report", *RUNS, "-o", "out/all.html").out == "report: out/all.html\n"
    compared = Path("out/all.html").read_text()
    content = json.loads(ncd("compare", *RUNS, "--json").out)
    assert [group["seeds"] for group in content["groups"]] == [[0, 1], [0, 1]]
    assert {test["n"] for test in content["tests"]} == {2}
    novel = [group["scores"]["gcd_v2.unlabelled.novel"] for group in content["groups"]]
    for scores in novel:
        assert f"{100 * scores['mean']:.1f} ± {100 * scores['sd']:.1f}" in compared
    assert content["groups"][0]["scores"]["cost.seconds"]["mean"] > 0
    table = ncd("compare", *RUNS).out
    assert "paired t" in table
    assert f"{100 * (novel[1]['mean'] - novel[0]['mean']):+.1f}" in table
    assert ncd("compare", *RUNS, "--md").out.count("|---") >= 3
    rows = list(csv.DictReader(io.StringIO(ncd("compare", *RUNS, "--csv").out)))
    assert [row["run"] for row in rows] == RUNS
    assert ncd("compare", *RUNS, "--csv", "--md").code == 2
    assert ncd("report", *RUNS, "--force").code == 2

    # One run in the terminal.
    clusters = json.loads((run / "report" / "clusters.json").read_text())["clusters"]
    shown = ncd("show", RUNS[0]).out
    assert all(any(line.split()[:1] == [str(one["cluster"])] for line in shown.splitlines()) for one in clusters)
    assert f"report: {page}" in shown
    markdown = ncd("show", RUNS[0], "--md").out
    assert [line[4:] for line in markdown.splitlines() if line.startswith("### ")] == [
        "Recipe", "Scores", "Clusters", "Classes", "Counting", "Stages",
    ]  # fmt: skip
    numbers = {row["what"]: row["value"] for row in csv.DictReader(io.StringIO(ncd("show", RUNS[0], "--csv").out))}
    metrics = json.loads((run / "evaluate" / "metrics.json").read_text())
    assert float(numbers["gcd_v2.unlabelled.novel"]) == metrics["gcd_v2"]["unlabelled"]["novel"]
    facts = json.loads(ncd("show", RUNS[0], "--json").out)
    assert facts["clusters"] == clusters
    assert {row["class"] for row in facts["classes"]} == {str(digit) for digit in range(10)}
    with open(run / "estimate_k" / "scores.csv", newline="") as file:
        tried = [[float(row["k"]), float(row["score"])] for row in csv.DictReader(file) if row["score"]]
    assert facts["counting"]["scores"]["score"] == tried
    assert ncd("show", RUNS[0], "--json", "--csv").code == 2

    # What is in the way is told with the command that helps.
    shutil.rmtree(run / "report")
    assert ncd("show", RUNS[0]).out.splitlines()[-1] == f"to look at the clusters: ncd report {RUNS[0]}"
    shutil.rmtree(run / "evaluate")
    ended = ncd("report", RUNS[0])
    assert (ended.code, ended.err.splitlines()[-1]) == (4, f"hint: ncd eval {RUNS[0]}")
    ended = ncd("report", *RUNS)
    assert (ended.code, ended.err.splitlines()[-1]) == (2, f"hint: ncd run {RUNS[0]}")
    assert ncd("eval", RUNS[0], "--quiet").code == 0
    assert page.is_file()

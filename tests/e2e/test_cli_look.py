"""`ncd status`, `show`, `compare`, `clean` and `doctor`, on a small run that trains nothing."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from finished import STAGES, Ncd

from ncdcli.clustering import loops
from ncdcli.run.folder import RunFolder


class TestStatus:
    def test_a_finished_run_is_done(self, ncd: Ncd) -> None:
        result = ncd("status tiny --json")
        assert [(stage["stage"], stage["state"]) for stage in result.json["stages"]] == [(s, "done") for s in STAGES]

    def test_a_deleted_stage_is_missing_and_the_next_ones_depend_on_it(self, ncd: Ncd) -> None:
        shutil.rmtree("runs/tiny/embed")
        stages = {stage["stage"]: stage for stage in ncd("status tiny --json").json["stages"]}
        assert stages["embed"]["state"] == "missing"
        assert stages["cluster"]["state"] == "stale"
        assert "depends on `embed`" in stages["cluster"]["reason"]
        assert ncd("status tiny").out.splitlines()[-1] == "to go on: ncd run runs/tiny"

    def test_a_changed_field_makes_a_stage_stale_and_says_which(self, ncd: Ncd) -> None:
        recipe = Path("runs/tiny/recipe.yaml")
        recipe.write_text(recipe.read_text().replace("restarts: 2", "restarts: 4"))
        row = next(line for line in ncd("status tiny").out.splitlines() if line.startswith("cluster"))
        assert "stale" in row
        assert "`cluster.restarts` changed: 2 -> 4" in row

    def test_the_stage_that_another_process_is_at_is_running(self, ncd: Ncd) -> None:
        shutil.move("runs/tiny/cluster", "runs/tiny/elsewhere")
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "command": "ncd run tiny", "started": "2026-01-01"}
        Path("runs/tiny/.lock.json").write_text(json.dumps(owner))
        with open("runs/tiny/events.jsonl", "a") as events:
            events.write(json.dumps({"event": "started", "stage": "cluster"}) + "\n")
        states = {stage["stage"]: stage["state"] for stage in ncd("status tiny --json").json["stages"]}
        assert (states["estimate_k"], states["cluster"]) == ("done", "running")
        assert ncd("status tiny").out.splitlines()[-1].startswith(f"in use by pid {os.getpid()} ")

    def test_verify_sees_a_change_that_hides_its_date(self, ncd: Ncd) -> None:
        path = Path("runs/tiny/cluster/assignments.csv")
        stat = path.stat()
        path.write_bytes(path.read_bytes().replace(b"novel", b"nOvel", 1))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

        def state(line: str) -> str:
            return {stage["stage"]: stage["state"] for stage in ncd(line).json["stages"]}["cluster"]

        assert state("status tiny --json") == "done"
        assert state("status tiny --json --verify") == "stale"

    def test_without_a_run_all_are_listed(self, ncd: Ncd) -> None:
        assert ncd("status").out == ncd("runs").out
        (run,) = ncd("runs --json").json["runs"]
        assert (run["run"], run["done"], run["k"]) == ("runs/tiny", STAGES, 10)

    def test_where_nothing_has_run_that_is_said(self, fresh: Ncd) -> None:
        assert fresh("runs").code == 4

    def test_another_process_at_work_is_named(self, ncd: Ncd) -> None:
        with RunFolder("runs/tiny").lock("ncd run elsewhere"):
            assert "`ncd run elsewhere`" in ncd("status tiny").out.splitlines()[-1]


class TestShowAndCompare:
    def test_show_has_recipe_stages_and_every_score(self, ncd: Ncd) -> None:
        out = ncd("show tiny").out
        assert "digits, gcd setting" in out
        for name in (*STAGES, "gcd_v1.unlabelled", "nmi.unlabelled"):
            assert any(line.startswith(name) for line in out.splitlines()), name
        content = ncd("show tiny --json").json
        assert content["recipe"]["data"]["subset"] == 300
        assert all(stage["done"] for stage in content["stages"])

    def test_show_of_an_unscored_run_says_how_to_go_on(self, ncd: Ncd) -> None:
        shutil.rmtree("runs/tiny/evaluate")
        result = ncd("show tiny")
        assert result.code == 0
        assert result.out.splitlines()[-1] == "no scores yet: `ncd run runs/tiny`"

    def test_seeds_are_grouped_and_other_fields_are_columns(self, ncd: Ncd) -> None:
        assert ncd("run tiny.yaml --set seed=1 --quiet").code == 0
        assert ncd("run tiny.yaml --set cluster.kind=kmeans --run runs/plain --quiet").code == 0
        result = ncd("compare tiny tiny-seed1 plain --json")
        assert "cluster.kind" in result.json["differing"]
        both, plain = result.json["groups"]
        assert (both["seeds"], both["fields"]["cluster.kind"]) == ([0, 1], "semi_kmeans")
        values = [
            json.loads(Path(f"runs/{run}/evaluate/metrics.json").read_text())["gcd_v2"]["unlabelled"]["novel"]
            for run in ("tiny", "tiny-seed1")
        ]
        spread = both["scores"]["gcd_v2.unlabelled.novel"]
        assert spread["mean"] == pytest.approx(np.mean(values))
        assert spread["sd"] == pytest.approx(np.std(values, ddof=1))
        assert plain["fields"]["cluster.kind"] == "kmeans"

        markdown = ncd("compare tiny tiny-seed1 plain --md").out.splitlines()
        assert markdown[0].startswith("| recipe | seeds | gcd_v2.unlabelled.all |")
        assert markdown[4:6] == ["", "| recipe field | tiny #1 | tiny #2 |"]
        assert f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}" in markdown[2]
        rows = list(csv.DictReader(ncd("compare tiny tiny-seed1 plain --csv").out.splitlines()))
        assert [float(row["gcd_v2.unlabelled.novel"]) for row in rows[:2]] == values

    def test_formats_exclude_each_other(self, ncd: Ncd) -> None:
        assert ncd("compare tiny --md --csv").code == 2


class TestClean:
    def test_replaced_results_go_and_the_run_stays(self, ncd: Ncd) -> None:
        ncd("run tiny --set cluster.restarts=3 --quiet")
        old = sorted(Path("runs/tiny/.old").iterdir())
        assert old
        dry = ncd("clean tiny --dry-run --json").json
        assert [Path(path) for path in dry["removed"]] == old
        assert dry["freed_bytes"] > 0
        assert all(path.is_dir() for path in old)
        assert ncd("clean tiny").code == 0
        assert not any(path.exists() for path in old)
        assert set(ncd("run runs/tiny --json").actions.values()) == {"keep"}
        assert ncd("clean tiny").out == "nothing to remove\n"


class TestDoctor:
    def test_names_versions_and_what_is_missing(self, ncd: Ncd) -> None:
        import torch

        result = ncd("doctor --json")
        assert result.code == 0
        assert result.json["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]  # +cpu, +cu130
        assert result.json["data_root"]
        absent = {name for name, version in result.json["packages"].items() if version is None}
        assert {item["what"] for item in result.json["missing"]} == absent
        assert all(item["command"].startswith("pip install") for item in result.json["missing"])
        assert "torchvision" in ncd("doctor").out

    def test_it_says_whether_the_loops_of_clustering_are_compiled(
        self, ncd: Ncd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loops, "COMPILED", True)
        assert ncd("doctor --json").json["loops"] == "compiled"
        monkeypatch.setattr(loops, "COMPILED", False)
        monkeypatch.setattr(loops, "WHY_NOT", "no compiler")
        assert "(no compiler)" in ncd("doctor --json").json["loops"]


def test_version_and_help(ncd: Ncd) -> None:
    from ncdcli import __version__

    assert ncd("--version").out == f"ncd {__version__}\n"
    out = ncd("--help").out
    for name in ("run", "predict", "doctor", "init", "recipes", "data"):
        assert f" {name} " in out

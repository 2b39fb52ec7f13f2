"""`ncd run` and the commands of single stages as a user types them, on a small run that trains nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from finished import STAGES, Ncd
from toytraining import settings_of_torch

from ncdcli.models import embedding
from ncdcli.run.folder import RunFolder
from ncdcli.run.manifest import Manifest


class TestRun:
    def test_prints_scores_classes_files_and_what_is_next(self, fresh: Ncd) -> None:
        result = fresh("run tiny.yaml")
        assert result.code == 0
        metrics = json.loads(Path("runs/tiny/evaluate/metrics.json").read_text())
        row = next(line for line in result.out.splitlines() if line.startswith("gcd_v2.unlabelled"))
        assert [float(cell) for cell in row.split()[1:]] == [
            round(100 * metrics["gcd_v2"]["unlabelled"][subset], 1) for subset in ("all", "known", "novel")
        ]
        assert "number of classes: 10 estimated, 10 true" in result.out
        assert "selection rule: last" in result.out
        assert "scores: runs/tiny/evaluate/metrics.json" in result.out
        assert "assignments: runs/tiny/cluster/assignments.csv" in result.out
        assert "report: runs/tiny/report/report.html" in result.out
        assert result.out.splitlines()[-1] == "next: ncd show runs/tiny"

    def test_json_is_one_object_with_fractions(self, ncd: Ncd) -> None:
        result = ncd("run tiny.yaml --json")
        assert result.code == 0
        assert result.json["metrics"] == json.loads(Path("runs/tiny/evaluate/metrics.json").read_text())
        assert 0 < result.json["headline"]["novel"] < 1
        assert result.json["headline"]["name"] == "gcd_v2.unlabelled"
        assert Path(result.json["files"]["cluster"]).is_file()

    def test_a_finished_run_that_cannot_be_written_is_shown(self, ncd: Ncd, monkeypatch: pytest.MonkeyPatch) -> None:
        """An archive, or somebody else's: there is nothing to do, and nothing is written."""
        monkeypatch.setattr(RunFolder, "can_be_written", False)
        before = {path: path.stat().st_mtime_ns for path in Path("runs/tiny").rglob("*")}
        result = ncd("run tiny.yaml")
        assert (result.code, result.out.splitlines()[-1]) == (0, "next: ncd show runs/tiny")
        assert {path: path.stat().st_mtime_ns for path in Path("runs/tiny").rglob("*")} == before

    def test_a_finished_run_is_kept(self, ncd: Ncd) -> None:
        manifests = {stage: Path("runs/tiny", stage, "manifest.json").read_bytes() for stage in STAGES}
        assert set(ncd("run tiny.yaml --json").actions.values()) == {"keep"}
        assert {stage: Path("runs/tiny", stage, "manifest.json").read_bytes() for stage in STAGES} == manifests

    def test_a_changed_field_redoes_its_stage_and_those_after_it(self, ncd: Ncd) -> None:
        found = ncd("run runs/tiny --set cluster.restarts=3 --json").actions
        assert [found[stage] for stage in STAGES[:4]] == ["keep"] * 4
        assert found["cluster"] == "run"

    def test_force_runs_a_stage_that_is_done(self, ncd: Ncd) -> None:
        assert ncd("run tiny --force estimate-k --json").actions["estimate_k"] == "run"

    def test_deterministic_holds_where_torch_computes_and_changes_no_fingerprint(
        self, fresh: Ncd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[dict[str, object]] = []
        embed_rows = embedding.embed_rows

        def looked_at(*arguments: object, **keywords: object) -> None:
            seen.append(settings_of_torch())
            embed_rows(*arguments, **keywords)  # type: ignore[arg-type]

        monkeypatch.setattr(embedding, "embed_rows", looked_at)
        assert fresh("run tiny.yaml --until embed --deterministic").code == 0
        folder = RunFolder(Path("runs/tiny"))
        manifests = [folder.manifest(stage) for stage in ("split", "pretrain", "embed")]
        assert [manifest and manifest.deterministic for manifest in manifests] == [False, True, True]
        assert seen[0]["algorithms"]
        assert not settings_of_torch()["algorithms"]
        assert set(fresh("run tiny.yaml --until embed --json").actions.values()) == {"keep"}

    def test_deterministic_says_what_was_made_without_it(self, ncd: Ncd) -> None:
        assert "note:" not in ncd("run tiny.yaml --deterministic").err  # a CPU gives the same bytes in any case
        folder = Path("runs/tiny/embed")
        Manifest.read(folder).model_copy(update={"device": "cuda (NVIDIA H100)"}).write(folder)
        told = ncd("run tiny.yaml --deterministic --dry-run").err
        assert "note: embed was made without `--deterministic` and is kept: `--force embed` does it again" in told

    def test_until_stops_there(self, fresh: Ncd) -> None:
        result = fresh("run tiny.yaml --until split")
        assert result.code == 0
        assert result.out.splitlines()[-2:] == ["samples: runs/tiny/split/samples.csv", "next: ncd run runs/tiny"]
        assert [path.name for path in Path("runs/tiny").glob("[a-z]*") if path.is_dir()] == ["split"]

    def test_dry_run_says_what_and_why_and_writes_nothing(self, fresh: Ncd) -> None:
        result = fresh("run tiny.yaml --dry-run --json")
        assert [(step["stage"], step["action"]) for step in result.json["plan"]] == [("split", "run")] + [
            (stage, "run") for stage in STAGES[1:]
        ]
        assert not Path("runs").exists()

    def test_dry_run_names_the_field_that_changed(self, ncd: Ncd) -> None:
        result = ncd("run tiny --set cluster.restarts=3 --dry-run")
        row = next(line for line in result.out.splitlines() if line.startswith("cluster"))
        assert "`cluster.restarts` changed: 2 -> 3" in row

    def test_the_command_line_is_on_record(self, fresh: Ncd) -> None:
        fresh("run tiny.yaml --until split --set 'description=two words'")
        run = json.loads(Path("runs/tiny/run.json").read_text())
        assert run["commands"][-1]["command"] == "ncd run tiny.yaml --until split --set 'description=two words'"


class TestRequire:
    def test_a_met_bound_exits_with_0(self, ncd: Ncd) -> None:
        assert ncd("run tiny --require 'gcd_v2.unlabelled.novel>=0.1' --require k.error==0").code == 0

    def test_a_missed_bound_exits_with_6_after_the_results(self, fresh: Ncd) -> None:
        result = fresh("run tiny.yaml --require 'gcd_v2.unlabelled.novel>=0.99' --require k.error==0 --json")
        assert result.code == 6
        novel, error = result.json["requirements"]
        assert novel == {
            "path": "gcd_v2.unlabelled.novel",
            "operator": ">=",
            "bound": 0.99,
            "value": result.json["metrics"]["gcd_v2"]["unlabelled"]["novel"],
            "met": False,
        }
        assert error["met"] is True
        assert result.err.splitlines()[-1].endswith(f"is {novel['value']:.4g}, required >= 0.99")
        assert Path("runs/tiny/evaluate/metrics.json").is_file()

    def test_an_unknown_score_exits_with_2_and_the_names(self, ncd: Ncd) -> None:
        result = ncd("eval tiny --require 'gcd_v2.unlabelled.old>=0.5'")
        assert result.code == 2
        assert "gcd_v2.unlabelled.novel" in result.last_line

    def test_a_bound_that_cannot_be_read_is_found_before_anything_runs(self, fresh: Ncd) -> None:
        assert fresh("run tiny.yaml --require novel=1").code == 2
        assert not Path("runs").exists()

    def test_no_bound_without_scores(self, fresh: Ncd) -> None:
        assert fresh("run tiny.yaml --until cluster --require 'k.error<=1'").code == 2
        assert fresh("cluster tiny.yaml --require 'k.error<=1'").code == 2


class TestSingleStages:
    def test_the_stages_can_be_taken_one_by_one(self, fresh: Ncd) -> None:
        for command in ("pretrain", "embed", "estimate-k", "cluster", "eval"):
            result = fresh(f"{command} tiny.yaml")
            assert result.code == 0, result.err
        assert all(Path("runs/tiny", stage, "manifest.json").is_file() for stage in STAGES)

    @pytest.mark.parametrize(("command", "first"), [("embed", "pretrain"), ("discover", "pretrain")])
    def test_a_missing_earlier_stage_is_named_with_its_command(self, fresh: Ncd, command: str, first: str) -> None:
        result = fresh(f"{command} tiny.yaml")
        assert result.code == 4
        assert result.last_line == f"hint: ncd {first} tiny.yaml"
        assert not Path("runs").exists()

    def test_the_commands_of_the_hints_lead_to_the_end(self, fresh: Ncd) -> None:
        seen = []
        while (result := fresh("eval tiny.yaml")).code == 4:
            command = result.last_line.removeprefix("hint: ncd ")
            seen.append(command.split()[0])
            assert fresh(command).code == 0
        assert result.code == 0
        assert seen == ["pretrain", "discover"]

    def test_a_stale_earlier_stage_stands_in_the_way_too(self, ncd: Ncd) -> None:
        result = ncd("eval tiny --set cluster.restarts=3")
        assert result.code == 4
        assert "`cluster.restarts` changed" in result.err

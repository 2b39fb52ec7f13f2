"""`ncd` as a user types it, from a recipe to scores, on a small run that trains nothing."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ncdcli.cli.main import main
from ncdcli.run.folder import RunFolder

STAGES = ["split", "pretrain", "embed", "estimate_k", "cluster", "evaluate", "report"]
RECIPE = """\
version: 1
name: tiny
data: {card: digits, subset: 300}
backbone: {kind: identity}
pretrain: {objective: {kind: none}}
estimate_k: {kind: fixed, k: 10}
cluster: {kind: semi_kmeans, restarts: 2}
evaluate: {stability_seeds: 0}
report: {map: pca}
"""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)

    @property
    def last_line(self) -> str:
        return self.err.splitlines()[-1]


Ncd = Callable[..., Result]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tiny.yaml` and its finished run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yaml").write_text(RECIPE)
    before = Path.cwd()
    os.chdir(folder)
    with pytest.raises(SystemExit) as end:
        main(["run", "tiny.yaml", "--quiet", "--json"])
    os.chdir(before)
    assert end.value.code == 0
    return folder


@pytest.fixture
def ncd(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ncd:
    """Runs a command line in a copy of the finished folder."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def call(line: str) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main(shlex.split(line))
        captured = capfd.readouterr()
        return Result(int(end.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def fresh(ncd: Ncd) -> Ncd:
    """The same without the run."""
    shutil.rmtree("runs")
    return ncd


def write_own_data() -> np.ndarray:
    """`own.yaml`: 160 embeddings around 4 centres, which are returned; half of two classes' labels, no truth."""
    generator = np.random.default_rng(0)
    centres = 8 * np.eye(4, 6)
    classes = np.repeat(np.arange(4), 40)
    np.save("x.npy", (centres[classes] + generator.normal(size=(160, 6))).astype(np.float32))
    labels = [f"class{label}" if label < 2 and row % 2 else "" for row, label in enumerate(classes)]
    Path("y.csv").write_text("class\n" + "\n".join(labels) + "\n")
    Path("own.yaml").write_text(
        "version: 1\nname: own\n"
        "data: {source: {kind: embeddings, train: x.npy, labels: y.csv}, validation_fraction: 0.2}\n"
        "backbone: {kind: precomputed}\npretrain: {objective: {kind: none}}\n"
        "embed: {normalize: false}\nestimate_k: {kind: fixed, k: 4}\n"
    )
    return centres


def actions(result: Result) -> dict[str, str]:
    return {stage["stage"]: stage["action"] for stage in result.json["stages"]}


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
        assert set(actions(ncd("run tiny.yaml --json")).values()) == {"keep"}
        assert {stage: Path("runs/tiny", stage, "manifest.json").read_bytes() for stage in STAGES} == manifests

    def test_a_changed_field_redoes_its_stage_and_those_after_it(self, ncd: Ncd) -> None:
        found = actions(ncd("run runs/tiny --set cluster.restarts=3 --json"))
        assert [found[stage] for stage in STAGES[:4]] == ["keep"] * 4
        assert found["cluster"] == "run"

    def test_force_runs_a_stage_that_is_done(self, ncd: Ncd) -> None:
        assert actions(ncd("run tiny --force estimate-k --json"))["estimate_k"] == "run"

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
        assert set(actions(ncd("run runs/tiny --json")).values()) == {"keep"}
        assert ncd("clean tiny").out == "nothing to remove\n"


class TestWithoutTruth:
    def test_what_can_be_known_is_given_and_what_cannot_is_named(self, ncd: Ncd) -> None:
        write_own_data()
        result = ncd("run own.yaml")
        assert result.code == 0
        lines = result.out.splitlines()
        assert next(line for line in lines if line.startswith("known_accuracy.validation")).split()[1] == "100.0"
        assert any(line.startswith("silhouette of the pool: ") for line in lines)
        assert any(line.startswith("not available: unlabelled: ") for line in lines)
        assert "number of classes: 4 estimated" in lines
        assert ncd("run own --json").json["headline"] is None

    def test_a_bound_on_what_nobody_knows_names_what_is_known(self, ncd: Ncd) -> None:
        write_own_data()
        result = ncd("run own.yaml --require 'gcd_v2.unlabelled.novel>=0.5'")
        assert result.code == 2
        assert "gcd_v2.validation.known" in result.last_line


class TestPredict:
    def test_new_samples_go_to_the_nearest_centroid(self, ncd: Ncd, tmp_path: Path) -> None:
        """Against a plain restatement, on embeddings: every distance, then the least one."""
        centres, generator = write_own_data(), np.random.default_rng(1)
        assert ncd("run own.yaml --quiet").code == 0
        new = (centres[[0, 3, 2, 2]] + generator.normal(size=(4, 6))).astype(np.float32)
        np.save("new.npy", new)
        Path("x.npy").unlink()  # the samples that it was made from are not needed

        result = ncd("predict own --input new.npy --json")
        assert result.code == 0, result.err
        assert result.json["file"] == "runs/own/predictions/new.csv"
        centroids = np.load("runs/own/cluster/centroids.npy")
        expected = [min(range(4), key=lambda c: np.sum((row - centroids[c]) ** 2)) for row in new]
        rows = list(csv.DictReader(Path("runs/own/predictions/new.csv").read_text().splitlines()))
        assert [int(row["cluster"]) for row in rows] == expected
        assert rows[0]["match"] == "class0"
        assert [row["match"] for row in rows[1:]] == ["novel"] * 3
        assert rows[2]["cluster"] == rows[3]["cluster"] != rows[1]["cluster"]
        assert all(0 <= float(row["margin"]) <= 1 for row in rows)
        assert sum(entry["samples"] for entry in result.json["clusters"]) == 4

    def test_where_to_write_can_be_chosen(self, ncd: Ncd) -> None:
        from PIL import Image

        Path("images").mkdir()
        for number in range(3):
            Image.fromarray(np.full((8, 8), 80 * number, np.uint8)).save(f"images/{number}.png")
        result = ncd("predict tiny --input images --output deep/er/out.csv")
        assert result.code == 0, result.err
        assert [row["key"] for row in csv.DictReader(Path("deep/er/out.csv").read_text().splitlines())] == [
            "0.png",
            "1.png",
            "2.png",
        ]
        assert result.out.splitlines()[-1] == "3 samples, written to deep/er/out.csv"

    def test_an_absent_input_or_stage_exits_with_4(self, ncd: Ncd) -> None:
        assert ncd("predict tiny --input nowhere").code == 4
        shutil.rmtree("runs/tiny/cluster")
        result = ncd("predict tiny --input images")
        assert result.code == 4
        assert result.last_line == "hint: ncd run runs/tiny"

    def test_stages_that_were_not_made_from_each_other_are_refused(self, ncd: Ncd) -> None:
        Path("images").mkdir()
        assert ncd("embed tiny --set embed.normalize=false --quiet").code == 0
        result = ncd("predict tiny --input images")
        assert result.code == 4
        assert "was made from an earlier `embed`" in result.err


class TestErrors:
    @pytest.mark.parametrize(
        ("line", "code", "says"),
        [
            ("run digts-gcd", 4, "did you mean `digits-gcd`"),
            ("run missing.yaml", 4, "missing.yaml"),
            ("run tiny.yaml --set seed=-1", 3, "seed"),
            ("run tiny.yaml --set sed=1", 3, "seed"),
            ("run tiny.yaml --set seed", 2, "seed"),
            ("run tiny.yaml --until embedd", 2, "the stages are: split, pretrain"),
            ("run tiny.yaml --force embedd", 2, "the stages are: split, pretrain"),
            ("eval tiny --force embed", 2, "it runs: evaluate"),
            ("discover tiny --until evaluate", 2, "its stages are: embed, estimate_k, joint_training, cluster"),
            ("run tiny.yaml --device gpu", 2, "cuda:N"),
            ("run tiny.yaml --devices 0", 2, "--devices"),
            ("run tiny.yaml --nonsense", 2, "--nonsense"),
            ("rnu tiny.yaml", 2, "rnu"),
            ("show nothing", 4, "ncd runs"),
            ("status digits-gcd", 4, "ncd run digits-gcd"),
            ("status --verify", 2, "needs a run"),
        ],
    )
    def test_exit_code_and_what_is_said(self, ncd: Ncd, line: str, code: int, says: str) -> None:
        result = ncd(line)
        assert (result.code, result.out) == (code, "")
        assert says in result.err

    def test_a_weights_file_that_is_absent_is_found_before_anything_runs(self, fresh: Ncd) -> None:
        result = fresh(
            "run tiny.yaml --set backbone.kind=timm --set backbone.name=resnet18 --set backbone.weights=no.pth"
        )
        assert result.code == 4
        assert "no.pth" in result.err
        assert not Path("runs").exists()

    def test_a_run_in_use_exits_with_5_and_names_the_user(self, ncd: Ncd) -> None:
        with RunFolder("runs/tiny").lock("ncd elsewhere"):
            result = ncd("run tiny --force evaluate")
        assert result.code == 5
        assert f"pid {os.getpid()}" in result.err

    def test_a_failing_stage_exits_with_1_and_the_last_line_goes_on(
        self, ncd: Ncd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*arguments: Any, **options: Any) -> None:
            raise ZeroDivisionError("on purpose")

        monkeypatch.setattr("ncdcli.stages.cluster.run", fail)
        result = ncd("run tiny --set cluster.restarts=5 --quiet")
        assert result.code == 1
        assert "ZeroDivisionError: on purpose" in result.err
        assert "Traceback" not in result.err
        assert "ncd run tiny --set cluster.restarts=5 --quiet" in result.last_line
        assert "Traceback" in Path("runs/tiny/ncd.log").read_text()
        monkeypatch.undo()

    def test_errors_are_json_too(self, ncd: Ncd) -> None:
        result = ncd("run tiny.yaml --set sed=1 --json")
        assert result.code == 3
        (problem,) = result.json["error"]["problems"]
        assert problem["hint"] == "did you mean `seed`?"

    def test_a_folder_of_something_else_is_not_written_to(self, ncd: Ncd) -> None:
        Path("thesis").mkdir()
        Path("thesis/chapter.tex").write_text("precious")
        assert ncd("run tiny.yaml --run thesis").code == 2
        assert os.listdir("thesis") == ["chapter.tex"]


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


def test_version_and_help(ncd: Ncd) -> None:
    from ncdcli import __version__

    assert ncd("--version").out == f"ncd {__version__}\n"
    out = ncd("--help").out
    for name in ("run", "predict", "doctor", "init", "recipes", "data"):
        assert f" {name} " in out

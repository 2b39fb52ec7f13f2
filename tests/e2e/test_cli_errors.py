"""Exit codes, and what is said where a command cannot do what it should."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from finished import Ncd

from ncdcli.run.folder import RunFolder


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

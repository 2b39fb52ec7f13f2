"""`ncd tune`: what is told before anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ncdcli.cli import tuning

Run = Callable[..., tuple[int, str, str]]
RECIPE = """\
extends: digits-gcd
name: mine
tune:
  trials: 7
  space:
    pretrain.optimizer.lr: {low: 1e-4, high: 1e-2, log: true}
    cluster.restarts: {low: 5, high: 20, step: 5}
    cluster.init: [mixed, gcd]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "mine.yaml").write_text(RECIPE)
    return "mine.yaml"


def test_without_optuna_the_command_that_brings_it_is_told(
    recipe: str, run_ncd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "find_spec", lambda name: None)
    code, out, err = run_ncd("tune", recipe)
    assert (code, out) == (4, "")
    assert "`ncd tune` needs the package `optuna`, which is not installed" in err
    assert "hint: pip install 'ncd-cli[tune]'" in err
    assert not Path("runs").exists()


def test_a_dry_run_shows_the_space_and_writes_nothing(recipe: str, run_ncd: Run) -> None:
    pytest.importorskip("optuna", reason="the extra `tune` is not installed")
    code, out, _ = run_ncd("tune", recipe, "--dry-run")
    assert code == 0
    assert "0.0001 to 0.01, log" in out
    assert "5 to 20, by steps of 5" in out
    assert "mixed, gcd" in out
    assert "3 folds, not told their number of classes; score: ari.unlabelled.novel" in out
    assert out.splitlines()[-1] == "7 trials of 7 to do, in runs/mine-tune"
    assert not Path("runs").exists()
    code, out, _ = run_ncd("tune", recipe, "--dry-run", "--json", "--trials", "2", "--root", "elsewhere")
    assert (json.loads(out)["to_do"], json.loads(out)["root"]) == (2, "elsewhere")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--sampler", "grid"], 2, "no sampler is named `grid`"),
        (["--device", "tpu"], 2, "no device is named `tpu`"),
        (["--root", "full"], 2, "`full` is not empty and holds no trials"),
        (["--root", "mine.yaml"], 2, "`mine.yaml` is a file, not a folder of trials"),
        (["--set", "tune.k=given", "--set", "tune.pool=all"], 3, "nobody knows how many classes the real pool holds"),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(
    words: list[str], code: int, message: str, recipe: str, run_ncd: Run
) -> None:
    Path("full").mkdir()
    Path("full/letter.txt").write_text("dear")
    ended, _, err = run_ncd("tune", recipe, *words)
    assert ended == code
    assert message in err
    assert not Path("runs").exists()


def test_a_recipe_without_a_space(run_ncd: Run) -> None:
    code, _, err = run_ncd("tune", "digits-gcd-raw")
    assert code == 3
    assert "recipe `digits-gcd-raw` has no `tune` section" in err
    assert "hint: add e.g. `tune: {space: " in err

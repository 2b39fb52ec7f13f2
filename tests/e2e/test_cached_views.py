"""Runs in which views are drawn once: what is published, what is not, and what makes a stage stale."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Ncd = Callable[..., tuple[int, str, str]]
RECIPE = """\
version: 1
name: tiny
data: {card: digits, subset: 120}
backbone: {kind: small_cnn, widths: [4, 8], dim: 8}
pretrain: {objective: {kind: none}}
estimate_k: {kind: fixed, k: 10}
joint_training:
  method: {kind: simgcd, projector_hidden: 16, projector_out: 8, projector_layers: 2}
  train_last_blocks: 1
  epochs: 2
  batch_size: 32
  augment: {shift: 0.1, rotate: 15}
cluster: {kind: head}
"""


@pytest.fixture
def ncd(run_ncd: Ncd, tmp_path: Path) -> Ncd:
    (tmp_path / "fresh.yaml").write_text(RECIPE)
    (tmp_path / "kept.yaml").write_text(RECIPE.replace("  epochs: 2", "  epochs: 2\n  cached_views: 4"))
    return run_ncd


def test_kept_views_are_gone_when_the_stage_is_done(ncd: Ncd) -> None:
    code, _, err = ncd("run", "kept.yaml", "--run", "runs/kept", "--until", "evaluate")
    assert code == 0, err
    # 120 samples, 4 views each and the test view of none; 4 channels, pooled to 4 × 4 pixels; float32
    assert f"keeping what frozen blocks make of 4 views of 120 samples: {120 * 4 * 4 * 16 * 4 / 1e6:.1f} MB" in err
    run = Path("runs/kept")
    manifest = json.loads((run / "joint_training/manifest.json").read_text())
    files = {path.name for path in (run / "joint_training").iterdir()}
    assert files == {*manifest["outputs"], "manifest.json"}
    assert not any("checkpoint" in name for name in files)
    assert list((run / ".work").iterdir()) == []
    assert manifest["config"]["joint_training"]["cached_views"] == 4


def test_the_field_makes_a_stage_stale_and_its_absence_does_not(ncd: Ncd) -> None:
    assert ncd("run", "fresh.yaml", "--run", "one", "--until", "joint_training", "--quiet")[0] == 0
    for value, action in (("null", "keep"), ("4", "run")):
        words = ("run", "fresh.yaml", "--run", "one", "--until", "joint_training", "--dry-run", "--json")
        code, out, err = ncd(*words, "--set", f"joint_training.cached_views={value}")
        assert code == 0, err
        assert json.loads(out)["plan"][-1]["action"] == action


def test_a_full_disk_is_told_with_what_to_set(ncd: Ncd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncdcli.training.caching.FREE_BYTES", 10**18)
    code, _, err = ncd("run", "kept.yaml", "--run", "full", "--until", "joint_training")
    assert code == 4
    assert "free, and 4 views of 120 samples need 0.1 MB" in err
    assert "leave `joint_training.cached_views` out" in err

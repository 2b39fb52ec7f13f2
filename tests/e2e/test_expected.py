"""`expected` in a recipe, from `ncd run --require expected` to `ncd compare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from finished import tiny

RECIPE = tiny(
    data="{card: digits, subset: 200}",
    cluster="{kind: kmeans, restarts: 1}",
    report=None,
    expected="[{metric: gcd_v2.unlabelled.all, mean: 50, tolerance: 50, source: anywhere}]",
)

Run = Callable[..., tuple[int, str, str]]


def test_ours_stands_beside_the_published_figure_and_a_miss_ends_with_6(run_ncd: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(RECIPE)
    run = ("run", "tiny.yaml", "--until", "evaluate", "--quiet", "--require", "expected")

    code, out, _ = run_ncd(*run)
    assert code == 0
    assert "50.0" in out
    assert "anywhere" in out
    assert run_ncd(*run, "--set", "seed=1")[0] == 0

    answer = json.loads(run_ncd("compare", "runs/tiny", "runs/tiny-seed1", "--json")[1])
    (group,) = answer["groups"]  # seeds are grouped, expected or not
    figure = answer["expected"][0]["figures"][0]
    assert figure["ours"] == pytest.approx(100 * group["scores"]["gcd_v2.unlabelled.all"]["mean"])
    assert (figure["seeds"], figure["within"]) == (2, True)

    recipe.write_text(RECIPE.replace("mean: 50, tolerance: 50", "mean: 150, sd: 2"))
    code, out, err = run_ncd(*run, "--json")
    answer = json.loads(out)
    assert code == 6
    assert {stage["action"] for stage in answer["stages"]} == {"keep"}  # the figure enters no fingerprint
    assert answer["expected"][0]["within"] is False
    assert "expected 150.0 within 4.0" in err


def test_nothing_expected_is_told_before_anything_runs(run_ncd: Run, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE.partition("expected:")[0])

    code, _, err = run_ncd("run", "tiny.yaml", "--require", "expected")
    assert code == 2
    assert "names no published figure" in err
    assert not (tmp_path / "runs").exists()

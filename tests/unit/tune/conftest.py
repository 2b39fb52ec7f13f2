"""What tests of the search share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "toys"))
pytest.importorskip("optuna", reason="the extra `tune` is not installed")

from toytuning import RECIPE, SPACE

from ncdcli.tune import run
from ncdcli.tune.load import Search, load_search


@pytest.fixture
def make_search(tmp_path: Path) -> Callable[..., Search]:
    """`make_search(trials=5)`: a search whose runs nobody has to make."""

    def make(
        *,
        trials: int = 5,
        sampler: str = "random",
        pruner: str = "none",
        space: str = SPACE,
        sets: tuple[str, ...] = (),
        **changed: Any,
    ) -> Search:
        path = tmp_path / "recipe.yaml"
        path.write_text(RECIPE.format(trials=trials, sampler=sampler, pruner=pruner, space=space))
        root = tmp_path / "tune"
        root.mkdir(exist_ok=True)
        return load_search(str(path), sets, root=root, changed=changed)

    return make


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LOOK_SECONDS", 0.0)

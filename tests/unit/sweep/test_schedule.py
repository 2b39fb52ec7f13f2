from __future__ import annotations

from pathlib import Path

from ncdcli.recipe.resolve import load_recipe
from ncdcli.run.folder import RunFolder
from ncdcli.sweep.schedule import Scheduled, must_wait, shared_with, stage_keys

BEFORE_CLUSTERING = ["split", "pretrain", "embed", "estimate_k"]


def scheduled(folder: Path, *overrides: str) -> Scheduled:
    return Scheduled(folder.name, RunFolder(folder), stage_keys(load_recipe("digits-gcd", overrides).recipe))


def test_runs_share_the_stages_before_the_first_that_differs(tmp_path: Path) -> None:
    one, other = scheduled(tmp_path / "a"), scheduled(tmp_path / "b", "cluster.kind=ward")

    assert shared_with(other.keys, [("a", one.keys)]) == {"a": BEFORE_CLUSTERING}


def test_a_stage_is_taken_from_the_first_run_that_has_it(tmp_path: Path) -> None:
    epochs = scheduled(tmp_path / "a", "pretrain.epochs=3")
    first, run = scheduled(tmp_path / "b"), scheduled(tmp_path / "c", "evaluate.split=test")

    shared = shared_with(run.keys, [("a", epochs.keys), ("b", first.keys)])
    assert shared == {"a": ["split"], "b": [*BEFORE_CLUSTERING[1:], "cluster"]}


def test_seeds_share_nothing(tmp_path: Path) -> None:
    assert shared_with(scheduled(tmp_path / "b", "seed=1").keys, [("a", scheduled(tmp_path / "a").keys)]) == {}
    assert not must_wait(scheduled(tmp_path / "b", "seed=1"), [scheduled(tmp_path / "a")])


def test_a_run_waits_until_another_has_done_what_they_share(tmp_path: Path) -> None:
    one, other = scheduled(tmp_path / "a"), scheduled(tmp_path / "b", "cluster.kind=ward")
    assert must_wait(other, [one])

    done = DoneFolder(tmp_path / "a", BEFORE_CLUSTERING[:-1])
    assert must_wait(other, [Scheduled("a", done, one.keys)])
    done.stages.append(BEFORE_CLUSTERING[-1])
    assert not must_wait(other, [Scheduled("a", done, one.keys)])


class DoneFolder(RunFolder):
    """A run that has done some stages."""

    def __init__(self, path: Path, stages: list[str]) -> None:
        super().__init__(path)
        self.stages = list(stages)

    def manifest(self, stage: str) -> object:  # type: ignore[override]
        return object() if stage in self.stages else None

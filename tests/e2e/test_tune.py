"""`ncd tune` on small tables, with real runs; signals go to searches in other processes."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ncdcli.cli.main import main
from ncdcli.recipe.resolve import load_recipe
from ncdcli.run.lock import hold_lock
from ncdcli.sweep import forks
from ncdcli.sweep.forks import Fork, Server, can_fork

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from lent import Lent

pytest.importorskip("optuna", reason="the extra `tune` is not installed")
pytestmark = pytest.mark.slow

RECIPE = """\
version: 1
name: own
data:
  source: {kind: table, train: data.csv, label: class}
  known_classes: [a, b, c, d]
  setting: {setting}
backbone: {kind: identity}
pretrain: {objective: {kind: none}}
estimate_k: {kind: fixed, k: 6}
cluster: {kind: kmeans, restarts: 2}
tune:
  score: {score}
  folds: 2
  trials: 3
  space:
    cluster.kind: [kmeans, semi_kmeans, ward]
    cluster.restarts: {low: 1, high: 9}
"""
KNOWN = "abcd"


def blobs() -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 40)[rng.permutation(240)]
    points = rng.normal(size=(6, 4))[labels] * 2 + rng.normal(size=(240, 4))
    return points, ["abcdef"[label] for label in labels]


def write(folder: Path, classes: list[str] | None = None, **fields: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    points, true = blobs()
    rows = zip(points, classes or true, strict=True)
    lines = ["w,x,y,z,class", *(",".join([*(f"{value:.6f}" for value in point), name]) for point, name in rows)]
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    text = RECIPE
    for name, value in {"setting": "gcd", "score": "ari", **fields}.items():
        text = text.replace(f"{{{name}}}", value)
    (folder / "own.yaml").write_text(text)


Run = Callable[..., tuple[int, str, str]]


def answer(run: Run, folder: Path, *words: str) -> Any:
    code, out, err = run(folder, "tune", "own.yaml", *words, "--json", "--quiet")
    assert code == 0, err
    return json.loads(out)


def results(folder: Path) -> dict[str, bytes]:
    """What a search leaves behind, but for times, and all that its runs computed."""
    root = folder / "runs/own-tune"
    files = {path: path.read_bytes() for path in (root / "trials.csv", root / "trials.svg")}
    files[root / "best.yaml"] = (root / "best.yaml").read_bytes().replace(str(folder).encode(), b"")
    for path in root.glob("trials/*/*/*"):
        if path.name not in ("manifest.json", "timing.jsonl"):
            files[path] = path.read_bytes()
    return {str(path.relative_to(root)): content for path, content in files.items()}


def wait_for(path: Path, search: Fork | None = None) -> None:
    """Return once a search, which goes on, has come so far."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert search is None or search.end() is None
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_a_search_from_dry_run_to_the_best_recipe(tmp_path: Path, run_forked: Run) -> None:
    write(tmp_path)
    plan = answer(run_forked, tmp_path, "--dry-run")
    assert (plan["to_do"], plan["folds"], plan["hidden"]) == (3, 2, None)
    assert not (tmp_path / "runs").exists()

    found = answer(run_forked, tmp_path, "--jobs", "2")
    root = tmp_path / "runs/own-tune"
    assert [trial["state"] for trial in found["trials"]] == ["done"] * 3
    assert found["trials"][0]["point"] == {"cluster.kind": "kmeans", "cluster.restarts": 2}
    for trial in found["trials"]:
        scores = []
        for number in (1, 2):
            run = root / f"trials/{trial['trial']:04}-fold-{number}"
            scores.append(json.loads((run / "evaluate/metrics.json").read_text())["ari"]["unlabelled"]["novel"])
            known = json.loads((run / "split/classes.json").read_text())["known"]
            assert set(known) | set(found["folds"][number - 1]) == set(KNOWN)
        assert [fold["score"] for fold in trial["folds"]] == scores
        assert trial["score"] == pytest.approx(np.mean(scores))
    best = max(found["trials"], key=lambda trial: trial["score"])
    assert found["best"] == best["trial"]

    recipe = load_recipe(str(root / "best.yaml")).recipe
    assert (recipe.name, recipe.tune, recipe.data.hide) == ("own-tuned", None, None)
    tree = recipe.model_dump()
    for field, value in best["point"].items():
        section, name = field.split(".")
        assert tree[section][name] == value
    assert {row["trial"]: row["score"] for row in csv.DictReader((root / "trials.csv").open())} == {
        str(trial["trial"]): repr(trial["score"]) for trial in found["trials"]
    }
    again = answer(run_forked, tmp_path)
    assert again["trials"] == found["trials"]
    assert answer(run_forked, tmp_path, "--dry-run", "--trials", "5")["to_do"] == 2


def test_novel_labels_change_nothing(tmp_path: Path, run_forked: Run) -> None:
    """Not a score, not a choice, not a byte: folds are made of what the split shows, and of nothing else."""
    _, classes = blobs()
    novel = [row for row, name in enumerate(classes) if name not in KNOWN]
    scrambled = list(classes)
    for row, other in zip(novel, np.random.default_rng(7).permutation(novel), strict=True):
        scrambled[row] = classes[other]
    assert scrambled != classes
    found = []
    for name, labels in (("true", classes), ("scrambled", scrambled)):
        write(tmp_path / name, labels, score="accuracy", setting="ncd")
        answer(run_forked, tmp_path / name, "--trials", "2")
        found.append(results(tmp_path / name))
    assert found[0] == found[1]
    assert {"trials.csv", "best.yaml", "trials/0001-fold-2/evaluate/metrics.json"} <= found[0].keys()


@pytest.mark.skipif(not can_fork("cpu"), reason="runs are not forks here")
def test_a_killed_search_goes_on_to_the_same_end(
    tmp_path: Path, run_forked: Run, forked: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("whole", "killed"):
        write(tmp_path / name)
    answer(run_forked, tmp_path / "whole", "--trials", "2")
    root = tmp_path / "killed/runs/own-tune"
    for run in ("trials/0000-fold-2", "trials/0001-fold-1"):
        monkeypatch.chdir(tmp_path / "killed")
        search = Fork(["tune", "own.yaml", "--trials", "2"], forked, threads=1)
        wait_for(root / run / "recipe.yaml", search)
        search.kill()
    with (root / "study.log").open("a") as file:
        file.write('{"op_code":5,"half')  # a line that was being written
    answer(run_forked, tmp_path / "killed", "--trials", "2")
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


@pytest.mark.skipif(not can_fork("cpu"), reason="runs are not forks here")
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path, forked: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    with monkeypatch.context() as here:
        here.chdir(tmp_path)
        here.setattr(forks, "ANSWERING", ())  # it speaks as it does to a person
        search = Fork(["tune", "own.yaml"], forked, threads=1)
        wait_for(tmp_path / "runs/own-tune/trials/0000-fold-1/recipe.yaml", search)
    assert search.pid is not None
    os.killpg(search.pid, signal.SIGINT)
    end = search.end(timeout=250)
    assert end is not None
    _, err = search.output()
    assert end.code == 130, err
    assert err.splitlines()[-1] == "to go on: ncd tune own.yaml"
    assert "3 trials of 3 still to do" in err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("  score: ari\n", "not the same `tune.score`"),
        ("  known_classes: [a, b, c, d]\n", "not the same `data.known_classes`"),
        ("restarts: {low: 1, high: 9}\n", "not the same `tune.space.cluster.restarts.high`"),
    ],
)
def test_other_trials_are_not_mixed_in(
    changed: str, message: str, tmp_path: Path, run_ncd: Callable[..., tuple[int, str, str]], searched: Path
) -> None:
    words = {"ari": "accuracy", "c, d]": "c, d, e]", "high: 9": "high: 8"}
    text = (searched / "own.yaml").read_text()
    other = changed
    for old, new in words.items():
        other = other.replace(old, new)
    path = searched / "other.yaml"
    path.write_text(text.replace(changed, other))
    code, _, err = run_ncd("tune", str(path), "--root", str(searched / "runs/own-tune"))
    assert code == 2
    assert message in err


def test_other_data_are_not_mixed_in(tmp_path: Path, run_forked: Run, searched: Path) -> None:
    content = (searched / "data.csv").read_text()
    try:
        (searched / "data.csv").write_text("\n".join(content.splitlines()[:-1]) + "\n")
        code, _, err = run_forked(
            searched, "tune", str(searched / "own.yaml"), "--root", str(searched / "runs/own-tune")
        )
    finally:
        (searched / "data.csv").write_text(content)
    assert code == 2
    assert "the samples are not those of the trials" in err


def test_one_search_at_a_time_in_a_folder(run_ncd: Callable[..., tuple[int, str, str]], searched: Path) -> None:
    root = searched / "runs/own-tune"
    with hold_lock(root):
        code, _, err = run_ncd("tune", str(searched / "own.yaml"), "--root", str(root), "--trials", "2")
    assert code == 5
    assert "is in use" in err


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, forked: Server) -> Path:
    """The folder of a recipe of which one trial was made."""
    folder = tmp_path_factory.mktemp("searched")
    write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forks, "Server", Lent(forked))
        patch.chdir(folder)
        with pytest.raises(SystemExit) as end:
            main(["tune", "own.yaml", "--trials", "1", "--quiet"])
    assert end.value.code == 0
    return folder

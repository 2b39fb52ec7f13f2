"""Runs of real recipes as forks: byte for byte what new processes compute, with next to nothing left to import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ncdcli.pipeline.spec import BY_NAME
from ncdcli.recipe.resolve import load_recipe
from ncdcli.run.folder import RunFolder
from ncdcli.sweep.children import Child, End
from ncdcli.sweep.forks import Fork, Server, can_fork
from ncdcli.sweep.preload import modules_for

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from tinyrecipe import RECIPE, TIMES

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not can_fork("cpu"), reason="this system is not forked")]

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "timm", "lightning_fabric", "sklearn", "scipy", "faiss", "matplotlib", "pandas")
FIRST = """
import torch
asked, cuda = [], vars(torch.cuda).copy()
for name in ("is_available", "device_count", "init", "_lazy_init", "current_device", "get_device_capability"):
    setattr(torch.cuda, name, lambda *_, name=name: asked.append(name))
"""
LAST = """
import atexit, json, os, sys
import first, torch
vars(torch.cuda).update(first.cuda)
before = set(sys.modules)
def tell():
    with open(os.environ["NCD_TEST_FOUND"], "w") as file:
        json.dump({"asked": first.asked, "late": sorted(set(sys.modules) - before)}, file)
atexit.register(tell)
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return path


def test_a_fork_computes_what_a_new_process_does_byte_for_byte(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two threads, and with a process that loads its data. All that it needs was imported, and nothing begun: no
    driver was asked for; that no thread was started, the server itself makes sure of.
    """
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name, code in (("first", FIRST), ("last", LAST)):
        (tmp_path / f"{name}.py").write_text(code)
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", str(ROOT))]))
        patch.setenv("NCD_TEST_FOUND", str(tmp_path / "found.json"))
        server = Server(["first", *modules_for(load_recipe(str(recipe)).recipe, BY_NAME), "last"], threads=2)
    words = ["run", str(recipe), "--workers", "1", "--run"]
    fork, new = (RunFolder(tmp_path / name / "run") for name in ("fork", "new"))  # nothing to link
    process = Fork([*words, str(fork.path)], server, threads=2)
    assert process.end(timeout=200) == End(0)
    assert process.is_forked
    server.close()
    assert Child([*words, str(new.path)], threads=2).end(timeout=200) == End(0)
    assert files(fork) == files(new)
    for stage in BY_NAME:
        ours, theirs = fork.manifest(stage), new.manifest(stage)
        assert ours is not None
        assert theirs is not None
        assert (ours.fingerprint, ours.code, ours.packages) == (theirs.fingerprint, theirs.code, theirs.packages)
        assert ours.threads == 2
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["asked"] == []
    late = [name for name in found["late"] if name.split(".")[0] in (*HEAVY, "ncdcli")]
    assert len(late) < 10, late  # of two thousand


def files(run: RunFolder) -> dict[str, bytes]:
    """Every file of all stages, but for those that hold times."""
    found = [file for stage in BY_NAME for file in run.stage_dir(stage).rglob("*") if file.name not in TIMES]
    assert len(found) > len(BY_NAME)
    return {file.relative_to(run.path).as_posix(): file.read_bytes() for file in found}


def test_where_nothing_is_computed_nothing_heavy_is_imported() -> None:
    recipe = load_recipe("digits-simgcd").recipe
    assert not any(name.split(".")[0] in HEAVY for name in modules_for(recipe, []))
    code = "import json, sys; from ncdcli.sweep.server import load; load(json.loads(sys.argv[1])); print(*sys.modules)"
    words = [sys.executable, "-c", code, json.dumps(modules_for(recipe, []))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert {name.split(".")[0] for name in done.stdout.split()}.isdisjoint(HEAVY)

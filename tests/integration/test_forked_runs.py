"""Runs of real recipes as forks: byte for byte what new processes compute, with next to nothing left to import."""

from __future__ import annotations

import json
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

HEAVY = ("torch", "torchvision", "timm", "lightning_fabric", "sklearn", "scipy", "faiss", "matplotlib", "pandas")
PROBE = """
import contextlib, io, json, sys
import torch
asked, cuda = [], vars(torch.cuda).copy()
for name in ("is_available", "device_count", "init", "_lazy_init", "current_device", "get_device_capability"):
    setattr(torch.cuda, name, lambda *_, name=name: asked.append(name))
from ncdcli.sweep.server import can_be_forked, load
load(json.loads(sys.argv[1]))
found = {"asked": list(asked), "safe": can_be_forked()}
vars(torch.cuda).update(cuda)
before = set(sys.modules)
from ncdcli.cli.main import main
try:
    with contextlib.redirect_stdout(io.StringIO()):
        main(sys.argv[2:])
except SystemExit as end:
    print(json.dumps({**found, "code": end.code, "modules": sorted(set(sys.modules) - before)}))
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return path


def test_a_fork_computes_what_a_new_process_does_byte_for_byte(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two threads, and with a process that loads its data."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    server = Server(modules_for(load_recipe(str(recipe)).recipe, BY_NAME), threads=2)
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


def files(run: RunFolder) -> dict[str, bytes]:
    """Every file of all stages, but for those that hold times."""
    found = [file for stage in BY_NAME for file in run.stage_dir(stage).rglob("*") if file.name not in TIMES]
    assert len(found) > len(BY_NAME)
    return {file.relative_to(run.path).as_posix(): file.read_bytes() for file in found}


def test_all_that_a_run_needs_is_imported_and_nothing_is_begun(recipe: Path, tmp_path: Path) -> None:
    """No thread, no driver: a fork may begin them."""
    modules = json.dumps(modules_for(load_recipe(str(recipe)).recipe, BY_NAME))
    words = ["run", str(recipe), "--run", str(tmp_path / "run"), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, modules, *words], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    found = json.loads(done.stdout)
    assert (found["code"], found["asked"], found["safe"]) == (0, [], True)
    late = [name for name in found["modules"] if name.split(".")[0] in (*HEAVY, "ncdcli")]
    assert len(late) < 10, late  # of two thousand


def test_where_nothing_is_computed_nothing_heavy_is_imported() -> None:
    recipe = load_recipe("digits-simgcd").recipe
    assert not any(name.split(".")[0] in HEAVY for name in modules_for(recipe, []))
    code = "import json, sys; from ncdcli.sweep.server import load; load(json.loads(sys.argv[1])); print(*sys.modules)"
    words = [sys.executable, "-c", code, json.dumps(modules_for(recipe, []))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert {name.split(".")[0] for name in done.stdout.split()}.isdisjoint(HEAVY)

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from ncdcli.errors import MissingError, NcdError, UsageError
from ncdcli.run.folder import RunFolder, default_run_path
from ncdcli.run.manifest import FileRecord, Manifest


@dataclass(frozen=True)
class Resolved:
    recipe: SimpleNamespace
    source_text: bytes = b"name: toy # mine\r\n"

    def to_run_yaml(self) -> str:
        return f"name: {self.recipe.name}\n"


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "runs" / "toy")


@pytest.fixture
def made(run):
    run.create(Resolved(SimpleNamespace(name="toy", seed=0)), "ncd run toy")
    return run


def manifest(**changes) -> Manifest:
    record = FileRecord(sha256="00", size=1, mtime_ns=1)
    fields = {
        "stage": "split", "version": 1, "fingerprint": "ff", "config": {}, "seed": 0, "inputs": {},
        "outputs": {"a.csv": record}, "started": "2026-01-01T00:00:00+00:00", "seconds": 0.5,
    }  # fmt: skip
    return Manifest(**{**fields, **changes})


@pytest.mark.parametrize(("seed", "path"), [(0, "runs/toy"), (3, "runs/toy-seed3")])
def test_default_path_carries_the_seed_where_it_is_not_zero(seed, path):
    assert default_run_path(SimpleNamespace(name="toy", seed=seed)) == Path(path)


def test_create_keeps_the_users_file_byte_for_byte(made):
    assert (made.path / "recipe.source.yaml").read_bytes() == b"name: toy # mine\r\n"
    assert (made.path / "recipe.yaml").read_text() == "name: toy\n"
    assert made.exists


def test_create_again_adds_the_command_and_keeps_the_date(made):
    created = made.info().created
    made.create(Resolved(SimpleNamespace(name="toy", seed=0)), "ncd cluster toy")
    assert made.info().created == created
    assert [entry["command"] for entry in made.info().commands] == ["ncd run toy", "ncd cluster toy"]


def test_folder_with_other_files_is_refused(run):
    run.path.mkdir(parents=True)
    (run.path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="is not empty and is not a run") as caught:
        run.create(Resolved(SimpleNamespace(name="toy", seed=0)), "ncd run toy")
    assert caught.value.hint == "choose another `--run`"
    assert [path.name for path in run.path.iterdir()] == ["thesis.tex"]


def test_file_in_place_of_the_folder_is_refused(run):
    run.path.parent.mkdir()
    run.path.write_text("x")
    with pytest.raises(UsageError, match="is a file, not a run folder"), run.lock():
        pass


def test_empty_folder_becomes_a_run(run):
    run.path.mkdir(parents=True)
    with run.lock("ncd run toy"):
        run.create(Resolved(SimpleNamespace(name="toy", seed=0)), "ncd run toy")
    assert run.exists


@pytest.mark.parametrize("renames", range(5))
def test_process_killed_before_any_rename_does_not_spoil_the_folder(run, renames):
    """Four files are put in place by a rename: the lock's note, run.json and both recipes."""
    child = os.fork()
    if not child:
        left, replace = [renames], os.replace

        def counted(source, target):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        os.replace = counted
        with run.lock("ncd run toy"):
            run.create(Resolved(SimpleNamespace(name="toy", seed=0)), "ncd run toy")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) == (renames < 4)
    with run.lock("ncd run toy"):
        run.create(Resolved(SimpleNamespace(name="toy", seed=0)), "ncd run toy")
    names = [".lock", "recipe.source.yaml", "recipe.yaml", "run.json"]
    assert sorted(path.name for path in run.path.iterdir()) == names


def test_run_of_a_newer_version_is_refused(made):
    path = made.path / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    for use in (made.info, made.check_writable, made.recipe, made.lock):
        with pytest.raises(UsageError, match="has format 2; this version of ncd knows formats up to 1"):
            use()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"format": 1}', '{"format": "one", "name": 1}', "\x00\xff"]
)
def test_damaged_run_json_is_told_in_one_message(made, content):
    (made.path / "run.json").write_text(content)
    with pytest.raises(NcdError, match=r"run\.json` is damaged") as caught:
        made.info()
    assert caught.value.exit_code == 1
    assert "\n" not in caught.value.message


def test_missing_run_and_missing_recipe_are_told(run, made):
    (made.path / "recipe.yaml").unlink()
    with pytest.raises(MissingError, match=r"has no `recipe\.yaml`"):
        made.recipe()
    with pytest.raises(MissingError, match="no run at"):
        RunFolder(run.path / "deeper").info()


def test_find_all_lists_runs_only(made, tmp_path):
    (made.path.parent / "other").mkdir()
    (made.path.parent / "file").write_text("x")
    second = RunFolder(made.path.parent / "another")
    second.create(Resolved(SimpleNamespace(name="another", seed=0)), "ncd run another")
    assert [run.path.name for run in RunFolder.find_all(made.path.parent)] == ["another", "toy"]
    assert [run.path.name for run in made.siblings()] == ["another"]
    assert RunFolder.find_all(tmp_path / "nowhere") == []


def test_manifest_is_read_back_as_written(made):
    made.stage_dir("split").mkdir()
    assert made.state("split") == (None, "not done yet")
    manifest().write(made.stage_dir("split"))
    assert made.manifest("split") == manifest()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "its manifest is damaged"),
        ("{}", "its manifest is damaged (stage: Field required)"),
        (manifest(stage="embed").model_dump_json(), "its manifest is of another stage, `embed`"),
        (manifest().model_dump_json().replace('"version":1', '"version":"1"'), "its manifest is damaged (version:"),
    ],
)
def test_damaged_manifest_counts_as_not_done_and_says_why(made, content, why):
    made.stage_dir("split").mkdir()
    (made.stage_dir("split") / "manifest.json").write_text(content)
    found, reason = made.state("split")
    assert found is None
    assert reason.startswith(why)
    assert made.manifest("split") is None

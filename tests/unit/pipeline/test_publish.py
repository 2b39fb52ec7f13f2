"""Stages are published whole or not at all, wherever a crash strikes."""

from __future__ import annotations

import os
import shutil

import pytest

from ncdcli.run.manifest import Manifest


class Crash(BaseException):
    """The process ends here."""


STEPS = 19  # steps of such a run, and one more for the case without a crash


@pytest.mark.parametrize("crash_at", range(STEPS))
def test_crash_at_any_step_of_publishing_leaves_whole_stages_only(new_toy, monkeypatch, crash_at):
    """Every touch of the disk by publishing is counted, and the process ends just before the n-th one."""
    expected = new_toy("expected")
    expected.execute(train={"epochs": 4})
    expected_files = expected.files()
    shutil.rmtree(expected.run.path)
    toy = new_toy("toy")
    toy.execute(stages=["split", "train"])
    count = 0

    def counted(function):
        def step(*args, **kwargs):
            nonlocal count
            count += 1
            if count == crash_at + 1:
                raise Crash
            return function(*args, **kwargs)

        return step

    with monkeypatch.context() as patch:
        for name in ("sync", "rename", "remove"):
            patch.setattr(f"ncdcli.run.files.{name}", counted(getattr(__import__("ncdcli.run.files").run.files, name)))
        patch.setattr(Manifest, "write", counted(Manifest.write))
        patch.setattr("os.replace", counted(os.replace))
        try:
            toy.execute(train={"epochs": 4}, stages=["split", "train"])
            crashed = False
        except Crash:
            crashed = True
    assert crashed == (crash_at < STEPS - 1)  # the last case goes through: all steps were tried
    manifest = toy.run.manifest("train")
    if manifest is not None:
        assert manifest.changed_outputs(toy.run.stage_dir("train"), verify=True) == []
    else:
        assert not toy.run.stage_dir("train").exists()
    toy.execute(train={"epochs": 4})
    assert toy.files() == expected_files
    assert {path.name for path in toy.run.stage_dir("train").iterdir()} == {
        "model.json", "metrics.jsonl", "manifest.json",
    }  # fmt: skip


def test_files_are_on_disk_before_the_manifest_and_the_manifest_before_the_rename(toy, monkeypatch):
    steps = []
    files = __import__("ncdcli.run.files").run.files
    sync, rename, write = files.sync, files.rename, Manifest.write
    monkeypatch.setattr(files, "sync", lambda path: (steps.append(f"sync {path.name}"), sync(path)))
    monkeypatch.setattr(files, "rename", lambda old, new: (steps.append(f"rename to {new.name}"), rename(old, new)))
    monkeypatch.setattr(Manifest, "write", lambda self, folder: (steps.append("manifest"), write(self, folder)))
    toy.execute(stages=["split"])
    work = toy.run.work_dir("split", toy.run.manifest("split").fingerprint).name
    assert steps == ["sync numbers.csv", "manifest", f"sync {work}", "rename to split", f"sync {toy.run.path.name}"]

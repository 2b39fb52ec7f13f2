from __future__ import annotations

import errno
import os
import signal

import pytest
import toystages

from ncdcli.errors import Interrupted, MissingError, RunBusyError
from ncdcli.pipeline.clean import clean


def clean_toy(toy, *, dry_run=False, everything=False, **recipe):
    return clean(
        toy.run, dry_run=dry_run, everything=everything, recipe=toystages.resolved(**recipe).recipe,
        table=toystages.TABLE, identity=toystages.identity,
    )  # fmt: skip


def test_replaced_results_are_removed_and_finished_ones_stay(toy):
    toy.execute()
    toy.execute(train={"epochs": 4})
    before = toy.files()
    old = sorted((toy.run.path / ".old").iterdir())
    size = sum(path.stat().st_size for folder in old for path in folder.iterdir())
    planned = clean_toy(toy, dry_run=True, train={"epochs": 4})
    assert planned.folders == tuple(old)
    assert planned.freed_bytes == size
    assert all(folder.exists() for folder in old)
    assert clean_toy(toy, train={"epochs": 4}) == planned
    assert not any(folder.exists() for folder in old)
    assert toy.files() == before


def test_work_that_can_be_resumed_stays(toy, hooks):
    hooks["epoch 1"] = lambda context: os.kill(os.getpid(), signal.SIGINT)
    for epochs in (6, 7):
        with pytest.raises(Interrupted):
            toy.execute(train={"epochs": epochs})
    hooks.clear()
    cleaned = clean_toy(toy, train={"epochs": 7})
    assert len(cleaned.folders) == 1  # the work of 6 epochs
    assert toy.plan(train={"epochs": 7})["train"].action == "resume"
    assert toy.plan(train={"epochs": 6})["train"].action == "run"
    assert len(clean_toy(toy, everything=True, train={"epochs": 7}).folders) == 1
    assert toy.plan(train={"epochs": 7})["train"].action == "run"


def test_work_of_a_stage_that_waits_stays(toy, hooks):
    hooks["epoch 1"] = lambda context: os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Interrupted):
        toy.execute()
    (toy.run.path / "split/manifest.json").unlink()
    assert clean_toy(toy).folders == ()


def test_work_of_a_stage_that_is_done_goes(toy, hooks):
    toy.execute()
    hooks["epoch 1"] = lambda context: os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Interrupted):
        toy.execute(force=["train"])
    assert [folder.name.split("-")[0] for folder in clean_toy(toy).folders] == ["train"]
    assert toy.plan().nothing_to_do


def test_files_that_another_run_shares_free_nothing(new_toy):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    second.execute()
    second.execute(train={"epochs": 4})
    own = sum(path.stat().st_size for path in (second.run.path / ".old").rglob("manifest.json"))
    cleaned = clean_toy(second, train={"epochs": 4})
    assert len(cleaned.folders) == 3
    assert cleaned.freed_bytes == own
    assert first.plan().nothing_to_do


def test_run_in_use_and_missing_run_are_refused(toy):
    with pytest.raises(MissingError, match="no run at"):
        clean_toy(toy)
    toy.execute()
    with toy.run.lock("ncd run toy"), pytest.raises(RunBusyError):
        clean_toy(toy)


def test_room_is_made_on_a_full_disk(toy, monkeypatch):
    toy.execute()
    toy.execute(train={"epochs": 4})

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert clean_toy(toy, train={"epochs": 4}).freed_bytes > 0
    assert list((toy.run.path / ".old").iterdir()) == []

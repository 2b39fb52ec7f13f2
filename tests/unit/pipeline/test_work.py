"""Results of other runs are linked, or copied, where they are what the stage would make, and else left alone."""

from __future__ import annotations

import errno
import json
import os
import shutil

ALL = ["split", "train", "embed", "score"]


def actions(results):
    return [(result.stage, result.action) for result in results]


def events(toy):
    return [(event["event"], event["stage"]) for event in toy.run.events.read()]


def test_same_fingerprint_in_another_run_is_linked_read_only(new_toy, calls):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    calls.clear()
    results = second.execute(train={"epochs": 4})
    assert actions(results)[:2] == [("split", "reuse"), ("train", "run")]
    assert calls == ["train", "embed", "score"]
    linked = second.run.path / "split/numbers.csv"
    assert linked.samefile(first.run.path / "split/numbers.csv")
    assert linked.stat().st_mode & 0o222 == 0
    manifest = second.run.manifest("split")
    assert manifest.reused_from == "../first/split"
    assert manifest.fingerprint == first.run.manifest("split").fingerprint
    assert ("reused", "split") in events(second)
    assert results[0].reason == "same fingerprint in run `first`: reused"


def test_linked_stage_survives_its_origin(new_toy):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    second.execute()
    shutil.rmtree(first.run.path)
    assert second.plan().nothing_to_do


def test_redoing_the_origin_leaves_the_linked_files_alone(new_toy):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    second.execute()
    before = second.files()
    first.execute(seed=5, force=ALL)
    assert second.files() == before


def test_files_are_copied_where_links_cannot_be_made(new_toy, monkeypatch):
    first, second = new_toy("first"), new_toy("second")
    first.execute()

    def other_device(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_device)
    second.execute()
    copied = second.run.path / "split/numbers.csv"
    assert not copied.samefile(first.run.path / "split/numbers.csv")
    assert second.run.manifest("split").reused_from == "../first/split"
    assert second.files() == first.files()
    assert second.plan().nothing_to_do


def test_changed_files_of_another_run_are_not_taken(new_toy, calls):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    (first.run.path / "train/model.json").write_text('{"weight": 1}')
    calls.clear()
    assert second.plan()["train"].action == "run"
    assert actions(second.execute())[:2] == [("split", "reuse"), ("train", "run")]


def test_files_of_another_user_that_can_be_neither_linked_nor_copied_are_made_again(new_toy, monkeypatch, calls):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    calls.clear()

    def refuse(source, target):
        raise PermissionError(errno.EPERM, "Operation not permitted", str(source))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copy2", refuse)
    assert actions(second.execute()) == [(stage, "run") for stage in ALL]
    assert second.files() == first.files()
    assert list((second.run.path / ".work").iterdir()) == []


def test_runs_of_another_user_that_cannot_be_read_are_passed_over(new_toy, monkeypatch):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    exists = type(first.run).exists.fget

    def refuse(run):
        if run.path.name == "first":
            raise PermissionError(errno.EACCES, "Permission denied", str(run.path / "run.json"))
        return exists(run)

    monkeypatch.setattr(type(first.run), "exists", property(refuse))
    assert actions(second.execute()) == [(stage, "run") for stage in ALL]


def test_origin_that_changes_while_it_is_linked_is_not_taken(new_toy, monkeypatch, calls):
    first, second = new_toy("first"), new_toy("second")
    first.execute()
    link = os.link

    def replaced_meanwhile(source, target):
        if str(source).endswith("model.json"):
            source.unlink()
            source.write_text('{"weight": 1}')
        link(source, target)

    monkeypatch.setattr(os, "link", replaced_meanwhile)
    calls.clear()
    results = second.execute()
    assert calls == ["train"]
    assert actions(results)[1] == ("train", "run")
    assert json.loads((second.run.path / "train/model.json").read_text()) != {"weight": 1}


def test_copied_run_with_new_times_is_read_once_and_then_trusted(toy, monkeypatch, tmp_path):
    toy.execute()
    for path in toy.run.path.rglob("*.*"):
        os.utime(path)  # as a copy without times leaves it
    assert toy.plan().nothing_to_do
    toy.execute()

    def refuse(path):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr("ncdcli.run.manifest.digest_file", refuse)
    assert toy.plan().nothing_to_do

from __future__ import annotations

import hashlib
import os

from ncdcli.run.manifest import ABSENT, FileRecord, differences


def test_record_holds_the_sha256_of_the_content(tmp_path):
    file = tmp_path / "a"
    content = bytes(range(256)) * 9000  # more than one block
    file.write_bytes(content)
    record = FileRecord.of(file)
    assert record.sha256 == hashlib.sha256(content).hexdigest()
    assert record.size == 256 * 9000
    assert record.mtime_ns == file.stat().st_mtime_ns


def test_record_matches_by_content_where_the_time_differs(tmp_path):
    file = tmp_path / "a"
    file.write_text("one")
    record = FileRecord.of(file)
    os.utime(file, ns=(0, 0))
    assert not record.looks_like(file)
    assert record.matches(file)
    file.write_text("two")
    assert not record.matches(file)
    file.unlink()
    assert not record.matches(file)


def test_differences_name_each_leaf_by_its_path():
    before = {"a": {"b": 1, "c": [1, 2], "gone": True}, "same": None, "empty": {}}
    now = {"a": {"b": 2, "c": (1, 2), "new": {"d": 0}}, "same": None, "empty": {}}
    assert differences(before, now) == {"a.b": (1, 2), "a.gone": (True, ABSENT), "a.new.d": (ABSENT, 0)}


def test_differences_see_a_changed_kind():
    before, now = {"o": {"kind": "sgd", "lr": 1}}, {"o": {"kind": "adamw", "lr": 1}}
    assert differences(before, now) == {"o.kind": ("sgd", "adamw")}

from __future__ import annotations

import errno
import logging
import os

import pytest

from ncdcli.run.files import write_atomic
from ncdcli.run.log import log_to


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_atomic(path, b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")
def test_log_on_a_full_disk_hides_no_error(tmp_path):
    (tmp_path / "ncd.log").symlink_to("/dev/full")

    def fail():
        with log_to(tmp_path / "ncd.log"):
            logging.getLogger("ncdcli").warning("a line")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

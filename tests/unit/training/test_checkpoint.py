"""The files that a training keeps."""

from __future__ import annotations

import json
from pathlib import Path

from ncdcli.training.checkpoint import Log


def test_a_log_is_written_at_once_then_now_and_then_and_whole_when_flushed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"epoch": 1}\n')
    log = Log(path, seconds=3600)
    for epoch in (2, 3, 4):
        log.add({"epoch": epoch})
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2]
    log.flush()
    log.flush()
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]


def test_a_log_that_need_not_wait_has_every_line(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl", seconds=0)
    for epoch in (1, 2):
        log.add({"epoch": epoch})
        assert len((tmp_path / "log.jsonl").read_text().splitlines()) == epoch

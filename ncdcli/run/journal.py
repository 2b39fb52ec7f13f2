"""`events.jsonl`: what happened in a run, one JSON object a line."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


def now() -> str:
    """The time, ISO 8601 in UTC, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class Journal:
    """Appends and reads events: started, finished, failed, interrupted, reused, resumed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: str, stage: str, **details: Any) -> None:
        """Add one line and wait until it is on the disk."""
        line = json.dumps({"time": now(), "event": event, "stage": stage, **details}, ensure_ascii=False)
        with open(self.path, "ab+") as file:
            if self._ends_within_a_line(file.fileno()):
                file.write(b"\n")
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[dict[str, Any]]:
        """All events in order. A line that a crash cut short is left out."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [event for event in map(_parse, lines) if event is not None]

    @staticmethod
    def _ends_within_a_line(descriptor: int) -> bool:
        size = os.fstat(descriptor).st_size
        return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None

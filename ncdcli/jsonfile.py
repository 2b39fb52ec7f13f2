"""JSON files that a person can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def json_text(content: Any, *, sort_keys: bool = False) -> str:
    """`content` as indented JSON with a line end; ValueError for NaN and infinity, which JSON does not have."""
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False, sort_keys=sort_keys) + "\n"


def write_json(path: Path, content: Any, *, sort_keys: bool = False) -> None:
    """Write `content` as such a file."""
    path.write_text(json_text(content, sort_keys=sort_keys), "utf-8")

"""Digests that say whether data are still the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ncdcli.digests import digest_file


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-able value, as 64 hexadecimal digits; the order of map keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_lines(lines: Iterable[str]) -> str:
    """SHA-256 of many short texts in their order, without joining them in memory."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()


def digest_files(files: Sequence[tuple[str, Path]], *, content: bool) -> str:
    """SHA-256 over sorted (name, size), or over sorted (name, digest of the content).

    Names are relative, so that data may move.
    """
    if content:
        entries = [f"{name}\t{digest_file(path)}" for name, path in sorted(files)]
    else:
        entries = [f"{name}\t{path.stat().st_size}" for name, path in sorted(files)]
    return digest_lines(entries)

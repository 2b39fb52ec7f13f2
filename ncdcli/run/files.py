"""Files that are there whole or not at all: atomic writes, syncing to disk, digests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ncdcli.jsonfile import json_text

TEMPORARY = ".new-"  # how the names of half-written files start


def write_atomic(path: Path, content: bytes) -> None:
    """Put `content` at `path` by one rename, so that a reader or a crash sees the old file or the new one."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def is_temporary(path: Path) -> bool:
    """Whether a file is what a killed `write_atomic` left."""
    return path.name.startswith(TEMPORARY) and path.name.endswith(".tmp")


def json_bytes(content: Any) -> bytes:
    """`content` as JSON that a person can read."""
    return json_text(content).encode()


def sync(path: Path) -> None:
    """Wait until `path`, a file or a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    """Move a file or folder within one file system, by one rename."""
    os.rename(source, target)


def remove(path: Path) -> None:
    """Delete a file or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def size_alone(path: Path) -> int:
    """Bytes that removing the file or folder `path` would free: files that another name shares are not counted."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(stat.st_size for stat in (file.stat() for file in files) if stat.st_nlink == 1)

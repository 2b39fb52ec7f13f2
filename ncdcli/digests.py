"""The digest of a file."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

BLOCK_BYTES = 1 << 20


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content, in hex, read in blocks."""
    digest = sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()

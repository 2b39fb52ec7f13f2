"""What was downloaded, noted beside each file that was made of it, so that a later one can be compared."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ncdcli.data.download_kinds import Download
from ncdcli.data.kinds import Card, Table
from ncdcli.digests import digest_file
from ncdcli.errors import Problem

SUFFIX = ".download.json"


@dataclass(frozen=True)
class Record:
    """How a file came about."""

    card: str
    downloaded: str  # date and time, UTC
    archives: list[dict[str, Any]]  # url, bytes and sha256 of what was brought, and the mirror, if any
    rows: int
    columns: int
    bytes: int
    sha256: str  # of the file
    checked: list[str]  # what the card let be checked

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def record_path(file: Path) -> Path:
    """Where the record of a file is."""
    return file.with_name(file.name + SUFFIX)


def read_record(file: Path) -> Record | None:
    """The record of a file; None where there is none, or none that can be read."""
    try:
        return Record(**json.loads(record_path(file).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def download_differences(source: Table, root: Path, card: Card | None) -> list[Problem]:
    """Where files that are here are not those that were downloaded, or hold other rows than the card says."""
    download = card.download if card is not None else None
    problems = []
    for field in ("train", "test"):
        name = getattr(source, field)
        if name is None:
            continue
        file = root / name
        record = read_record(file)
        if record is not None and digest_file(file) != record.sha256:
            hint = f"remove it and download it again, or remove `{record_path(file)}` if you changed the file yourself"
            problems.append(Problem(f"it is not as it was downloaded on {record.downloaded}", str(file), hint=hint))
        if download is not None and not _rows_as_on_card(source, file, download, field):
            hint = "the file is incomplete or another release: remove it and get it again"
            problems.append(Problem("its rows are not those that the card says", str(file), hint=hint))
    return problems


def _rows_as_on_card(source: Table, file: Path, download: Download, field: str) -> bool:
    from ncdcli.data.prepared_rows import rows_digest, rows_of_file

    wanted = download.tables()[field].rows_sha256
    return wanted is None or rows_digest(rows_of_file(file, source)) == wanted

"""`--download` of a table: brings what the card names, makes its files of that, checks them, puts them in place.

Files appear by one rename, when all of them are made and checked. A file that is there already is never touched. What
was brought stays in `.ncd-download` below the data root until then, so that an interrupted download goes on with it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ncdcli.data.archives import DAMAGED, Downloads
from ncdcli.data.download_kinds import Download, PreparedTable, checks_of, file_name
from ncdcli.data.download_record import Record, read_record, record_path
from ncdcli.data.fetch import MIRROR, fetch
from ncdcli.data.kinds import Card, Table
from ncdcli.data.prepared_rows import Found, prepared_rows, rows_digest, watch, write_rows
from ncdcli.digests import digest_file
from ncdcli.errors import FULL, MissingError, NcdError
from ncdcli.run.files import TEMPORARY, json_bytes, rename, sync, write_atomic
from ncdcli.run.journal import now

if TYPE_CHECKING:
    from ncdcli.pipeline.context import Progress

WORK = ".ncd-download"


@dataclass(frozen=True)
class Made:
    """A file that is made and checked, under a temporary name."""

    file: Path
    temporary: Path
    record: Record


def download_tables(card: Card, root: Path, progress: Progress | None = None) -> None:
    """Make the files of the card that are absent. MissingError, in one sentence, where that is not possible."""
    download, source = card.download, card.source
    assert download is not None
    assert isinstance(source, Table)  # a rule of cards
    try:
        with _only_one(root, progress) as work:
            absent = _absent(card, source, root)
            if absent:
                _make_all(card, download, source, absent, root=root, work=work / card.name, progress=progress)
            shutil.rmtree(work / card.name, ignore_errors=True)
    except MissingError as error:
        message = f"{card.name} cannot be downloaded: {error.message}"
        raise MissingError(message, hint=error.hint or _by_hand(card, download, root)) from error


def _by_hand(card: Card, download: Download, root: Path) -> str:
    """What to do where a download does not work."""
    urls = " and ".join(f"`{url}`" for url in download.urls)
    hint = f"try again, or save {urls} in a folder by other means and name that: `{MIRROR}=FOLDER`"
    obtain = card.obtain.strip().replace("{root}", str(root))
    return f"{hint}; or {obtain}" if obtain else hint


@contextmanager
def _only_one(root: Path, progress: Progress | None) -> Iterator[Path]:
    """The folder to work in, while no other process downloads to the same data root."""
    work = root / WORK
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if progress is not None:
                progress.note(f"waiting for another download to `{root}` …")
            lock.acquire()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "make it writable, or name another data root: `--root`, `data.root` or $NCD_DATA"
        raise NcdError(f"cannot write in the data root `{root}`: {reason}", hint=hint) from error
    try:
        yield work
    finally:
        lock.release()


def _absent(card: Card, source: Table, root: Path) -> dict[str, Path]:
    """Field of the source -> the file that is to be made. MissingError where another has come from elsewhere."""
    assert card.download is not None
    files = {field: root / getattr(source, field) for field in card.download.tables()}
    absent = {field: file for field, file in files.items() if not file.is_file()}
    for file in files.values() if absent else ():
        if not file.is_file():
            continue
        record = read_record(file)
        if record is None or record.sha256 != digest_file(file):
            others = " and ".join(f"`{path}`" for path in absent.values())
            message = f"`{file}` is there and was not downloaded, so that {others} may not go with it"
            raise MissingError(message, hint=f"put {others} beside it, or move it away to download all files")
    return absent


def _make_all(
    card: Card,
    download: Download,
    source: Table,
    absent: dict[str, Path],
    *,
    root: Path,
    work: Path,
    progress: Progress | None,
) -> None:
    """Bring, make and check the absent files, and only then put them in place."""
    work.mkdir(exist_ok=True)
    archives: list[dict[str, Any]] = []
    files: list[Path] = []
    for url in download.urls:
        file = fetch(url, work, sha256=download.sha256.get(file_name(url)), progress=progress)
        files.append(file)
        fetched = {"url": url, "bytes": file.stat().st_size, "sha256": digest_file(file)}
        archives.append(fetched | ({"mirror": mirror} if (mirror := os.environ.get(MIRROR)) else {}))
    if progress is not None:
        progress.note(f"making {' and '.join(f'`{file}`' for file in absent.values())} …")
    with ExitStack() as stack:
        try:
            downloads = Downloads(files, work)
            _check_members(download, downloads)
            made = [_make(card, field, file, downloads, archives, stack) for field, file in absent.items()]
        except DAMAGED as error:
            _forget(files, work)
            raise MissingError(f"what was downloaded is cut off or damaged: {error}") from error
        except UnicodeDecodeError as error:
            _forget(files, work)
            raise MissingError("what was downloaded is not text in UTF-8") from error
        except MissingError:
            _forget(files, work)
            raise
        for one in made:
            write_atomic(record_path(one.file), json_bytes(one.record.as_dict()))
            rename(one.temporary, one.file)
            sync(one.file.parent)


def _make(
    card: Card, field: str, file: Path, downloads: Downloads, archives: list[dict[str, Any]], stack: ExitStack
) -> Made:
    """One file, checked, under a temporary name that goes when the `stack` is closed."""
    assert card.download is not None
    assert isinstance(card.source, Table)
    file.parent.mkdir(parents=True, exist_ok=True)
    for left in file.parent.glob(f"{TEMPORARY}{file.name}.*.tmp"):  # by a process that was killed
        left.unlink()
    temporary = file.with_name(f"{TEMPORARY}{file.name}.{os.getpid()}.tmp")
    stack.callback(temporary.unlink, missing_ok=True)
    found = _write(card.download.tables()[field], card.source, downloads, temporary)
    return Made(file, temporary, _checked(card, field, found, temporary, file, archives))


def _check_members(download: Download, downloads: Downloads) -> None:
    """MissingError where a member has another checksum than the card says."""
    whole = {file_name(url) for url in download.urls}
    for name, wanted in download.sha256.items():
        if name in whole:
            continue
        found = downloads.digest(downloads.find(name))
        if found != wanted:
            raise MissingError(f"`{name}` has another checksum: sha256 is {found}, the card says {wanted}")


def _write(table: PreparedTable, source: Table, downloads: Downloads, file: Path) -> Found:
    """Write the rows to `file`, and say what they were."""
    found = Found()
    try:
        with open(file, "w", encoding="utf-8", newline="") as text:
            rows = prepared_rows(table, source, downloads)
            write_rows(watch(rows, found, source, digest=table.rows_sha256 is not None), text, source)
            text.flush()
            os.fsync(text.fileno())
    except OSError as error:
        if error.errno in FULL:
            hint = "free some space, or name another data root: `--root`, `data.root` or $NCD_DATA"
            raise NcdError(f"the disk is full: could not write `{file.parent}`", hint=hint) from error
        raise
    return found


def _checked(
    card: Card, field: str, found: Found, temporary: Path, file: Path, archives: list[dict[str, Any]]
) -> Record:
    """The record of a file whose rows are what the card says. MissingError with the first thing that is not."""
    assert card.download is not None
    fault = _fault(card, field, found)
    if fault:
        raise MissingError(f"what was downloaded is not what the card says: `{file.name}` would have {fault}")
    digest, before = digest_file(temporary), read_record(file)
    if before is not None and before.sha256 != digest:
        message = f"`{file.name}` would not be as it was downloaded on {before.downloaded}: its source has changed"
        hint = f"remove `{record_path(file)}` to take what is there now"
        raise MissingError(message, hint=hint)
    columns, size = card.download.tables()[field].columns, temporary.stat().st_size
    return Record(card.name, now(), archives, found.rows, columns, size, digest, checks_of(card.download, field))


def _fault(card: Card, field: str, found: Found) -> str:
    """What is not as the card says, in words that follow "the file would have"; nothing where all is."""
    assert card.download is not None
    table = card.download.tables()[field]
    wanted = card.test_samples if field == "test" else card.train_samples
    if field == "train" and "test" not in card.download.tables():
        wanted += card.test_samples
    if found.columns != {table.columns}:
        return f"{' or '.join(map(str, sorted(found.columns))) or 'no'} columns, the card says {table.columns}"
    if wanted and found.rows != wanted:
        return f"{found.rows:,} rows, the card says {wanted:,}"
    names = card.class_names
    if len(found.classes) != card.classes or (names is not None and set(names) != set(found.classes)):
        return f"other classes than the card: {', '.join(sorted(found.classes)[:30])}"
    for name, count in zip(names or (), table.class_rows or (), strict=False):
        if found.classes[name] != count:
            return f"{found.classes[name]:,} rows of class {name}, the card says {count:,}"
    if table.rows_sha256 is not None and rows_digest(found) != table.rows_sha256:
        return "other rows than the card: their digest differs"
    return ""


def _forget(files: list[Path], work: Path) -> None:
    """Do not go on with what is no good the next time; a file of the user's mirror stays."""
    for file in files:
        if file.parent == work:
            file.unlink(missing_ok=True)

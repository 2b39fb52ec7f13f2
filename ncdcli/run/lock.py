"""One writer per run: a lock of the operating system, and a note of who holds it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ncdcli.errors import FULL, NcdError, RunBusyError
from ncdcli.run.files import json_bytes, write_atomic
from ncdcli.run.journal import now

LOCK = ".lock"
OWNER = ".lock.json"
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Owner:
    """The process that holds a run's lock."""

    pid: int
    host: str
    command: str
    started: str

    @property
    def is_gone(self) -> bool:
        """Whether it is sure that the process has ended; of another machine's processes nothing is known."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # there, but another user's
            return False
        return False


def read_owner(folder: Path) -> Owner | None:
    """Who holds the lock of the run in `folder`, or None: nobody does, or the one who did has ended."""
    owner = _noted_owner(folder)
    return None if owner is None or owner.is_gone else owner


@contextmanager
def hold_lock(folder: Path, *, command: str = "", patience_seconds: float = 10.0) -> Iterator[None]:
    """Be the only writer of the run in `folder` while the block lasts. RunBusyError naming the other one.

    The operating system frees the lock of a process that ends, however it ends. Only its own children (loader
    processes) can hold it a little longer than a killed parent: they are waited for, `patience_seconds` at most.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        _acquire(lock, folder, patience_seconds=patience_seconds)
    except OSError as error:
        raise NcdError(
            f"cannot write in `{folder}`: {(error.strerror or str(error)).lower()}",
            hint="make it writable, or choose another `--run`",
        ) from error
    owner = Owner(os.getpid(), socket.gethostname(), command, now())
    try:
        _note_owner(folder, owner)
        yield
    finally:
        (folder / OWNER).unlink(missing_ok=True)
        lock.release()


def _acquire(lock: FileLock, folder: Path, *, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            lock.acquire()
        except Timeout:
            owner = _noted_owner(folder)
            if owner is None or not owner.is_gone or time.monotonic() > deadline:
                raise _busy(folder, owner) from None
            time.sleep(POLL_SECONDS)
        else:
            return


def _note_owner(folder: Path, owner: Owner) -> None:
    """Say who holds the lock, unless the disk is full: `ncd clean` must be able to free space."""
    try:
        write_atomic(folder / OWNER, json_bytes(asdict(owner)))
    except OSError as error:
        if error.errno not in FULL:
            raise


def _busy(folder: Path, owner: Owner | None) -> RunBusyError:
    if owner is None:
        return RunBusyError(f"run `{folder}` is in use by another process", hint="wait for it to end, or use `--run`")
    if owner.is_gone:
        return RunBusyError(
            f"run `{folder}` is held by processes that `{owner.command}` (pid {owner.pid}) left behind",
            hint=f"end them: `fuser {folder / LOCK}` lists them",
        )
    return RunBusyError(
        f"run `{folder}` is in use by pid {owner.pid} on {owner.host} since {owner.started}: `{owner.command}`",
        hint=f"wait for it, stop it (`kill {owner.pid}` on {owner.host}), or write elsewhere with `--run`",
    )


def _noted_owner(folder: Path) -> Owner | None:
    try:
        return Owner(**json.loads((folder / OWNER).read_bytes()))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None

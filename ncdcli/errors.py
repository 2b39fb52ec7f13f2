"""The errors a user can meet: each carries a message, a hint with the next command, and an exit code."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file: where, what, the line itself, and what to do."""

    message: str
    place: str = ""  # "file:line:column: path.in.the.file", or a file or row
    source_line: str = ""
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        if self.source_line:
            text += f"\n    {self.source_line}"
        if self.hint:
            text += f"\n  hint: {self.hint}"
        return text


class NcdError(Exception):
    """A stage failed, or a fault of ours. The base of every error that `ncd` raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.log: Path | None = None  # where the traceback is, for a fault that nobody foresaw
        self.resume = ""  # the command that goes on, where a stage was stopped or failed


class UsageError(NcdError):
    """The command line does not make sense."""

    exit_code = 2


class RecipeError(NcdError):
    """A recipe or dataset card is not valid; `problems` holds every fault found, not only the first."""

    exit_code = 3

    def __init__(self, message: str, problems: Sequence[Problem] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([self.message, *map(str, self.problems)])


class DataError(RecipeError):
    """The data are there but cannot be used as they are: NaN, unreadable files, an empty class."""


class MissingError(NcdError):
    """Something needed is not there: data, run, earlier stage, weights, optional package."""

    exit_code = 4


class RunBusyError(NcdError):
    """Another process is writing to the run."""

    exit_code = 5


class RequirementError(NcdError):
    """A `--require` threshold was not met."""

    exit_code = 6


class Interrupted(NcdError):
    """A signal asked us to stop; state is saved. `exit_code` is 130 (SIGINT) or 143 (SIGTERM)."""

    def __init__(self, message: str, *, exit_code: int = 130, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


# What a system answers about a path that is there, or could be, and that it will not let us use.
REFUSALS = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO,
    errno.ESTALE,
)  # fmt: skip
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
FULL = (errno.ENOSPC, errno.EDQUOT)  # what a full disk or quota answers


def refused(error: BaseException) -> NcdError | None:
    """The error for a path that the system will not let us use, or a full disk, in plain words; None for any other."""
    if isinstance(error, OSError) and error.errno in FULL:
        where = f": could not write `{error.filename}`" if isinstance(error.filename, str) else ""
        return NcdError(f"the disk is full{where}", hint="free some space, or write elsewhere")
    if not isinstance(error, OSError) or error.errno not in REFUSALS or not isinstance(error.filename, str):
        return None
    name = error.filename if len(error.filename) <= 100 else f"{error.filename[:50]}…{error.filename[-30:]}"
    hint = "change who may read and write it (`ls -l` shows it), or name another place" * (error.errno in FORBIDDEN)
    return NcdError(f"`{name}`: {(error.strerror or str(error)).lower()}", hint=hint)

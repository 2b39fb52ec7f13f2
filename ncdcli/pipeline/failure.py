"""What a user is told when a stage stops before its end."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ncdcli.errors import Interrupted, NcdError
from ncdcli.run.folder import RunFolder

logger = logging.getLogger(__name__)
FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_TEXTS = ("No space left on device", "os error 28")  # safetensors raises an error of its own
MEBIBYTE = 1 << 20


def explain(error: Exception, *, stage: str, run: RunFolder, command: str) -> NcdError:
    """The error to raise for `error`: itself if it was raised on purpose, else NcdError with the path of the log.

    The hint says in either case which command goes on. The traceback goes to the log.
    """
    logger.error("stage %s failed", stage, exc_info=error)
    if isinstance(error, NcdError):
        explained = error
    elif is_disk_full(error, run.path):
        explained = _full(run, f"stage `{stage}`")
    else:
        explained = NcdError(
            f"stage `{stage}` failed: {type(error).__name__}: {_first_line(error)} (log: {run.log_path})"
        )
    explained.hint = _with_command(explained.hint, command, stage)
    return explained


def interruption(*, stage: str, work: Path | None, exit_code: int, command: str) -> Interrupted:
    """The error for a stop that was asked for: what is saved, and how to go on. `work`: where the stage is."""
    if work is None:
        message = f"stopped before `{stage}`; all before it is saved"
    elif any(work.glob("checkpoint*")):
        message = f"interrupted in `{stage}`; state saved"
    else:
        message = f"interrupted in `{stage}`; all before it is saved, `{stage}` itself will start again"
    return Interrupted(message, exit_code=exit_code, hint=_with_command("", command, stage))


@contextmanager
def told_about_full_disk(run: RunFolder) -> Iterator[None]:
    """Context in which a full disk is reported as such, wherever it is met."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error, run.path):
            raise _full(run, "ncd") from error
        raise


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Whether a full disk or quota is behind `error`; torch does not say so, so the disk itself is looked at too."""
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.errno in FULL:
            return True
        if any(text in str(cause) for text in FULL_TEXTS):
            return True
    wrote = "PytorchStreamWriter" in str(error)
    return wrote and shutil.disk_usage(folder).free < MEBIBYTE


def resume_command(command: str) -> str:
    """The command line without what would throw the saved state away."""
    return " ".join(word for word in command.split(" ") if word != "--restart")


def _full(run: RunFolder, who: str) -> NcdError:
    free = shutil.disk_usage(run.path).free / MEBIBYTE
    return NcdError(
        f"the disk is full: {who} could not write in `{run.path}` ({free:.0f} MiB free); nothing half-written counts",
        hint=f"free some space (`ncd clean {run.path}` removes replaced results)",
    )


def _with_command(hint: str, command: str, stage: str) -> str:
    goes_on = f"`{resume_command(command)}` goes on from `{stage}`" if command else ""
    return "; then ".join(part for part in (hint, goes_on) if part)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["(no message)"])[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

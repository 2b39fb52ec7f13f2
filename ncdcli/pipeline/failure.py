"""What a user is told when a stage stops before its end."""

from __future__ import annotations

import logging
import shlex
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from ncdcli.errors import FULL, Interrupted, NcdError
from ncdcli.pipeline.work import has_checkpoint
from ncdcli.run.folder import RunFolder

logger = logging.getLogger(__name__)
FULL_TEXTS = ("No space left on device", "os error 28")  # safetensors raises an error of its own
MEBIBYTE = 1 << 20


def explain(error: Exception, *, stage: str, run: RunFolder, resume: str) -> NcdError:
    """The error to raise for `error`: itself if it was raised on purpose, else NcdError with the path of the log.

    It is told the command that goes on. The traceback goes to the log.
    """
    logger.error("stage %s failed", stage, exc_info=error)
    if isinstance(error, NcdError):
        explained = error
    elif is_disk_full(error, run.path):
        explained = _full(run, f"stage `{stage}`")
    else:
        explained = NcdError(f"stage `{stage}` failed: {type(error).__name__}: {_first_line(error)}")
        explained.log = run.log_path
    explained.resume = resume
    return explained


def interruption(*, stage: str, work: Path | None, exit_code: int, resume: str) -> Interrupted:
    """The error for a stop that was asked for: what is saved, and how to go on. `work`: where the stage is."""
    if work is None:
        message = f"stopped before `{stage}`; all before it is saved"
    elif has_checkpoint(work):
        message = f"interrupted in `{stage}`; state saved"
    else:
        message = f"interrupted in `{stage}`; all before it is saved, `{stage}` itself will start again"
    stopped = Interrupted(message, exit_code=exit_code)
    stopped.resume = resume
    return stopped


@contextmanager
def told_about_full_disk(run: RunFolder, *, resume: str) -> Iterator[None]:
    """Context in which a full disk is reported as such, wherever it is met."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error, run.path):
            full = _full(run, "ncd")
            full.resume = resume
            raise full from error
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


def resume_command(command: str, *, done: Collection[str] = ()) -> str:
    """The command line without what would throw saved state away: `--restart`, and `--force` of stages now `done`."""
    try:
        words = iter(shlex.split(command))
    except ValueError:  # not a command line of ours
        return command
    kept: list[str] = []
    for word in words:
        option = [word, *islice(words, 1)] if word == "--force" else [word]
        stage = option[-1].removeprefix("--force=").replace("-", "_")
        if word != "--restart" and not (word.startswith("--force") and stage in done):
            kept += option
    return shlex.join(kept)


def _full(run: RunFolder, who: str) -> NcdError:
    free = shutil.disk_usage(run.path).free / MEBIBYTE
    return NcdError(
        f"the disk is full: {who} could not write in `{run.path}` ({free:.0f} MiB free); nothing half-written counts",
        hint=f"free some space (`ncd clean {run.path}` removes replaced results)",
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["(no message)"])[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

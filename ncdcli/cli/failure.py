"""Errors as a person or a program reads them: message, every problem, hint, log, and the command that goes on."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ncdcli.cli.session import Session
from ncdcli.errors import Interrupted, NcdError, RecipeError, RunBusyError, refused
from ncdcli.pipeline.failure import resume_command


def report(error: BaseException, session: Session) -> int:
    """Print `error` to stderr (and as one JSON object to stdout under `--json`); the exit code to end with.

    The last line after a failed or interrupted stage is the command that goes on.
    """
    found = error if isinstance(error, NcdError) else _fault(error, session)
    resume = _resume(error, found, session)
    with suppress(OSError):  # nobody reads stderr any more
        _print(error, found, resume=resume)
    if session.json and not session.answered:
        with suppress(OSError):  # nor stdout
            session.answer(_as_object(error, found, resume=resume))
    return found.exit_code


def _print(error: BaseException, found: NcdError, *, resume: str) -> None:
    _print_error(found.message)
    for problem in getattr(found, "problems", ()):
        print(problem, file=sys.stderr)
    if os.environ.get("NCD_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)
    if found.hint:
        print(f"hint: {found.hint}", file=sys.stderr)
    if found.log is not None:
        print(f"log: {found.log}", file=sys.stderr)
    if resume:
        print(f"to go on: {resume}", file=sys.stderr)


def _fault(error: BaseException, session: Session) -> NcdError:
    """An exception that nobody raised on purpose, as an error of one line with the path of a log."""
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    fault = refused(error) or NcdError(f"unexpected fault: {message.splitlines()[0]}")
    fault.log = _write_log(error, session)
    return fault


def _write_log(error: BaseException, session: Session) -> Path | None:
    """Append the traceback to a log; where none can be written it goes to stderr, and the path is None."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    lines = "".join(traceback.format_exception(error))
    for log in _logs(session):
        with suppress(OSError), open(log, "a", encoding="utf-8") as file:
            file.write(f"{now} {session.command}\n{lines}\n")
            return log
    with suppress(OSError):
        print(lines, file=sys.stderr, end="")
    return None


def _logs(session: Session) -> Iterator[Path]:
    """Where a log may be: in the run; in the temporary folder, if there is one that can be written."""
    if session.run is not None and session.run.is_dir():
        yield session.run / "ncd.log"
    with suppress(OSError):
        yield Path(tempfile.gettempdir()) / f"ncd-{os.getpid()}.log"


def _resume(error: BaseException, found: NcdError, session: Session) -> str:
    """The command that goes on: what the failed stage says; or, after a fault, an interruption before any stage, or
    while another process works on the run, the same command. Empty where that would fail the same way.
    """
    again = not isinstance(error, NcdError) or isinstance(error, (Interrupted, RunBusyError))
    if found.resume or session.run is None or not again:
        return found.resume
    return resume_command(session.command)


def _print_error(message: str) -> None:
    if sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb":
        print(f"\x1b[1;31merror:\x1b[0m {message}", file=sys.stderr)
    else:
        print(f"error: {message}", file=sys.stderr)


def _as_object(error: BaseException, found: NcdError, *, resume: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "kind": type(error).__name__,
        "message": found.message,
        "hint": found.hint,
        "exit_code": found.exit_code,
    }
    if found.log is not None:
        content["log"] = str(found.log)
    if resume:
        content["resume"] = resume
    if isinstance(found, RecipeError):
        content["problems"] = [
            {"message": problem.message, "place": problem.place, "line": problem.source_line, "hint": problem.hint}
            for problem in found.problems
        ]
    return {"error": content}

"""Errors as a person or a program reads them: message, every problem, hint, log, and the command that goes on."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ncdcli.cli.session import Session
from ncdcli.errors import NcdError, RecipeError
from ncdcli.pipeline.failure import resume_command


def report(error: BaseException, session: Session) -> int:
    """Print `error` to stderr (and as one JSON object to stdout under `--json`); the exit code to end with."""
    if not isinstance(error, NcdError):
        return _report_fault(error, session)
    _print_error(error.message)
    for problem in getattr(error, "problems", ()):
        print(problem, file=sys.stderr)
    _print_traceback_if_asked(error)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    _print_resume(session, error.hint, exit_code=error.exit_code)
    if session.json and not session.answered:
        session.answer(_as_object(error))
    return error.exit_code


def _report_fault(error: BaseException, session: Session) -> int:
    """An exception that nobody raised on purpose: one line, the path of the log, exit code 1."""
    log = _write_log(error, session)
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    _print_error(f"unexpected fault: {message.splitlines()[0]}")
    _print_traceback_if_asked(error)
    print(f"log: {log}", file=sys.stderr)
    _print_resume(session, "", exit_code=1)
    if session.json and not session.answered:
        session.answer({"error": {"kind": type(error).__name__, "message": message, "exit_code": 1, "log": str(log)}})
    return 1


def _write_log(error: BaseException, session: Session) -> Path:
    """Append the traceback to the log of the run, or to one in the temporary folder where there is no run."""
    if session.run is not None and session.run.is_dir():
        log = session.run / "ncd.log"
    else:
        log = Path(tempfile.gettempdir()) / f"ncd-{os.getpid()}.log"
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    lines = "".join(traceback.format_exception(error))
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{now} {session.command}\n{lines}\n")
    return log


def _print_traceback_if_asked(error: BaseException) -> None:
    if os.environ.get("NCD_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)


def _print_resume(session: Session, hint: str, *, exit_code: int) -> None:
    """The last line after a failed or interrupted stage is the command that goes on, unless the hint has it.

    Wrong usage, an invalid recipe, something missing or an unmet bound are not cured by the same command.
    """
    if session.run is None or exit_code in (2, 3, 4, 6):
        return
    command = resume_command(session.command)
    if command not in hint:
        print(f"to go on: {command}", file=sys.stderr)


def _print_error(message: str) -> None:
    if sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb":
        print(f"\x1b[1;31merror:\x1b[0m {message}", file=sys.stderr)
    else:
        print(f"error: {message}", file=sys.stderr)


def _as_object(error: NcdError) -> dict[str, Any]:
    content: dict[str, Any] = {
        "kind": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }
    if isinstance(error, RecipeError):
        content["problems"] = [
            {"message": problem.message, "place": problem.place, "line": problem.source_line, "hint": problem.hint}
            for problem in error.problems
        ]
    return {"error": content}

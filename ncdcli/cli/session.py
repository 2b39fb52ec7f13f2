"""What one invocation of `ncd` knows about itself, for the error handler and for output."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from ncdcli.cli.output import print_json


@dataclass
class Session:
    """Filled in while a command goes on; read by the error handler after it."""

    json: bool = False
    quiet: bool = False
    run: Path | None = None  # the run folder, once stages are run in it
    arguments: list[str] = field(default_factory=list)
    answered: bool = False  # the one JSON object is out

    @property
    def command(self) -> str:
        """The command line as the user typed it."""
        return shlex.join(["ncd", *self.arguments])

    def note(self, message: str) -> None:
        """Tell the person at the terminal, unless `--quiet`."""
        if not self.quiet:
            print(message, file=sys.stderr, flush=True)

    def answer(self, content: Mapping[str, Any]) -> None:
        """Print the one JSON object of this invocation."""
        print_json(content)
        self.answered = True


def session_of(context: typer.Context, *, json: bool = False, quiet: bool = False) -> Session:
    """The session of a command, told how to answer."""
    session = context.ensure_object(Session)
    session.json, session.quiet = json, quiet
    return session

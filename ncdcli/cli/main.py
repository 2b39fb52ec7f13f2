"""The `ncd` command: its sub-commands, and what happens to their errors."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ncdcli import __version__
from ncdcli.cli import data, housekeeping, init, label, predicting, recipes, report, runs, stages, sweeping, tuning
from ncdcli.cli.session import Session
from ncdcli.errors import Interrupted, MissingError, NcdError
from ncdcli.pipeline.signals import interrupted, raise_stopped

SIGPIPE_EXIT = 141  # what a program killed by a closed pipe ends with

GROUPS = {"init": init.app, "recipes": recipes.app, "data": data.app}


class Commands(TyperGroup):
    """The commands in the order of a user's day, and what older Typers do differently at their end."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Stage commands, then the groups, which Typer would put last, then the others."""
        names = [name for name in super().list_commands(ctx) if name not in GROUPS]
        first = len(stages.COMMANDS) + 2  # sweep and tune are of them
        return [*names[:first], *GROUPS, *names[first:]]

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Older Typers have ideas of their own on Ctrl-C, and all of them on a closed pipe."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None
        except BrokenPipeError:
            raise typer.Exit(SIGPIPE_EXIT) from None


app = typer.Typer(
    cls=Commands,
    name="ncd",
    help="Find the novel classes in unlabelled data: from a recipe to a scored discovery.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ncd {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find the novel classes in unlabelled data: from a recipe to a scored discovery."""


stages.add_stage_commands(app)
sweeping.add_sweep_command(app)
tuning.add_tune_command(app)
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name, rich_help_panel="Recipes and data")
runs.add_run_commands(app)
report.add_report_command(app)
label.add_label_command(app)
predicting.add_predict_command(app)
housekeeping.add_housekeeping_commands(app)
COMMAND: Any = typer.main.get_command(app)  # here, where runs that are forks have it from the process that is forked


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `ncd` with `arguments` (the process's own by default) and exit with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _replace_closed_streams()
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):  # not where it is ignored
        signal.signal(signal.SIGINT, raise_stopped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal or pipe that cannot show "±" gets "?", not a traceback
            stream.reconfigure(errors="replace")
    sys.exit(_flushed(_run(words)))


def _run(words: list[str]) -> int:
    session = Session(arguments=words)
    try:
        _check_current_folder()
        COMMAND.main(args=words, prog_name="ncd", obj=session)
    except SystemExit as end:  # how Typer returns, help and wrong usage included
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - where every fault ends: told, logged, exit code
        from ncdcli.cli.failure import report

        # Some libraries turn what comes through them into errors of their own.
        struck = isinstance(error, KeyboardInterrupt) or (interrupted() and not isinstance(error, NcdError))
        return report(Interrupted("interrupted") if struck else error, session)
    return 0


def _check_current_folder() -> None:
    """Nothing, or MissingError: without a current folder nothing can be found or written, and MKL ends the process."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise MissingError("the current folder has been removed", hint="`cd` to a folder that is there") from None


def _replace_closed_streams() -> None:
    """Give closed streams (`ncd run … 2>&-`) the null device: no file that is written may get their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for as long as the process lives


def _flushed(code: int) -> int:
    """`code`, once stdout is out; a reader that went away (`ncd runs | head -1`) is no reason for a traceback."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return SIGPIPE_EXIT
        from ncdcli.cli.failure import report

        return code or report(error, Session())
    return code


if __name__ == "__main__":
    main()

"""Arguments and options that several commands share, each written once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ncdcli.errors import UsageError
from ncdcli.pipeline.spec import BY_NAME

_HOW = "Where and how fast"
_OUT = "Output"


def complete_targets(incomplete: str) -> list[str]:
    """Shipped recipes and runs, for the shell's completion."""
    from ncdcli.shipped import shipped_recipes

    names = [*shipped_recipes(), *(str(path.parent) for path in Path("runs").glob("*/run.json"))]
    return [name for name in names if name.startswith(incomplete)]


def complete_runs(incomplete: str) -> list[str]:
    """Run folders below `runs/`, for the shell's completion."""
    names = [str(path.parent) for path in Path("runs").glob("*/run.json")]
    return [name for name in names if name.startswith(incomplete)]


Target = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE|RUN",
        help="A shipped recipe's name, a recipe file, or a run folder.",
        autocompletion=complete_targets,
        show_default=False,
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run folder, or its name.", autocompletion=complete_runs, show_default=False),
]
RunsArgument = Annotated[
    list[str],
    typer.Argument(metavar="RUN...", help="Run folders, or their names.", autocompletion=complete_runs),
]
OptionalRunArgument = Annotated[
    str | None,
    typer.Argument(metavar="[RUN]", help="A run folder, or its name; all runs if left out.", show_default=False),
]
RunFolderOption = Annotated[
    Path | None, typer.Option("--run", "--run-folder", metavar="PATH", help="Run folder to write; default `runs/NAME`.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Override a field of the recipe, e.g. seed=1. Repeatable."),
]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="STAGE", help="Stop after this stage.")]
ForceOption = Annotated[
    list[str] | None,
    typer.Option("--force", metavar="STAGE", help="Run a stage again although it is done. Repeatable."),
]
RestartOption = Annotated[
    bool, typer.Option("--restart", help="Start interrupted stages afresh in place of resuming them.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and why; write nothing.")]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_HOW)
]
DevicesOption = Annotated[
    int,
    typer.Option("--devices", metavar="N", min=1, help="Data-parallel processes for training.", rich_help_panel=_HOW),
]
DeterministicOption = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        help="The same numbers in every repetition on a GPU too (a CPU gives them anyway): slower kernels; stops where "
        "an operation has none. What is done already stays: see `--force`.",
        rich_help_panel=_HOW,
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option("--workers", metavar="N", min=0, help="Processes that decode files.", rich_help_panel=_HOW),
]
DownloadOption = Annotated[
    bool, typer.Option("--download", help="Bring the data set if it is absent, and check it.", rich_help_panel=_HOW)
]
TensorBoardOption = Annotated[
    bool,
    typer.Option("--tensorboard", help="Write losses for TensorBoard, to RUN/tensorboard.", rich_help_panel=_OUT),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object and nothing more on stdout.", rich_help_panel=_OUT)
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.", rich_help_panel=_OUT)]
RootOption = Annotated[Path, typer.Option("--root", metavar="PATH", help="Folder that holds the runs.", readable=False)]


def stage_name(text: str) -> str:
    """The stage that `text` names; `estimate-k` is `estimate_k`. UsageError with the names otherwise."""
    name = text.replace("-", "_")
    if name not in BY_NAME:
        raise UsageError(f"no stage is named `{text}`", hint=f"the stages are: {', '.join(BY_NAME)}")
    return name


def check_device(text: str) -> str:
    """`text`, if it can name a device. UsageError otherwise. Whether this machine has it is seen when it is used."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise UsageError(f"no device is named `{text}`", hint="write auto, cpu, cuda, cuda:N or mps")
    return text

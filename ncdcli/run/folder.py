"""`RunFolder`: where everything of one run lies, and what is in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncdcli.errors import MissingError, NcdError, UsageError
from ncdcli.run.files import is_temporary, json_bytes, write_atomic
from ncdcli.run.journal import Journal, now
from ncdcli.run.lock import LOCK, Owner, hold_lock, read_owner
from ncdcli.run.manifest import Manifest

if TYPE_CHECKING:
    from ncdcli.recipe.resolve import ResolvedRecipe
    from ncdcli.recipe.schema import Recipe

FORMAT = 1  # raised when a run folder means something else to an older version
RUNS = Path("runs")
SHORT = 16  # characters of a fingerprint that name a folder
NOT_DONE = "not done yet"  # why a stage that never was runs


@dataclass(frozen=True)
class RunInfo:
    """`run.json`."""

    name: str
    created: str
    format: int
    commands: tuple[dict[str, str], ...]  # {"time", "command"} of each command that wrote to the run


class RunFolder:
    """One run. Nothing is read or written before a method asks for it."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return (self.path / "run.json").is_file()

    @property
    def can_be_written(self) -> bool:
        """Whether we may write in the folder, which is there."""
        return os.access(self.path, os.W_OK)

    @property
    def events(self) -> Journal:
        return Journal(self.path / "events.jsonl")

    @property
    def log_path(self) -> Path:
        return self.path / "ncd.log"

    def stage_dir(self, stage: str) -> Path:
        """Folder of a finished stage."""
        return self.path / stage

    def work_dir(self, stage: str, fingerprint: str) -> Path:
        """Folder of a stage in progress or interrupted."""
        return self.path / ".work" / f"{stage}-{fingerprint[:SHORT]}"

    def old_dir(self, stage: str, fingerprint: str) -> Path:
        """Folder of a result that has been replaced."""
        return self.path / ".old" / f"{stage}-{fingerprint[:SHORT]}"

    def manifest(self, stage: str) -> Manifest | None:
        """Manifest of a finished stage; None if it is not done, or its manifest is damaged."""
        return self.state(stage)[0]

    def state(self, stage: str) -> tuple[Manifest | None, str]:
        """Manifest of a stage, or None and why: "not done yet", or what is wrong with the manifest."""
        return read_state(self.stage_dir(stage), stage)

    def info(self) -> RunInfo:
        """`run.json`. MissingError if there is no run, NcdError if the file is damaged or of a newer version."""
        path = self.path / "run.json"
        try:
            content = json.loads(path.read_bytes())
            info = RunInfo(content["name"], content["created"], content["format"], tuple(content["commands"]))
        except (FileNotFoundError, NotADirectoryError):
            raise MissingError(f"no run at `{self.path}`", hint="`ncd runs` lists the runs") from None
        except (ValueError, TypeError, KeyError) as error:
            raise NcdError(
                f"`{path}` is damaged: {error}", hint=f"move `{self.path}` away, or choose another `--run`"
            ) from error
        if not isinstance(info.format, int) or info.format > FORMAT:
            raise UsageError(
                f"run `{self.path}` has format {info.format}; this version of ncd knows formats up to {FORMAT}",
                hint="upgrade: `pip install --upgrade ncd-cli`, or choose another `--run`",
            )
        return info

    def has_section(self, name: str) -> bool:
        """Whether the recipe has a section of this name, without reading all of it."""
        path = self.path / "recipe.yaml"
        return path.is_file() and f"\n{name}:" in f"\n{path.read_text('utf-8')}"

    def recipe(self) -> Recipe:
        """The resolved recipe of the run. MissingError without one, RecipeError (with places) if it is damaged."""
        self.info()
        path = self.path / "recipe.yaml"
        if not path.is_file():
            raise MissingError(f"run `{self.path}` has no `recipe.yaml`", hint="run its recipe again")
        from ncdcli.recipe.resolve import load_recipe

        return load_recipe(str(path)).recipe

    def check_writable(self) -> None:
        """Nothing, or UsageError: what lies here is not a run, or a run of a newer version."""
        if self.exists:
            self.info()
        elif self.path.exists() and not self.path.is_dir():
            raise UsageError(f"`{self.path}` is a file, not a run folder", hint="choose another `--run`")
        elif self.path.is_dir() and not all(map(_precedes_a_run, self.path.iterdir())):
            raise UsageError(
                f"`{self.path}` is not empty and is not a run (it has no `run.json`): nothing was written there",
                hint="choose another `--run`",
            )

    def lock(self, command: str = "") -> AbstractContextManager[None]:
        """Context in which this process is the only writer. RunBusyError naming the other one. The folder is made."""
        self.check_writable()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NcdError(
                f"cannot make the folder `{self.path}`: {(error.strerror or str(error)).lower()}",
                hint="choose another `--run`",
            ) from error
        return hold_lock(self.path, command=command)

    def owner(self) -> Owner | None:
        """The process that writes to the run at this moment."""
        return read_owner(self.path)

    def create(self, resolved: ResolvedRecipe, command: str) -> None:
        """Write run.json, recipe.yaml and recipe.source.yaml, or bring them up to date. Call it under `lock`."""
        self.check_writable()
        self.path.mkdir(parents=True, exist_ok=True)
        for left_over in filter(is_temporary, list(self.path.iterdir())):  # by a killed process
            left_over.unlink()
        info = self.info() if self.exists else RunInfo(resolved.recipe.name, now(), FORMAT, ())
        commands = [*info.commands, {"time": now(), "command": command}]
        content = {"format": FORMAT, "name": resolved.recipe.name, "created": info.created, "commands": commands}
        write_atomic(self.path / "run.json", json_bytes(content))  # first: from here on the folder is a run
        _write_if_changed(self.path / "recipe.yaml", resolved.to_run_yaml().encode())
        _write_if_changed(self.path / "recipe.source.yaml", resolved.source_text)

    def siblings(self) -> Iterator[RunFolder]:
        """The other runs of the same runs folder, by name."""
        own = self.path.resolve()
        return (other for other in RunFolder.find_all(own.parent) if other.path != own)

    @staticmethod
    def find_all(root: Path | str) -> list[RunFolder]:
        """The runs directly below `root`, by name."""
        root = Path(root)
        folders = sorted(root.iterdir()) if root.is_dir() else []
        return [run for run in map(RunFolder, folders) if _is_run(run)]


def _is_run(folder: RunFolder) -> bool:
    try:
        return folder.exists
    except PermissionError:  # another user's, among our own
        return False


def read_state(folder: Path, stage: str) -> tuple[Manifest | None, str]:
    """Manifest in a stage folder, or None and why there is none that can be used."""
    try:
        manifest = Manifest.read(folder)
    except (FileNotFoundError, NotADirectoryError):
        return None, NOT_DONE
    except (OSError, ValueError) as error:
        return None, f"its manifest is damaged ({error})"
    if manifest.stage != stage:
        return None, f"its manifest is of another stage, `{manifest.stage}`"
    return manifest, ""


def _precedes_a_run(path: Path) -> bool:
    """Whether it may lie in a folder that is about to become a run: what a process leaves that is killed early."""
    return path.name.startswith(LOCK) or is_temporary(path)


def default_run_path(recipe: Recipe) -> Path:
    """Where a recipe runs unless `--run` says otherwise: `runs/NAME`, with the seed where it is not 0."""
    return RUNS / (recipe.name if recipe.seed == 0 else f"{recipe.name}-seed{recipe.seed}")


def _write_if_changed(path: Path, content: Any) -> None:
    if not path.is_file() or path.read_bytes() != content:
        write_atomic(path, content)

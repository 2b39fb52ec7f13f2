"""What RECIPE or RUN on the command line stands for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ncdcli.errors import MissingError, UsageError
from ncdcli.words import did_you_mean

if TYPE_CHECKING:
    from ncdcli.recipe.resolve import ResolvedRecipe
    from ncdcli.run.folder import RunFolder

RUNS = Path("runs")


def resolve_target(
    target: str, *, overrides: Sequence[str] = (), run: Path | None = None
) -> tuple[ResolvedRecipe, RunFolder]:
    """The recipe that `target` names, with `--set` applied, and the run folder that belongs to it.

    `target` is a shipped recipe's name, a recipe file or a run folder, tried as: a run folder that exists, a file,
    a shipped name, the name of a run below `runs/`. MissingError with names that come close otherwise.
    """
    from ncdcli.recipe.resolve import load_recipe
    from ncdcli.run.folder import RunFolder, default_run_path
    from ncdcli.sweep.load import is_sweep

    if is_sweep(target):
        raise UsageError(f"`{target}` is a sweep, not a recipe", hint=f"ncd sweep {target}")
    folder = _existing_run(target)
    if folder is not None:
        if run is not None and run.resolve() != folder.resolve():
            raise UsageError(f"`{target}` is a run already: `--run {run}` cannot name another")
        return _recipe_of_run(folder, overrides), RunFolder(folder)
    resolved = load_recipe(target, overrides)
    return resolved, RunFolder(run if run is not None else default_run_path(resolved.recipe))


def find_run(target: str) -> RunFolder:
    """The run that exists under `target`: its folder, its name below `runs/`, or the recipe that it was made from."""
    from ncdcli.run.folder import RunFolder, default_run_path

    folder = _existing_run(target)
    if folder is not None:
        return RunFolder(folder)
    if _is_recipe(target):
        from ncdcli.recipe.resolve import load_recipe

        path = default_run_path(load_recipe(target).recipe)
        if (path / "run.json").is_file():
            return RunFolder(path)
        raise MissingError(f"`{target}` has not been run: `{path}` is not there", hint=f"ncd run {target}")
    near = did_you_mean(Path(target).name, _run_names())
    raise MissingError(f"no run `{target}`" + (f"; {near}" if near else ""), hint="`ncd runs` lists the runs")


def _existing_run(target: str) -> Path | None:
    """The run folder that `target` names by its path, or by its name where no recipe has that name."""
    folder = Path(target)
    if (folder / "run.json").is_file():
        return folder
    if folder.is_dir() and not _is_recipe(target):
        raise MissingError(
            f"`{target}` is a folder but not a run: it has no `run.json`", hint="`ncd runs` lists the runs"
        )
    if _is_recipe(target):
        return None
    named = RUNS / target
    if (named / "run.json").is_file():
        return named
    if not folder.suffix and not folder.exists():
        _refuse_unknown(target)
    return None


def _refuse_unknown(target: str) -> None:
    from ncdcli.shipped import shipped_recipes

    near = did_you_mean(Path(target).name, [*shipped_recipes(), *_run_names()])
    raise MissingError(
        f"no recipe, file or run is named `{target}`" + (f"; {near}" if near else ""),
        hint="`ncd recipes list` and `ncd runs` list what there is",
    )


def _is_recipe(target: str) -> bool:
    from ncdcli.shipped import shipped_recipes

    return Path(target).is_file() or target in shipped_recipes()


def _run_names() -> list[str]:
    from ncdcli.run.folder import RunFolder

    return [folder.path.name for folder in RunFolder.find_all(RUNS)]


def _recipe_of_run(folder: Path, overrides: Sequence[str]) -> ResolvedRecipe:
    """The recipe of a run. The user's own file, kept beside it, stays what the run was made from."""
    from ncdcli.recipe.resolve import load_recipe

    resolved = load_recipe(str(folder / "recipe.yaml"), overrides)
    source = folder / "recipe.source.yaml"
    return dataclasses.replace(resolved, source_text=source.read_bytes()) if source.is_file() else resolved

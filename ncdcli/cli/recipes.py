"""`ncd recipes`: list, show, copy and check recipes, and print their JSON schema."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ncdcli.cli import options
from ncdcli.cli.output import print_json, print_table, print_text
from ncdcli.cli.session import session_of
from ncdcli.errors import NcdError, Problem, RecipeError, UsageError
from ncdcli.shipped import shipped_recipes, shipped_sweeps
from ncdcli.words import counted

app = typer.Typer(
    name="recipes",
    help="List, show, copy and check recipes.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def complete_recipes(incomplete: str) -> list[str]:
    """Shipped recipes, for the shell's completion."""
    return [name for name in shipped_recipes() if name.startswith(incomplete)]


RecipeArgument = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A shipped recipe's name, or a recipe file.",
        autocompletion=complete_recipes,
        show_default=False,
    ),
]


@app.command("list")
def list_recipes(context: typer.Context, json: options.JsonOption = False) -> None:
    """List the recipes that come with ncd: name, modality, what for."""
    session = session_of(context, json=json)
    rows = [(name, path.parent.name, purpose(path)) for name, path in shipped_recipes().items()]
    if json:
        keys = ("name", "modality", "purpose")
        session.answer({"recipes": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
    print_table(("name", "modality", "what for"), rows)


@app.command("show")
def show(
    context: typer.Context,
    recipe: RecipeArgument,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="With defaults filled in, parents merged and --set applied.")
    ] = False,
    overrides: options.SetOption = None,
    json: options.JsonOption = False,
) -> None:
    """Print a recipe as it is written, or as it is resolved."""
    from ncdcli.recipe.inherit import find_recipe
    from ncdcli.recipe.resolve import load_recipe

    session = session_of(context, json=json)
    if json:
        session.answer(load_recipe(recipe, overrides or ()).recipe.model_dump(mode="json"))
    elif resolved or overrides:
        print_text(load_recipe(recipe, overrides or ()).to_yaml().rstrip("\n"))
    else:
        print_text(find_recipe(recipe).path.read_bytes().decode("utf-8", "replace").rstrip("\n"))


@app.command("copy")
def copy(
    context: typer.Context,
    recipe: RecipeArgument,
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="Where to; default RECIPE.yaml.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json: options.JsonOption = False,
) -> None:
    """Copy a recipe, to be changed and run: `ncd recipes copy digits-gcd my.yaml`."""
    from ncdcli.recipe.inherit import find_recipe

    session = session_of(context, json=json)
    sweep = shipped_sweeps().get(recipe)
    source = sweep or find_recipe(recipe).path
    target = path if path is not None else Path(source.name)
    if target.is_dir():
        target = target / source.name
    write_new(target, source.read_bytes(), force=force)
    if json:
        session.answer({"recipe": recipe, "path": str(target)})
        return
    print_text(str(target))
    session.note(f"run it with: ncd {'run' if sweep is None else 'sweep'} {target}")


@app.command("check")
def check(
    context: typer.Context,
    recipes: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE...",
            help="Recipe files, sweep files, or names of shipped ones.",
            autocompletion=complete_recipes,
            show_default=False,
        ),
    ],
    overrides: options.SetOption = None,
    json: options.JsonOption = False,
) -> None:
    """Check recipes and sweeps without running them: every problem of every file, with its line."""
    from ncdcli.recipe.resolve import load_recipe
    from ncdcli.sweep.load import is_sweep, load_sweep

    session = session_of(context, json=json)
    valid: list[str] = []
    errors: list[NcdError] = []
    for recipe in recipes:
        try:
            (load_sweep if is_sweep(recipe) else load_recipe)(recipe, overrides or ())
        except UsageError:
            raise
        except NcdError as error:  # shown with those of the other files, at the end
            errors.append(error)
        else:
            valid.append(recipe)
    if not json:
        for recipe in valid:
            print_text(f"{recipe}: valid")
    if errors:
        raise _joined(errors, total=len(recipes))
    if json:
        session.answer({"valid": valid})


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of recipes, for editors that complete and check YAML.

    Write it to a file, and name that in the first line of a recipe: `# yaml-language-server: $schema=FILE`.
    """
    from ncdcli.recipe.resolve import recipe_schema

    print_json(recipe_schema())


def purpose(path: Path) -> str:
    """What a recipe is for: the first line of its opening comment, without the full stop."""
    first = path.read_text("utf-8").partition("\n")[0]
    return first.removeprefix("#").strip().rstrip(".") if first.startswith("#") else ""


def write_new(path: Path, content: bytes, *, force: bool) -> None:
    """Write a file that is not there yet; UsageError where it is, unless `force`, or where its folder is not."""
    if not path.parent.is_dir():
        raise UsageError(f"the folder `{path.parent}` is not there", hint=f"mkdir -p {path.parent}")
    if path.exists() and not force:
        raise UsageError(f"`{path}` is there already", hint="give another path, or `--force` to replace it")
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def _joined(errors: Sequence[NcdError], *, total: int) -> NcdError:
    """One error for several files: of the only one itself, else all problems, by file."""
    if len(errors) == 1:
        return errors[0]
    problems: list[Problem] = []
    for error in errors:
        own = error.problems if isinstance(error, RecipeError) else ()
        problems += own or (Problem(error.message, hint=error.hint),)
    return RecipeError(f"{len(errors)} of {total} recipes are not valid: {counted(len(problems), 'problem')}", problems)

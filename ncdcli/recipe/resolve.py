"""From what the user names to a checked recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncdcli.recipe.dump import to_yaml
from ncdcli.recipe.inherit import find_recipe, load_with_parents
from ncdcli.recipe.overrides import apply_overrides
from ncdcli.recipe.paths import make_paths_absolute
from ncdcli.recipe.schema import Recipe
from ncdcli.recipe.source import validate
from ncdcli.recipe.tree import Tree


@dataclass(frozen=True)
class ResolvedRecipe:
    """A recipe with defaults filled in, parents merged and overrides applied, and the file that it came from."""

    recipe: Recipe
    source_text: bytes  # the user's file, byte for byte
    path: Path | None

    def to_yaml(self) -> str:
        """The resolved recipe; `load_recipe` reads it back as the same one."""
        return to_yaml(self.recipe)

    def to_run_yaml(self) -> str:
        """The same without what `ncd tune` would search, which need not go with what the command line has set."""
        return to_yaml(self.recipe.model_copy(update={"tune": None}))


def load_recipe(reference: str, overrides: Sequence[str] = ()) -> ResolvedRecipe:
    """The recipe that `reference` names, a file or a shipped recipe, with `--set` overrides applied.

    Relative paths start at the file they are written in, those of shipped recipes and overrides at the current folder.
    MissingError where there is no such recipe; RecipeError with every problem of the file, its parents and the
    overrides; UsageError for an override that is not `key=value`.
    """
    tree = load_overridden(reference, overrides)
    return ResolvedRecipe(validate(tree, Recipe), tree.text, tree.path)


def load_overridden(reference: str, overrides: Sequence[str] = ()) -> Tree:
    """The tree of the same, not yet checked."""
    tree = load_with_parents(find_recipe(reference))
    tree.problems += apply_overrides(tree.root, overrides, Recipe)
    make_paths_absolute(tree.root)
    return tree


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of recipe files, for editors: that of `Recipe`, and `extends`."""
    schema = Recipe.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    about = "a recipe to start from: a shipped recipe's name, or a file; maps are merged, lists replaced"
    schema["properties"]["extends"] = {"type": "string", "description": about}
    # A recipe that extends another may leave to it whatever is required, but for its name.
    required = schema.pop("required", [])
    schema["anyOf"] = [{"required": required}, {"required": ["extends", "name"]}]
    return schema

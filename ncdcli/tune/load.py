"""From what the user names to what is searched: the recipe, its tree, and the folder of the search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncdcli.errors import Problem, RecipeError
from ncdcli.pipeline.fingerprint import canonical_json
from ncdcli.recipe.base import fields_that_matter
from ncdcli.recipe.overrides import in_order
from ncdcli.recipe.resolve import ResolvedRecipe, load_overridden, load_recipe
from ncdcli.recipe.schema import Recipe
from ncdcli.recipe.source import invalid, parse_value
from ncdcli.recipe.tree import Node, Origin
from ncdcli.run.folder import RUNS
from ncdcli.sweep.load import text_of
from ncdcli.tune.folds import Fold, fold_overrides
from ncdcli.tune.section import TuneConfig
from ncdcli.tune.space import Point, space_problems

EXAMPLE = "add e.g. `tune: {space: {cluster.restarts: {low: 5, high: 20}}}`; no recipe inherits one"


@dataclass(frozen=True)
class Search:
    """What is searched, and where it lies."""

    reference: str  # the recipe, as `ncd run` takes it
    overrides: tuple[str, ...]
    resolved: ResolvedRecipe
    root: Path

    @property
    def recipe(self) -> Recipe:
        return self.resolved.recipe

    @property
    def tune(self) -> TuneConfig:
        assert self.recipe.tune is not None  # `load_search` has seen to it
        return self.recipe.tune

    @property
    def base(self) -> Path:
        """The run whose split says which classes are known, and which samples carry labels."""
        return self.root / "base"

    def folder(self, trial: int, fold: Fold) -> Path:
        """The run of a trial on a fold."""
        return self.root / "trials" / f"{trial:04}-fold-{fold.number}"

    def tree(self) -> Node:
        """The tree of the recipe with every default filled in."""
        return parse_value(self.resolved.to_yaml(), Origin("recipe", override=True))[0]

    def point_overrides(self, point: Point) -> tuple[str, ...]:
        """What `--set` makes of the recipe to get a point of the space."""
        return (*self.overrides, *(f"{field}={text_of(point[field])}" for field in in_order(point)))

    def trial(self, point: Point) -> ResolvedRecipe:
        """The recipe at a point. RecipeError where its values do not go together."""
        # Without the space, whose other values need not go with this point.
        return load_recipe(self.reference, (*self.point_overrides(point), "tune=null"))

    def fold_words(self, point: Point, fold: Fold, *, known: int) -> tuple[str, ...]:
        """What `--set` makes of the recipe to get a trial on a fold. RecipeError as `trial`."""
        recipe = self.trial(point).recipe
        return (*self.point_overrides(point), *fold_overrides(recipe, fold, self.tune, known=known))

    def identity(self) -> dict[str, Any]:
        """What trials must share to be compared; how many there are and how they are chosen is no part of it."""
        free = {"name", "description", "expected", "report", "tune"}
        tune = self.tune.model_dump(mode="json", include={"score", "folds", "hidden", "k", "pool", "space"})
        sections = {name: getattr(self.recipe, name) for name in Recipe.model_fields if name not in free}
        return json.loads(canonical_json({"recipe": fields_that_matter(sections), "tune": tune}))


def load_search(
    reference: str, overrides: Sequence[str] = (), *, root: Path | None = None, changed: dict[str, Any] | None = None
) -> Search:
    """The search that a recipe's `tune` section describes; `changed` are its fields that flags give.

    RecipeError where the recipe has no such section, and for every problem of it.
    """
    resolved = load_recipe(reference, overrides)
    recipe = resolved.recipe
    if recipe.tune is None:
        problem = Problem(f"recipe `{recipe.name}` has no `tune` section: nothing says what to search", hint=EXAMPLE)
        raise RecipeError(f"`{reference}` cannot be tuned", [problem])
    tune = recipe.tune.model_copy(update={name: value for name, value in (changed or {}).items() if value is not None})
    tree = load_overridden(reference, overrides)
    problems = space_problems(tree.root, Recipe)  # with what the command line has set
    if problems:
        raise invalid(tree.root.place.origin.name, problems)
    resolved = ResolvedRecipe(recipe.model_copy(update={"tune": tune}), resolved.source_text, resolved.path)
    return Search(reference, tuple(overrides), resolved, root if root is not None else RUNS / f"{recipe.name}-tune")

"""From a sweep file to the runs it stands for: each with its recipe, its name and its command line."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ncdcli.errors import MissingError
from ncdcli.recipe.check import check
from ncdcli.recipe.inherit import RecipeFile, find_named, load_with_parents
from ncdcli.recipe.overrides import apply_overrides, in_order, set_value
from ncdcli.recipe.paths import make_paths_absolute
from ncdcli.recipe.resolve import ResolvedRecipe
from ncdcli.recipe.scalars import needs_quotes
from ncdcli.recipe.schema import Recipe
from ncdcli.recipe.source import invalid, load_tree
from ncdcli.recipe.tree import Node, PlacedProblem, Tree
from ncdcli.run.folder import RUNS
from ncdcli.shipped import shipped_sweeps
from ncdcli.sweep.schema import SweepFile
from ncdcli.words import did_you_mean

# Say which experiment it is, or where it comes from: a grid over them would run the same thing again.
NOT_SWEPT = ("name", "description", "version", "extends", "expected")
LONGEST_NAME = 150  # bytes of a run's folder name, which file systems limit to 255
Point = Mapping[str, Any]  # grid field -> value
_PLAIN = re.compile(r"[\w./][\w./ -]*")  # text that YAML reads as itself, whatever is around it


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep."""

    name: str  # of its folder: "cluster.kind=ward,seed=0"
    point: Point
    resolved: ResolvedRecipe
    reference: str  # the recipe, as `ncd run` takes it
    overrides: tuple[str, ...]  # what `--set` makes of the recipe to get this one

    @property
    def recipe(self) -> Recipe:
        return self.resolved.recipe

    @property
    def label(self) -> str:
        """The grid point in words, without the seed; empty where there is no grid."""
        return label_of(self.point)


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep in the order of the file, and where they lie."""

    name: str
    root: Path
    fields: tuple[str, ...]  # of the grid
    runs: tuple[SweepRun, ...]
    duplicates: Mapping[str, str]  # name of a run that is left out -> name of the one with the same recipe

    def folder(self, run: SweepRun) -> Path:
        """The run's folder."""
        return self.root / run.name


def load_sweep(reference: str, overrides: Sequence[str] = (), *, root: Path | None = None) -> Sweep:
    """The sweep that `reference` names, a file or a shipped sweep, with `--set` applied to its recipe.

    MissingError where there is no such sweep; RecipeError with every problem of the sweep, or of its recipe at any
    point of the grid; UsageError for an override that is not `key=value`.
    """
    file = find_sweep(reference)
    tree = load_tree(file.path, name=file.name, folder=Path.cwd() if file.shipped else None)
    content, problems = check(tree.root, SweepFile)
    problems = [*tree.problems, *problems, *_grid_problems(tree.root), *_seed_problems(tree.root)]
    if problems or content is None:
        raise invalid(file.name, problems)
    runs, duplicates = _runs(tree, content, _bases(tree, overrides), overrides)
    if root is None:
        folder = tree.root.place.origin.folder
        root = RUNS / file.path.stem if content.runs is None else folder / Path(content.runs).expanduser()
    several = isinstance(content.recipe, tuple)
    fields = (*(["recipe"] if several else []), *content.grid)
    return Sweep(file.path.stem, _below_here(root), fields, runs, duplicates)


@dataclass(frozen=True)
class _Base:
    """A recipe that the sweep starts from."""

    tree: Tree
    reference: str  # as `ncd run` takes it
    point: Point  # its name, where there are several recipes


def _bases(tree: Tree, overrides: Sequence[str]) -> list[_Base]:
    """The recipes that the sweep names, with the overrides applied."""
    node = tree.root.value["recipe"]
    several = isinstance(node.value, list)
    bases = []
    for one in node.value if several else [node]:
        file = find_named(one, tree, field="recipe")
        base = load_with_parents(file)
        base.problems += apply_overrides(base.root, overrides, Recipe)
        reference = file.name if file.shipped else str(_below_here(file.path))
        bases.append(_Base(base, reference, {"recipe": one.value} if several else {}))
    return bases


def is_sweep(reference: str) -> bool:
    """Whether `reference` is a shipped sweep, or a file that names a `recipe`, as only sweeps do."""
    path = Path(reference).expanduser()
    if not path.is_file():
        return reference in shipped_sweeps()
    return re.search(rb"^recipe\s*:", path.read_bytes(), re.MULTILINE) is not None


def find_sweep(reference: str) -> RecipeFile:
    """The sweep given by its path or by the name of a shipped one. MissingError where there is none."""
    sweeps = shipped_sweeps()
    path = Path(reference).expanduser()
    if path.is_file():
        return RecipeFile(path, reference, shipped=path.resolve() in sweeps.values())
    if reference in sweeps:
        return RecipeFile(sweeps[reference], reference, shipped=True)
    if path.is_dir():
        raise MissingError(f"`{reference}` is a folder, not a sweep file", hint="give the path of a .yaml file")
    otherwise = f"sweeps that come with ncd: {', '.join(sweeps)}"
    raise MissingError(f"no sweep is named `{reference}`", hint=did_you_mean(path.stem, sweeps, otherwise))


def label_of(point: Point) -> str:
    """ "cluster.kind=ward, cluster.restarts=5"."""
    return ", ".join(f"{field}={text_of(value)}" for field, value in point.items())


def text_of(value: Any) -> str:
    """A value as one would write it in YAML on one line."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not needs_quotes(value):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_of(key)}: {text_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(text_of, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _below_here(path: Path) -> Path:
    """The path, from the current folder where it lies below it: short in commands and tables."""
    path = Path(os.path.normpath(path))
    here = Path.cwd()
    return path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path


def _grid_problems(root: Node) -> list[PlacedProblem]:
    """Fields that no grid can have."""
    grid = root.child("grid")
    if grid is None or not isinstance(grid.value, dict):
        return []
    problems = []
    for field, node in grid.value.items():
        if field == "seed":
            message, hint = "seeds are no part of the grid", "write `seeds: 5`, or `seeds: [0, 3]`, beside `grid`"
        elif field in NOT_SWEPT:
            message, hint = f"`{field}` changes no number: every run would be the same", "leave it out"
        elif not all(field.split(".")):
            message, hint = f"'{field}' names no field", "write a field of the recipe: `pretrain.optimizer.lr`"
        elif node.value == []:
            message, hint = "the list of values is empty: nothing would be run", "give values, or leave the field out"
        else:
            continue
        problems.append(node.near.problem(("grid", field), message, hint=hint))
    return problems


def _seed_problems(root: Node) -> list[PlacedProblem]:
    """Seeds, or a number of them, that there cannot be."""
    node = root.child("seeds")
    if node is None:
        return []
    hint = "write how many (`seeds: 5` is 0 to 4), or a list"
    if node.value == [] or (type(node.value) is int and node.value < 1):
        return [node.place.problem(("seeds",), "no seed: nothing would be run", hint=hint)]
    items = node.value if isinstance(node.value, list) else []
    return [
        item.place.problem(("seeds", index), f"a seed is a whole number from 0, found {item.value}")
        for index, item in enumerate(items)
        if type(item.value) is int and item.value < 0
    ]


def _runs(
    tree: Tree, content: SweepFile, bases: Sequence[_Base], overrides: Sequence[str]
) -> tuple[tuple[SweepRun, ...], dict[str, str]]:
    """The runs, those with the recipe of an earlier one left out, and these. RecipeError with all problems of all."""
    runs: dict[str, SweepRun] = {}
    duplicates: dict[str, str] = {}
    problems: list[PlacedProblem] = [problem for base in bases for problem in base.tree.problems]
    for base, nodes, seed in product(bases, list(_points(tree.root)), _seeds(tree.root, content)):
        root = _set_all(base.tree.root, {**nodes, "seed": seed} if seed is not None else nodes)
        recipe, found = check(root, Recipe, space=False)
        problems += found
        if recipe is None or problems:
            continue
        set_values = {field: root.at(field.split(".")).plain() for field in nodes}  # type: ignore[union-attr]
        name = _name({**base.point, **{field: node.plain() for field, node in nodes.items()}}, recipe.seed)
        identity = recipe.model_dump_json()
        if identity in runs:
            duplicates[name] = runs[identity].name
            continue
        sets = (*overrides, *(f"{field}={text_of(set_values[field])}" for field in in_order(nodes)))
        sets += () if seed is None else (f"seed={recipe.seed}",)
        resolved = ResolvedRecipe(recipe, base.tree.text, base.tree.path)
        runs[identity] = SweepRun(name, {**base.point, **set_values}, resolved, base.reference, sets)
    if problems:
        raise invalid(tree.root.place.origin.name, problems)
    return tuple(runs.values()), duplicates


def _points(root: Node) -> Iterator[dict[str, Node]]:
    """Every combination of the grid's values, the last field changing fastest."""
    grid = root.child("grid")
    fields = {} if grid is None else grid.value
    lists = []
    for node in fields.values():
        for item in node.value:
            item.key_place = node.key_place  # a field that is not there is one problem, not one for each value
        lists.append(node.value)
    for values in product(*lists):
        yield dict(zip(fields, values, strict=True))


def _seeds(root: Node, content: SweepFile) -> list[Node | None]:
    """A node for each seed; only None where the recipe's own is meant."""
    if content.seeds is None:
        return [None]
    place = root.value["seeds"].place
    seeds = range(content.seeds) if isinstance(content.seeds, int) else content.seeds
    return [Node(seed, place, place, text=str(seed)) for seed in seeds]


def _set_all(base: Node, values: Mapping[str, Node]) -> Node:
    """A copy of the recipe's tree with the values set: sections before their fields, and a `kind` before the others,
    which it would drop.
    """
    root = copy.deepcopy(base)
    for field in in_order(values):
        set_value(root, tuple(field.split(".")), copy.deepcopy(values[field]), Recipe)
    make_paths_absolute(root)
    return root


def _name(point: Point, seed: int) -> str:
    """A folder's name that says which run it is."""
    name = ",".join(f"{field}={_word(text_of(value))}" for field, value in {**point, "seed": seed}.items())
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 7]}-{_digest(name)}"


def _word(text: str) -> str:
    """The text as a part of a file name; a few letters of its digest stand in for what no name should hold."""
    word = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-")
    return word if word == text else f"{word}-{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]

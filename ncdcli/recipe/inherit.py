"""`extends`: a recipe that starts from another one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ncdcli.errors import MissingError
from ncdcli.recipe.shape import found
from ncdcli.recipe.source import invalid, load_tree
from ncdcli.recipe.tree import Node, Tree
from ncdcli.shipped import shipped_recipes
from ncdcli.words import did_you_mean

# What says which experiment this is belongs to one recipe and is not handed down: two runs would share a folder, and a
# published figure, or a space to search, holds for one method.
_NOT_INHERITED = ("name", "description", "expected", "tune")


@dataclass(frozen=True)
class RecipeFile:
    """A recipe that was found: its file, what problems call it, and whether it comes with ncd."""

    path: Path
    name: str
    shipped: bool = False


def load_with_parents(file: RecipeFile, *, seen: tuple[Path, ...] = ()) -> Tree:
    """The tree of a recipe file, merged over that of the recipe it extends, if any, and so on.

    Values keep the place in the file that they were written in; relative paths in a shipped recipe start at the
    current folder. RecipeError for a parent that is not there or that extends its own child.
    """
    tree = load_tree(file.path, name=file.name, folder=Path.cwd() if file.shipped else None)
    node = tree.root.value.pop("extends", None)
    if node is None or node.broken:
        return tree
    parent_file = find_named(node, tree, field="extends")
    seen = (*seen, file.path.resolve())
    if parent_file.path.resolve() in seen:
        chain = " → ".join(step.name for step in (*seen, parent_file.path))
        problem = node.place.problem(("extends",), f"recipes extend each other: {chain}", hint="cut the circle")
        raise invalid(file.name, [*tree.problems, problem])
    parent = load_with_parents(parent_file, seen=seen)
    for key in _NOT_INHERITED:
        parent.root.value.pop(key, None)
    return Tree(merge(parent.root, tree.root), file.path, tree.text, [*tree.problems, *parent.problems])


def merge(parent: Node, child: Node) -> Node:
    """`child` over `parent`: maps are merged key by key, everything else is replaced.

    A map that names another `kind` than the parent's replaces it whole: the fields of one method mean nothing to
    another.
    """
    if not isinstance(parent.value, dict) or not isinstance(child.value, dict) or _kinds_differ(parent, child):
        return child
    members = dict(parent.value)
    for key, node in child.value.items():
        members[key] = merge(members[key], node) if key in members else node
    return Node(members, child.place, child.key_place)


def _kinds_differ(parent: Node, child: Node) -> bool:
    one, other = parent.child("kind"), child.child("kind")
    return one is not None and other is not None and one.value != other.value


def find_named(node: Node, tree: Tree, *, field: str) -> RecipeFile:
    """The recipe that a `field` of a file names: a file beside it, or a shipped recipe. RecipeError for neither."""
    origin, value = node.place.origin, node.value
    if not isinstance(value, str) or not value:
        message = f"expected the name of a shipped recipe or a file, found {found(node)}"
        raise invalid(origin.name, [*tree.problems, node.place.problem((field,), message)])
    recipes = shipped_recipes()
    path = Path(origin.folder, value).expanduser()
    if path.is_file() and tree.path.resolve() not in recipes.values():  # shipped ones extend shipped ones only
        return RecipeFile(path, shown_name(path))
    if value in recipes:
        return RecipeFile(recipes[value], value, shipped=True)
    otherwise = "`ncd recipes list` shows the shipped ones; files are looked for beside this one"
    message = f"no recipe or file is named '{value}'"
    problem = node.place.problem((field,), message, hint=did_you_mean(value, recipes, otherwise))
    raise invalid(origin.name, [*tree.problems, problem])


def find_recipe(reference: str) -> RecipeFile:
    """The recipe given by its path or by the name of a shipped one. MissingError where there is none."""
    recipes = shipped_recipes()
    path = Path(reference).expanduser()
    if path.is_file():
        return RecipeFile(path, reference, shipped=path.resolve() in recipes.values())
    if reference in recipes:
        return RecipeFile(recipes[reference], reference, shipped=True)
    name = Path(reference).name.removesuffix(".yaml")
    if path.is_dir():
        raise MissingError(f"`{reference}` is a folder, not a recipe file", hint="give the path of a .yaml file")
    hint = did_you_mean(name, recipes, "`ncd recipes list` shows the shipped recipes")
    raise MissingError(f"no recipe or file is named `{reference}`", hint=hint)


def shown_name(path: Path) -> str:
    """The path, from the current folder where it lies below it."""
    absolute = path.absolute()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except ValueError:
        return str(absolute)

"""`extends`: a recipe that starts from another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ncdcli.errors import MissingError
from ncdcli.recipe.shape import close_to, found
from ncdcli.recipe.source import invalid, load_tree
from ncdcli.recipe.tree import Node, Tree
from ncdcli.shipped import shipped_recipes

# What says which experiment this is belongs to one recipe and is not handed down: two runs would share a folder.
_NOT_INHERITED = ("name", "description")


def load_with_parents(path: Path, *, name: str = "", shipped: bool = False) -> Tree:
    """The tree of a recipe file, merged over that of the recipe it extends, if any, and so on.

    Values keep the place in the file that they were written in. RecipeError for a parent that is not there or that
    extends its own child.
    """
    return _load(path, name=name, shipped=shipped, seen=())


def _load(path: Path, *, name: str, shipped: bool, seen: tuple[Path, ...]) -> Tree:
    tree = load_tree(path, name=name, folder=Path.cwd() if shipped else None)
    node = tree.root.value.pop("extends", None)
    if node is None or node.broken:
        return tree
    parent_path, parent_shipped = _find_parent(node, tree)
    seen = (*seen, path.resolve())
    if parent_path.resolve() in seen:
        chain = " → ".join(step.name for step in (*seen, parent_path))
        problem = node.place.problem(("extends",), f"recipes extend each other: {chain}", hint="cut the circle")
        raise invalid(node.place.origin.name, [*tree.problems, problem])
    parent = _load(parent_path, name=shown_name(parent_path), shipped=parent_shipped, seen=seen)
    for key in _NOT_INHERITED:
        parent.root.value.pop(key, None)
    root = merge(parent.root, tree.root)
    return Tree(root, path, tree.text, [*tree.problems, *parent.problems])


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


def _find_parent(node: Node, tree: Tree) -> tuple[Path, bool]:
    """The file that `extends` names, and whether it is a shipped recipe."""
    value: Any = node.value
    if not isinstance(value, str) or not value:
        message = f"expected the name of a shipped recipe or a file, found {found(node)}"
        raise invalid(node.place.origin.name, [*tree.problems, node.place.problem(("extends",), message)])
    recipes = shipped_recipes()
    file = Path(node.place.origin.folder, value).expanduser()
    if tree.path in recipes.values():  # the parent of a shipped recipe lies beside it
        file = tree.path.parent / value
    if value in recipes and not file.is_file():
        return recipes[value], True
    if file.is_file():
        return file, False
    close = close_to(value, recipes)
    hint = (
        f"did you mean `{close}`?"
        if close
        else "`ncd recipes list` shows the shipped ones; files are looked for beside this one"
    )
    problem = node.place.problem(("extends",), f"no recipe or file is named '{value}'", hint=hint)
    raise invalid(node.place.origin.name, [*tree.problems, problem])


def find_recipe(reference: str) -> tuple[Path, bool]:
    """The file of a recipe given by path or by the name of a shipped one, and whether it is shipped."""
    recipes = shipped_recipes()
    path = Path(reference).expanduser()
    if path.is_file():
        return path, path.absolute() in recipes.values()
    if reference in recipes:
        return recipes[reference], True
    close = close_to(reference.removesuffix(".yaml"), recipes)
    message = f"no recipe or file is named `{reference}`"
    hint = f"did you mean `{close}`?" if close else "`ncd recipes list` shows the shipped recipes"
    if path.is_dir():
        message = f"`{reference}` is a folder, not a recipe file"
        hint = "give the path of a .yaml file" if not close else hint
    raise MissingError(message, hint=hint)


def shown_name(path: Path) -> str:
    """The path, from the current folder where it lies below it."""
    absolute = Path(path).absolute()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except ValueError:
        return str(absolute)

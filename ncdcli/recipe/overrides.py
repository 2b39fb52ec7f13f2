"""`--set a.b=1`: values from the command line, read and checked like those of a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel

from ncdcli.errors import UsageError
from ncdcli.recipe.shape import annotation_at, field_at, models_of
from ncdcli.recipe.source import parse_value
from ncdcli.recipe.tree import Node, Origin, Place, PlacedProblem


def apply_overrides(root: Node, overrides: Sequence[str], schema: type[BaseModel]) -> list[PlacedProblem]:
    """Set the values in the tree, in place and in order; the problems found in reading them.

    UsageError where an override has no `=` or no key. A key that the schema does not know, or a value that it does not
    allow, is found when the tree is validated.
    """
    problems: list[PlacedProblem] = []
    for override in overrides:
        path, equals, text = override.partition("=")
        keys = tuple(path.strip().split("."))
        if not equals or not all(keys):
            raise UsageError(
                f"`--set {override}` is not of the form key=value",
                hint="for example `--set seed=1`, `--set pretrain.epochs=50`",
            )
        origin = Origin(f"--set {override}", folder=Path.cwd(), override=True)
        value, found = parse_value(text, origin)
        problems += found
        set_value(root, keys, value, schema)
    return problems


def set_value(root: Node, keys: tuple[str, ...], value: Node, schema: type[BaseModel]) -> None:
    """Put `value` at `keys` of the tree, making the maps on the way where there are none.

    What is missing or unknown there is shown at the value's key, or at the value itself where it has none.
    """
    node, place = root, value.near
    for depth, key in enumerate(keys[:-1], start=1):
        child = node.value.get(key)
        if child is None or not isinstance(child.value, dict):
            absent = child is None or child.value is None
            child = Node(_default_kind(schema, root, keys[:depth], place) if absent else {}, place, place)
            node.value[key] = child
        node = child
    last = keys[-1]
    if last == "kind" and len(keys) > 1 and _other_kind(node, value):
        # The fields of one method mean nothing to another; what the command line has set for the new one stays.
        node.value = {key: child for key, child in node.value.items() if child.place.origin.override}
        node.place = node.key_place = place
    value.key_place = place
    node.value[last] = value


def in_order(fields: Iterable[str]) -> list[str]:
    """Fields, with dots, in an order to set them: sections before what is in them, a `kind` before its fields."""
    return sorted(fields, key=lambda field: (field.count("."), not field.endswith(".kind")))


def _other_kind(node: Node, value: Node) -> bool:
    present = node.child("kind")
    return present is not None and present.value != value.value


def _default_kind(schema: type[BaseModel], root: Node, keys: tuple[str, ...], place: Place) -> dict[str, Node]:
    """The `kind` that a section left out has by default, so that `--set cluster.restarts=5` needs no other."""
    info = field_at(schema, root, keys)
    if info is None or info.is_required() or len(models_of(annotation_at(schema, root, keys))) < 2:
        return {}
    default = info.get_default(call_default_factory=True)
    kind = getattr(default, "kind", None)
    return {"kind": Node(kind, place, place, text=str(kind))} if kind is not None else {}

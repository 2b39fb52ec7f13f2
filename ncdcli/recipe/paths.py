"""Paths in recipes: relative ones start at the file they are written in (`--set`: the current folder), `~` is home."""

from __future__ import annotations

import os

from ncdcli.data.kinds import Source
from ncdcli.recipe.base import RuntimeMark
from ncdcli.recipe.shape import kinds_of
from ncdcli.recipe.tree import Node

WEIGHT_WORDS = ("hub", "none")
_ENDINGS = (".yaml", ".yml", ".safetensors", ".pth", ".pt", ".bin", ".ckpt")


def looks_like_path(text: str) -> bool:
    """Whether a word that may be a name or a path is a path: it holds a separator or ends as a file does."""
    return text.startswith("~") or "/" in text or os.sep in text or text.lower().endswith(_ENDINGS)


def make_paths_absolute(root: Node) -> None:
    """Turn the paths of a recipe's tree into absolute ones, in place. What is no text is left to the schema."""
    for steps in (("data", "root"), *_source_paths(root)):
        _make_absolute(root.at(steps))
    for steps in (("data", "card"), ("backbone", "weights")):
        node = root.at(steps)
        if node is not None and isinstance(node.value, str) and looks_like_path(node.value):
            _make_absolute(node)


def _source_paths(root: Node) -> list[tuple[str, ...]]:
    """The way to each field of `data.source` that holds a path: all that are marked as such in its section."""
    kind = root.at(("data", "source", "kind"))
    model = kinds_of(Source).get(str(kind.value)) if kind is not None else None
    if model is None:
        return []
    marked = [
        name
        for name, info in model.model_fields.items()
        if any(isinstance(mark, RuntimeMark) for mark in info.metadata)
    ]
    return [("data", "source", name) for name in marked]


def _make_absolute(node: Node | None) -> None:
    if node is not None and isinstance(node.value, str) and node.value:
        path = os.path.join(node.place.origin.folder, os.path.expanduser(node.value))
        node.value = os.path.normpath(path)

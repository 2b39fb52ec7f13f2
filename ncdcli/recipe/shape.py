"""What a schema allows at a place, in plain words, and which keys and kinds come close to a misspelt one."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ncdcli.recipe.tree import Node, Steps
from ncdcli.words import either

_WORDS = {int: "a whole number", float: "a number", str: "text", type(None): "null"}


def choices(annotation: Any) -> list[Any]:
    """The alternatives of a type, with `Annotated` and unions taken apart."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return choices(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [choice for part in get_args(annotation) for choice in choices(part)]
    return [annotation]


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """The sections among the alternatives of a type."""
    return [choice for choice in choices(annotation) if isinstance(choice, type) and issubclass(choice, BaseModel)]


def kind_of(model: type[BaseModel]) -> str | None:
    """The only `kind` a section has, None where it has none or several."""
    info = model.model_fields.get("kind")
    values = get_args(info.annotation) if info is not None else ()
    return str(values[0]) if len(values) == 1 else None


def kinds_of(annotation: Any) -> dict[str, type[BaseModel]]:
    """`kind` -> section, where a type is a choice among sections."""
    named = {kind_of(model): model for model in models_of(annotation)}
    return {kind: model for kind, model in named.items() if kind is not None}


def model_at(annotation: Any, node: Node | None) -> type[BaseModel] | None:
    """The section that a node is meant to be, None where its `kind` does not say or it is no section."""
    models = models_of(annotation)
    if len(models) == 1 and kind_of(models[0]) is None:
        return models[0]
    kind = node.child("kind") if node is not None else None
    return kinds_of(annotation).get(str(kind.value)) if kind is not None else None


def annotation_at(annotation: Any, node: Node | None, steps: Steps) -> Any:
    """The type that the schema asks for at `steps` below a node of type `annotation`; None where it has none."""
    for step in steps:
        if isinstance(step, int):
            annotation = _item_type(annotation)
        else:
            model = model_at(annotation, node)
            if model is not None:
                info = model.model_fields.get(step)
                annotation = info.annotation if info is not None else None
            else:
                annotation = _value_type(annotation)
        node = node.child(step) if node is not None else None
    return annotation


def field_at(annotation: Any, node: Node | None, steps: Steps) -> FieldInfo | None:
    """The field of the schema at `steps`, None where they do not end in a section's key."""
    if not steps or isinstance(steps[-1], int):
        return None
    parent = annotation_at(annotation, node, steps[:-1])
    model = model_at(parent, node.at(steps[:-1]) if node is not None else None)
    return model.model_fields.get(steps[-1]) if model is not None else None


def _item_type(annotation: Any) -> Any:
    for choice in choices(annotation):
        if get_origin(choice) in (tuple, list):
            return get_args(choice)[0]
    return None


def item_types(choice: Any) -> list[Any]:
    """What the items of a list of any length may be; empty for what is no such list."""
    arguments = get_args(choice)
    if get_origin(choice) is list or (get_origin(choice) is tuple and arguments[-1] is Ellipsis):
        return choices(arguments[0])
    return []


def _value_type(annotation: Any) -> Any:
    for choice in choices(annotation):
        if get_origin(choice) is dict:
            return get_args(choice)[1]
    return None


def describe(annotation: Any) -> str:
    """ "a whole number", "`sgd` or `adamw`", "a list of text", … joined by "or". Null is not mentioned."""
    words: list[str] = []
    for choice in choices(annotation):
        if choice is type(None):
            continue
        if choice is bool:
            words += ["true", "false"]
        elif get_origin(choice) is Literal:
            words += [f"`{value}`" for value in get_args(choice)]
        else:
            words.append(_describe_one(choice))
    return either(dict.fromkeys(words))


def _describe_one(choice: Any) -> str:
    origin, arguments = get_origin(choice), get_args(choice)
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        return f"a list of {len(arguments)} values, each {describe(arguments[0])}"
    if origin in (tuple, list):
        items = choices(arguments[0])
        plural = {int: "whole numbers", float: "numbers", str: "texts", Any: "values"}
        return "a list of " + either([plural.get(item, describe(item)) for item in items])
    if origin is dict or (isinstance(choice, type) and issubclass(choice, BaseModel)):
        return "keys and values" if origin is dict or kind_of(choice) is None else "keys with a `kind`"
    return _WORDS.get(choice, str(choice))


def found(node: Node) -> str:
    """What a node holds: "the text 'abc'", "the number 1.5", "a list of 3", …"""
    value = node.value
    if value is None:
        return "nothing" if not node.text else f"`{node.text}`"
    if isinstance(value, bool):
        return f"`{node.text or str(value).lower()}`"
    if isinstance(value, (int, float)):
        return f"the number {shorten(node.text or repr(value))}"
    if isinstance(value, str):
        return f"the text '{shorten(value)}'"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    return "a map of keys"


def shorten(text: str, *, longest: int = 60) -> str:
    """The text, cut where it is long, on one line."""
    line = " ".join(text.split()) or text
    return line if len(line) <= longest else line[: longest - 1] + "…"


def homes_of(key: str, annotation: Any, steps: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Where else in the schema a key is found: pairs of (path of its section, the `kind` that has it or "")."""
    for model in models_of(annotation):
        for name, info in model.model_fields.items():
            if name == key and name != "kind":
                yield ".".join(steps), kind_of(model) or ""
            yield from homes_of(key, info.annotation, (*steps, name))

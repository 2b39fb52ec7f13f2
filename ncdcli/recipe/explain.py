"""Pydantic's findings in plain words, with a hint."""

from __future__ import annotations

import math
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ncdcli.recipe.scalars import read_scalar
from ncdcli.recipe.shape import (
    annotation_at,
    choices,
    describe,
    field_at,
    found,
    homes_of,
    item_types,
    kind_of,
    kinds_of,
    model_at,
    models_of,
    shorten,
)
from ncdcli.recipe.tree import Node, PlacedProblem, Steps
from ncdcli.words import close_names, did_you_mean, either

# annotated_types' names of a bound -> how it reads after "a number"
_BOUNDS = {"gt": "above {}", "ge": "at least {}", "lt": "below {}", "le": "at most {}"}
_LARGEST = 2**53  # up to here a number like 1e6 is the whole number that it looks like
_SWITCHES = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def explain(root: Node, schema: type[BaseModel], steps: Steps, details: list[ErrorDetails]) -> PlacedProblem:
    """The one problem that pydantic's findings about the node at `steps` come to."""
    kind = details[0]["type"]
    if kind == "missing":
        return _missing(root, schema, steps)
    if kind == "extra_forbidden":
        return _unknown_key(root, schema, steps)
    if kind == "union_tag_not_found":
        return _missing_kind(root, schema, steps)
    if kind == "union_tag_invalid":
        return _unknown_kind(root, schema, steps)
    return _wrong_value(root, schema, steps, details)


def _missing(root: Node, schema: type[BaseModel], steps: Steps) -> PlacedProblem:
    parent, _ = root.nearest(steps[:-1])
    if isinstance(steps[-1], int):
        return _wrong_value(root, schema, steps[:-1], [])
    info = field_at(schema, root, steps)
    about = f" ({info.description})" if info is not None and info.description else ""
    kinds = kinds_of(info.annotation) if info is not None else {}
    add = f"add `{steps[-1]}: {{kind: …}}`, one of {either(kinds)}" if kinds else f"add `{steps[-1]}: …`{about}"
    return parent.near.problem(steps, f"missing key `{steps[-1]}`", hint=add, show_line=len(steps) > 1)


def _unknown_key(root: Node, schema: type[BaseModel], steps: Steps) -> PlacedProblem:
    key = str(steps[-1])
    node = root.at(steps)
    parent = root.at(steps[:-1])
    model = model_at(annotation_at(schema, root, steps[:-1]), parent)
    names = list(model.model_fields) if model is not None else []
    place = node.near if node is not None else root.place
    return place.problem(steps, f"unknown key `{key}`", hint=_hint_for_key(key, names, schema, steps[:-1]))


def _hint_for_key(key: str, names: list[str], schema: type[BaseModel], steps: Steps) -> str:
    if meant := did_you_mean(key, names, most=1):
        return meant
    section = ".".join(str(step) for step in steps)
    homes = list(homes_of(key, schema))
    here = [kind for home, kind in homes if home == section and kind]
    if here:
        return f"`{key}` is a key of kind {either(f'`{kind}`' for kind in here)}"
    elsewhere = sorted({home for home, _ in homes if home != section})
    if elsewhere:
        return f"`{key}` belongs in {either(f'`{home}`' if home else 'the top level' for home in elsewhere[:3])}"
    return f"keys here: {', '.join(names)}"


def _missing_kind(root: Node, schema: type[BaseModel], steps: Steps) -> PlacedProblem:
    node = root.at(steps) or root
    kinds = kinds_of(annotation_at(schema, root, steps))
    # Of the kinds that have every key given, there may be one only: then that is what is meant.
    fitting = (
        [kind for kind, model in kinds.items() if set(node.value) <= set(model.model_fields)] if node.value else []
    )
    hint = f"add `kind: {fitting[0]}`" if len(fitting) == 1 else f"add `kind: …`, one of {either(kinds)}"
    return node.near.problem((*steps, "kind"), "missing key `kind`", hint=hint)


def _unknown_kind(root: Node, schema: type[BaseModel], steps: Steps) -> PlacedProblem:
    steps = (*steps, "kind")
    node = root.at(steps) or root
    kinds = kinds_of(annotation_at(schema, root, steps[:-1]))
    if not isinstance(node.value, str):
        return node.place.problem(steps, f"expected {either(f'`{kind}`' for kind in kinds)}, found {found(node)}")
    meant = did_you_mean(node.value, kinds, most=1)
    hint = f"{meant} Kinds: {', '.join(kinds)}" if meant else f"kinds: {', '.join(kinds)}"
    return node.place.problem(steps, f"unknown kind '{shorten(node.value)}'", hint=hint)


def _wrong_value(root: Node, schema: type[BaseModel], steps: Steps, details: list[ErrorDetails]) -> PlacedProblem:
    node = root.at(steps) or root
    annotation = annotation_at(schema, root, steps)
    info = field_at(schema, root, steps)
    kind = details[0]["type"] if len(details) == 1 else ""
    if kind == "string_pattern_mismatch" and info is not None and info.description:
        allowed = info.description.partition(";")[0]
        return node.place.problem(steps, f"expected {allowed}, found {found(node)}")
    if annotation is None:
        return node.place.problem(steps, details[0]["msg"] if details else "this value does not do here")
    expected = _expected(annotation, info, kind)
    if isinstance(node.value, float) and not math.isfinite(node.value):
        expected = expected.replace("a number", "a finite number", 1)
    what = node.text if _is_number(node) and _wants_number(annotation) else found(node)
    hint = hint_for_value(node, annotation, optional=info is not None and not info.is_required())
    place = node.near if node.value is None else node.place
    return place.problem(steps, f"expected {expected}, found {what}", hint=hint)


def _is_number(node: Node) -> bool:
    return isinstance(node.value, (int, float)) and not isinstance(node.value, bool) and bool(node.text)


def _wants_number(annotation: Any) -> bool:
    return any(choice in (int, float) for choice in choices(annotation))


def _expected(annotation: Any, info: FieldInfo | None, kind: str) -> str:
    if kind == "string_too_short":
        return "text that is not empty"
    if kind in ("too_short", "too_long"):
        return _expected_length(info)
    bounds = _marks(info, *_BOUNDS)
    words = describe(annotation)
    if set(bounds) == {"ge", "le"}:
        return f"{words} from {bounds['ge']:g} to {bounds['le']:g}"
    limits = " and ".join(_BOUNDS[name].format(f"{bound:g}") for name, bound in bounds.items())
    return f"{words}{' of' if limits.startswith('at ') else ''} {limits}".rstrip()


def _expected_length(info: FieldInfo | None) -> str:
    """What a list is to hold; a list that has no bounds is one of a fixed length, which `describe` tells."""
    bounds = _marks(info, "min_length", "max_length")
    if not bounds:
        return describe(info.annotation) if info is not None else "another number of values"
    least, most = bounds.get("min_length", 0), bounds.get("max_length")
    if most is None:
        return f"a list with at least {'one value' if least == 1 else f'{least} values'}"
    return f"a list with {least} to {most} values"


def _marks(info: FieldInfo | None, *names: str) -> dict[str, Any]:
    """The bounds of a field among `names`."""
    marks = info.metadata if info is not None else ()
    return {name: bound for mark in marks for name in names if (bound := getattr(mark, name, None)) is not None}


def hint_for_value(node: Node, annotation: Any, *, optional: bool) -> str:
    """What to write in place of a value of the wrong type, "" where there is no telling."""
    wanted = choices(annotation)
    literals = [str(value) for choice in wanted for value in get_args(choice) if isinstance(value, str)]
    value = node.value
    if models_of(annotation):
        return _hint_for_section(node, annotation, optional=optional)
    if isinstance(value, (list, dict)):
        return ""
    if value is None:
        return "leave the line out to use the default" if optional else ""
    if isinstance(value, str) and value.lower() in _SWITCHES and bool in wanted:
        return f"write `{_SWITCHES[value.lower()]}`"
    if isinstance(value, str) and (int in wanted or float in wanted):
        number = _number_meant(value)
        return f"write `{number}`" if number else did_you_mean(value, literals, most=1)
    if isinstance(value, str) and literals and not any(get_origin(choice) is tuple for choice in wanted):
        return did_you_mean(value, literals, most=1)
    if isinstance(value, float) and int in wanted and value.is_integer() and abs(value) < _LARGEST:
        return f"write `{int(value)}`"
    if str in wanted and not isinstance(value, str):
        return f'put it in quotes: `"{node.text}"`'
    if not literals and any(type(value) in item_types(choice) for choice in wanted):
        return f"write `[{shorten(node.text)}]`"
    return ""


def _hint_for_section(node: Node, annotation: Any, *, optional: bool) -> str:
    kinds = kinds_of(annotation)
    if isinstance(node.value, str) and kinds:
        close = close_names(node.value, kinds, most=1)
        return f"write `{{kind: {close[0]}}}`" if close else f"write `{{kind: …}}`, one of {either(kinds)}"
    if node.value is None and optional:
        return "leave the line out to use the defaults"
    if kinds:
        return f"write `{{kind: …}}`, one of {either(kinds)}"
    names = [name for model in models_of(annotation) for name in model.model_fields if kind_of(model) is None]
    return f"keys here: {', '.join(names)}"


def _number_meant(text: str) -> str:
    """The number that was probably meant: "1_000" -> "1000", "017" -> "17", "0,5" -> "0.5", "10%" -> "0.1"."""
    compact = text.strip().replace("_", "").replace(" ", "")
    if compact.endswith("%"):
        value = read_scalar(compact[:-1])
        return f"{value / 100:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
    for candidate in (compact, compact.lstrip("0"), compact.replace(",", ".")):
        value = read_scalar(candidate) if candidate else None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return candidate
    return ""

"""Holds a tree against a schema: every fault in plain words, at the place where it was written."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ncdcli.recipe.explain import explain
from ncdcli.recipe.rules import faults_of
from ncdcli.recipe.tree import Node, PlacedProblem, Steps

Model = TypeVar("Model", bound=BaseModel)


def check(root: Node, model: type[Model], *, space: bool = True) -> tuple[Model | None, list[PlacedProblem]]:
    """The model that a tree describes and no problem, or None and every problem found.

    The rules that look at several fields (`ncdcli.recipe.rules`) are applied to all sections that are valid in
    themselves, so that their faults appear together with the others.
    What `ncd tune` would search is looked at with `space`, and where the command line has set nothing: a run with other
    values need not go with it.
    """
    try:
        value = model.model_validate_json(json.dumps(root.plain()))
        failed = set()
        problems: list[PlacedProblem] = []
    except ValidationError as error:
        value = None
        details = error.errors(include_url=False, include_context=True, include_input=False)
        failed = {str(detail["loc"][0]) for detail in details if detail["loc"]}
        problems = explain_all(root, model, details)
    failed |= {key for key, node in root.value.items() if any(part.broken for _, part in node.walk())}
    for steps, message, hint in faults_of(_sections(root, model, value, failed), model):
        problems.append(_fault(root, steps, message, hint=hint))
    if space and "tune" in model.model_fields and "tune" not in failed and not _overridden(root):
        from ncdcli.tune.space import space_problems  # not at the top: it checks recipes itself

        problems += space_problems(root, model)
    return (None if problems else value), problems


def _overridden(root: Node) -> bool:
    """Whether the command line has set something."""
    return any(node.place.origin.override for _, node in root.walk())


def explain_all(root: Node, model: type[BaseModel], details: list[ErrorDetails]) -> list[PlacedProblem]:
    """One problem for each faulty place.

    Pydantic reports a value that fits none of several types once for each type, and deeper for some: those that
    reach deepest are kept, and the ones about the same node become one.
    """
    groups: dict[Steps, list[tuple[Steps, ErrorDetails]]] = {}
    for detail in details:
        steps, branch = resolve_location(root, detail)
        node, _ = root.nearest((*steps, "kind") if detail["type"].startswith("union_tag") else steps)
        if not node.broken:
            groups.setdefault(branch, []).append((steps, detail))
    problems = []
    for members in groups.values():
        deepest = max(len(steps) for steps, _ in members)
        kept: dict[Steps, list[ErrorDetails]] = {}
        for steps, detail in members:
            if len(steps) == deepest:
                kept.setdefault(steps, []).append(detail)
        problems += [explain(root, model, steps, same) for steps, same in kept.items()]
    return problems


def resolve_location(root: Node, detail: ErrorDetails) -> tuple[Steps, Steps]:
    """The steps through the tree that pydantic's location means, and the steps to the choice it was made in.

    Locations hold more than steps: the `kind` where a section was chosen by it, and the name of the type that was
    tried where a value may have several. Both are left out. Where no type was tried, the choice is the place itself.
    """
    location = list(detail["loc"])
    node: Node | None = root
    steps: list[str | int] = []
    branch: Steps | None = None
    for position, step in enumerate(location):
        last = position == len(location) - 1
        kind = node.child("kind") if node is not None else None
        if kind is not None and kind.value == step and not (last and detail["type"] in ("missing", "extra_forbidden")):
            continue
        child = node.child(step) if node is not None else None
        if child is not None:
            node = child
            steps.append(step)
        elif last and detail["type"] == "missing":
            steps.append(step)
        elif branch is None:
            branch = tuple(steps)
    return tuple(steps), (branch if branch is not None else tuple(steps))


def _sections(root: Node, model: type[BaseModel], value: BaseModel | None, failed: set[str]) -> dict[str, Any]:
    """The top-level fields that are valid, by name: what rules may look at."""
    fields = {name: info for name, info in model.model_fields.items() if name not in failed}
    if value is not None:
        return {name: getattr(value, name) for name in fields}
    good: dict[str, Any] = {}
    for name, info in fields.items():
        node = root.child(name)
        if node is not None:
            # The field's own information tells how to choose among the kinds of a section.
            annotation: Any = Annotated[info.annotation, info]
            good[name] = TypeAdapter(annotation).validate_json(json.dumps(node.plain()))
        elif not info.is_required():
            good[name] = info.get_default(call_default_factory=True)
    return good


def _fault(root: Node, steps: Steps, message: str, *, hint: str) -> PlacedProblem:
    """A rule's fault at the value it is about, or at the section that lacks it."""
    node, count = root.nearest(steps)
    place = node.place if count == len(steps) and not isinstance(node.value, dict) else node.near
    return place.problem(steps, message, hint=hint, show_line=count > 0)

"""The space that is searched: whether its fields and values can be, and a point of it by what a sampler suggests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from pydantic import BaseModel

from ncdcli.recipe.check import check
from ncdcli.recipe.overrides import in_order, set_value
from ncdcli.recipe.paths import make_paths_absolute
from ncdcli.recipe.shape import annotation_at, choices, field_at
from ncdcli.recipe.source import parse_value
from ncdcli.recipe.tree import Node, Origin, PlacedProblem, Steps
from ncdcli.sweep.load import text_of

# top-level field -> why no trial can vary it
NOT_TUNED = {
    **dict.fromkeys(("name", "description", "version", "extends", "expected", "report"), "changes no number"),
    "seed": "is no setting, and a lucky one would be kept",
    "data": "says what the folds are made from",
    "evaluate": "says how results are scored",
    "tune": "is the search itself",
}
Point = dict[str, Any]  # field -> value, of those fields that the kinds drawn have


@dataclass(frozen=True)
class Parameter:
    """One field of the space, as a sampler sees it."""

    field: str
    low: float = 0.0
    high: float = 0.0
    whole: bool = False  # a whole number
    log: bool = False
    step: float | None = None
    values: tuple[Any, ...] = ()  # a choice among these; empty: a range

    @property
    def texts(self) -> tuple[str, ...]:
        """The values of a choice in words."""
        return tuple(map(text_of, self.values))

    def holds(self, value: Any) -> bool:
        """Whether the value can be drawn."""
        if self.values:
            return text_of(value) in self.texts
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step is not None else 0.0
        return abs(steps - round(steps)) < 1e-9


def draw(root: Node, space: Mapping[str, Any], suggest: Callable[[Parameter], Any], model: type[BaseModel]) -> Point:
    """A point of the space. `root` is the tree of the whole recipe, defaults filled in.

    Kinds are drawn before their fields, and a field that the kind drawn does not have is left out.
    """
    root = copy.deepcopy(root)
    point: Point = {}
    for field in in_order(space):
        steps = tuple(field.split("."))
        if field_at(model, root, steps) is None:
            continue
        point[field] = suggest(parameter_of(field, space[field], annotation_at(model, root, steps)))
        node, _ = parse_value(text_of(point[field]), Origin(f"--set {field}", override=True))
        set_value(root, steps, node, model)
    return point


def parameter_of(field: str, spec: Any, annotation: Any) -> Parameter:
    """The field as a sampler sees it; a range is of whole numbers where the field takes no others."""
    if isinstance(spec, (list, tuple)):
        return Parameter(field, values=tuple(spec))
    whole = float not in choices(annotation)
    return Parameter(field, spec.low, spec.high, whole, spec.log, spec.step)


def own_point(root: Node, space: Mapping[str, Any], model: type[BaseModel]) -> Point | None:
    """The recipe's own values as a point; None where one of them is not in the space."""
    outside: list[str] = []

    def own(parameter: Parameter) -> Any:
        node = root.at(parameter.field.split("."))
        value = None if node is None else node.plain()
        if not parameter.holds(value):
            outside.append(parameter.field)
        return value

    point = draw(root, space, own, model)
    return None if outside else point


def space_problems(root: Node, model: type[BaseModel]) -> list[PlacedProblem]:
    """What is wrong with `tune.space` of a recipe's tree: fields that are not there, and values they do not take.

    Each value is put in the recipe in place of its own; it has to be valid there, or with some kinds of the space, or
    with some value of another field.
    """
    space = root.at(("tune", "space"))
    if space is None or not isinstance(space.value, dict):
        return []
    if not space.value:
        hint = "add e.g. `cluster.restarts: {low: 5, high: 20}`"
        return [space.near.problem(("tune", "space"), "the space is empty: nothing would be searched", hint=hint)]
    problems = list(_counting_problems(root))
    good: dict[str, Node] = {}
    for field, node in space.value.items():
        found = list(_own_problems(field, node, root))
        problems += found
        if not found:
            good[field] = node
    if good:
        problems += _value_problems(root, good, model)
    return problems


def _counting_problems(root: Node) -> Iterator[PlacedProblem]:
    """Folds come to their number of classes in a way that the recipe has."""
    k, pool, kind = (root.at(steps) for steps in (("tune", "k"), ("tune", "pool"), ("estimate_k", "kind")))
    fixed = kind is not None and kind.value == "fixed"
    if k is not None and k.value == "estimate" and fixed:
        hint = "write `k: given`, or change `estimate_k`"
        yield k.place.problem(("tune", "k"), "the recipe gives k: there is no estimator to use", hint=hint)
    if k is not None and k.value == "given" and not fixed and pool is not None and pool.value == "all":
        message = "nobody knows how many classes the real pool holds: the recipe does not give k"
        yield k.place.problem(("tune", "k"), message, hint="write `k: estimate`, or `pool: known`")


def _own_problems(field: str, node: Node, root: Node) -> Iterator[PlacedProblem]:
    """What can be told of a field of the space without the recipe."""
    steps: Steps = ("tune", "space", field)
    section = field.split(".")[0]
    if not all(field.split(".")):
        hint = "write a field of the recipe: `pretrain.optimizer.lr`"
        yield node.near.problem(steps, f"'{field}' names no field", hint=hint)
    elif section in NOT_TUNED:
        yield node.near.problem(steps, f"`{section}` {NOT_TUNED[section]}: it cannot be tuned", hint="leave it out")
    elif section == "estimate_k" and _k_is_given(root):
        hint = "leave it out, or write `k: estimate`"
        yield node.near.problem(steps, "folds are told their number of classes: nothing is estimated", hint=hint)
    elif isinstance(node.value, list):
        yield from _choice_problems(node, steps)
    elif isinstance(node.value, dict):
        yield from _range_problems(node, steps)


def _k_is_given(root: Node) -> bool:
    given, kind = root.at(("tune", "k")), root.at(("estimate_k", "kind"))
    if given is not None and given.value is not None:
        return bool(given.value == "given")
    return kind is not None and kind.value == "fixed"


def _choice_problems(node: Node, steps: Steps) -> Iterator[PlacedProblem]:
    values = [item.plain() for item in node.value]
    if len(values) < 2:
        hint = "set the field in the recipe, or give more values"
        yield node.place.problem(steps, "a choice needs two values", hint=hint)
    for index, value in enumerate(values):
        if text_of(value) in map(text_of, values[:index]):
            yield node.value[index].place.problem((*steps, index), f"{text_of(value)} is given twice", hint="keep one")


def _range_problems(node: Node, steps: Steps) -> Iterator[PlacedProblem]:
    content = {name: child.value for name, child in node.value.items()}
    low, high, step = content["low"], content["high"], content.get("step")
    place = node.value["low"].place
    if low >= high:
        yield place.problem((*steps, "low"), f"low = {low} is not below high = {high}", hint="exchange them")
    elif content.get("log") and low <= 0:
        yield place.problem((*steps, "low"), f"{low} has no logarithm", hint="start above 0, or leave `log` out")
    if step is not None and content.get("log"):
        yield node.value["step"].place.problem((*steps, "step"), "`step` and `log` exclude each other", hint="keep one")
    elif step is not None and step > high - low > 0:
        yield node.value["step"].place.problem((*steps, "step"), f"a step of {step} leaves only low", hint="shorten it")


def _value_problems(root: Node, space: Mapping[str, Node], model: type[BaseModel]) -> list[PlacedProblem]:
    """What the recipe says to each end of a range and each value of a choice."""
    base = copy.deepcopy(root)
    del base.value["tune"]
    known = set(_problems_with(base, {}, model))
    problems: list[PlacedProblem] = []
    for field, node in space.items():
        for value in _values(node):
            value.key_place = node.key_place  # a field that is not there is one problem, not one for each value
            alternatives = ({**context, field: value} for context in _contexts(space, field))
            problems += _least(
                [p for p in _problems_with(base, values, model) if p not in known] for values in alternatives
            )
    return list(dict.fromkeys(problems))


def _contexts(space: Mapping[str, Node], field: str) -> Iterator[dict[str, Node]]:
    """Values of other fields to look at one with: every combination of kinds, then each value of one other field."""
    others = {name: _values(node) for name, node in space.items() if name != field}
    kinds = {name: values for name, values in others.items() if name.endswith(".kind")}
    for combination in product(*kinds.values()):
        yield dict(zip(kinds, combination, strict=True))
    for name, values in others.items():
        yield from ({name: value} for value in values)


def _is_choice(node: Node) -> bool:
    return isinstance(node.value, list)


def _values(node: Node) -> Sequence[Node]:
    """The values to look at: all of a choice; both ends of a range, and the first step from the lower one."""
    if _is_choice(node):
        return list(node.value)
    low, high, step = (node.value.get(name) for name in ("low", "high", "step"))
    if step is None or step.value is None:
        return [low, high]
    return [low, high, Node(low.value + step.value, step.place, text=f"{low.value + step.value:g}")]


def _least(alternatives: Iterator[list[PlacedProblem]]) -> list[PlacedProblem]:
    """The first of the shortest lists; no list after an empty one is made."""
    least: list[PlacedProblem] | None = None
    for found in alternatives:
        if least is None or len(found) < len(least):
            least = found
        if not found:
            break
    return least or []


def _problems_with(base: Node, values: Mapping[str, Node], model: type[BaseModel]) -> list[PlacedProblem]:
    root = copy.deepcopy(base)
    for field in in_order(values):
        set_value(root, tuple(field.split(".")), copy.deepcopy(values[field]), model)
    make_paths_absolute(root)
    return check(root, model)[1]

"""Every field of recipes and cards, given values that it cannot have: plain words at the place itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_origin

import pytest
from pydantic import BaseModel, Field

from ncdcli.data.kinds import Card
from ncdcli.errors import Problem, RecipeError
from ncdcli.recipe.base import Section
from ncdcli.recipe.schema import Recipe
from ncdcli.recipe.shape import kind_of, models_of
from ncdcli.recipe.source import load_tree, validate

pytestmark = pytest.mark.usefixtures("yaml_in_c")  # these are faults of values, not of YAML
Steps = tuple[str, ...]
WRONG_FOR_ALL = ("{a: 1}", "[[text]]", ".nan", "-7.5")
WRONG_FOR_SOME = ("text", "true", "null", "[]", '""', " 1e99", "{kind: nonsense}", "[1, two, 3.5]", "{text: {a: b}}")
FORMS = re.compile(r"expected .+, found .+|(unknown|missing) (key|kind) .+")
JARGON = re.compile(r"Input|valid\b|NoneType|tuple|dict\b|Literal|instance|union|pydantic|<class|typing|Annotated")


def sections(schema: type[BaseModel], steps: Steps = ()) -> Iterator[tuple[Steps, type[BaseModel]]]:
    """Every section below a schema, each kind of it by itself."""
    yield steps, schema
    for name, info in schema.model_fields.items():
        for model in models_of(info.annotation):
            yield from sections(model, (*steps, name))


def problems_of(folder: Path, schema: type[BaseModel], steps: Steps, members: str) -> tuple[Problem, ...]:
    """What is told about a file that holds one section, with `members` in it."""
    for step in reversed(steps):
        members = f"{step}: {{{members}}}"
    path = folder / "file.yaml"
    path.write_text(f"{{{members}}}\n")
    with pytest.raises(RecipeError) as caught:
        validate(load_tree(path, name="file.yaml"), schema)
    return caught.value.problems


def wrong_section(model: type[BaseModel], value: str) -> tuple[str, list[str]]:
    """A section all of whose fields but `kind` have a value, and their names."""
    kind = kind_of(model)
    names = [name for name in model.model_fields if name != "kind"]
    given = [f"kind: {kind}"] if kind is not None else []
    return ", ".join([*given, *(f"{name}: {value}" for name in names)]), names


@pytest.mark.parametrize("value", [*WRONG_FOR_ALL, *WRONG_FOR_SOME])
@pytest.mark.parametrize("schema", [Recipe, Card])
def test_values_are_refused_in_plain_words_and_those_that_no_field_can_have_at_every_field(
    schema: type[BaseModel], value: str, tmp_path: Path
) -> None:
    for steps, model in sections(schema):
        members, names = wrong_section(model, value)
        found = problems_of(tmp_path, schema, steps, members)
        for problem in found:
            assert not JARGON.search(problem.message + problem.hint), problem
            assert re.match(r"file\.yaml:\d+:\d+", problem.place)
        for name in names if value in WRONG_FOR_ALL else []:
            if value == "{a: 1}" and get_origin(model.model_fields[name].annotation) is dict:
                continue  # it may have any keys
            path = ".".join([*steps, name])
            about = [problem for problem in found if re.fullmatch(rf".*: {re.escape(path)}([.\[].*)?", problem.place)]
            assert about, (path, value)
            assert all(FORMS.fullmatch(problem.message) for problem in about), about


class Sized(Section):
    least: tuple[int, ...] = Field((1, 2), min_length=2)
    between: tuple[int, ...] = Field((1,), min_length=1, max_length=3)
    pair: tuple[int, int] = (1, 2)
    flag: bool | None = None
    number: float = Field(0.5, gt=0, le=1)
    whole: int = 5
    whole_list: tuple[int, ...] = (1,)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("least: [1]", "expected a list with at least 2 values, found a list of 1", ""),
        ("between: []", "expected a list with 1 to 3 values, found an empty list", ""),
        ("between: [1, 2, 3, 4]", "expected a list with 1 to 3 values, found a list of 4", ""),
        ("pair: [1]", "expected a list of 2 values, each a whole number, found a list of 1", ""),
        ("pair: [1, 2, 3]", "expected a list of 2 values, each a whole number, found a list of 3", ""),
        ("flag: 1", "expected true or false, found the number 1", ""),
        ("number: .inf", "expected a finite number above 0 and at most 1, found .inf", ""),
        ("whole: 1e3", "expected a whole number, found 1e3", "write `1000`"),
        ("whole: 1e99", "expected a whole number, found 1e99", ""),
        ("whole_list: 3", "expected a list of whole numbers, found the number 3", "write `[3]`"),
        ("whole_list: three", "expected a list of whole numbers, found the text 'three'", ""),
        ('number: " "', "expected a number above 0 and at most 1, found the text ' '", ""),
    ],
)
def test_bounds_and_hints(text: str, message: str, hint: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, Sized, (), text)
    assert (problem.message, problem.hint) == (message, hint)


def test_a_kind_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    found = problems_of(tmp_path, Recipe, (), "name: x, data: {card: digits}, backbone: {kind: !!int 3}")
    assert [problem.message for problem in found] == ["tags (`!!int`) are not read"]

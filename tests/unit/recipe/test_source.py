from __future__ import annotations

from pathlib import Path

import pytest

from ncdcli.errors import MissingError, RecipeError
from ncdcli.recipe.base import Section
from ncdcli.recipe.source import load_tree, validate


class Inner(Section):
    rate: float
    names: tuple[str, ...] = ()


class Outer(Section):
    count: int
    inner: Inner


def write(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text, "utf-8")
    return path


def test_every_value_keeps_its_line_and_column(tmp_path: Path) -> None:
    tree = load_tree(write(tmp_path, "count: 3\ninner:\n  rate: 1e-5\n  names: [a, no]\n"))

    places = {steps: (node.place.line, node.place.column) for steps, node in tree.root.walk()}
    assert places == {
        (): (1, 1), ("count",): (1, 8), ("inner",): (3, 3), ("inner", "rate"): (3, 9),
        ("inner", "names"): (4, 10), ("inner", "names", 0): (4, 11), ("inner", "names", 1): (4, 14),
    }  # fmt: skip
    assert validate(tree, Outer) == Outer(count=3, inner=Inner(rate=1e-5, names=("a", "no")))


def test_lines_are_counted_with_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(b"\xef\xbb\xbfcount: 3\r\ninner:\r\n  rate: fast\r\n")

    with pytest.raises(RecipeError) as caught:
        validate(load_tree(path), Outer)

    (problem,) = caught.value.problems
    assert problem.place == f"{path}:3:9: inner.rate"
    assert problem.source_line == "rate: fast"


def test_all_problems_of_a_file_are_told_in_its_order(tmp_path: Path) -> None:
    text = "inner:\n  rate: fast\n  rate: 2\n  name: [a]\ncount: three\nmore: 1\n"

    with pytest.raises(RecipeError) as caught:
        validate(load_tree(write(tmp_path, text)), Outer)

    lines = [int(problem.place.split(":")[1]) for problem in caught.value.problems]
    assert lines == [2, 3, 4, 5, 6]
    assert caught.value.exit_code == 3
    assert "5 problems" in caught.value.message


def test_no_message_speaks_pydantic(tmp_path: Path) -> None:
    text = "count: 1.5\ninner: {rate: [1], names: {a: 1}, more: 2}\n"

    with pytest.raises(RecipeError) as caught:
        validate(load_tree(write(tmp_path, text)), Outer)

    said = str(caught.value).lower()
    assert not [word for word in ("input", "valid integer", "pydantic", "http", "tuple", "literal[") if word in said]


def test_a_missing_file_is_something_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        load_tree(tmp_path / "absent.yaml")


def test_a_long_line_is_shown_round_the_fault(tmp_path: Path) -> None:
    text = f"inner: {{rate: 1, names: [{'a, ' * 100}3]}}\ncount: 1\n"

    with pytest.raises(RecipeError) as caught:
        validate(load_tree(write(tmp_path, text)), Outer)

    shown = caught.value.problems[0].source_line
    assert shown.startswith("…")
    assert shown.endswith("a, 3]}")
    assert len(shown) <= 122

"""The tree of a YAML file: values that remember where they were written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ncdcli.errors import Problem

Steps = tuple[str | int, ...]  # the way from the root to a node: ("pretrain", "optimizer", "lr")

LONGEST_LINE = 120  # characters of a source line that a problem shows


@dataclass(frozen=True)
class Origin:
    """What a value was read from: a file, or one `--set`."""

    name: str  # as problems show it
    lines: tuple[str, ...] = ()  # empty for `--set`, whose name holds the text already
    folder: Path = field(default_factory=Path.cwd)  # relative paths start here
    override: bool = False


@dataclass(frozen=True)
class PlacedProblem(Problem):
    """A problem that knows its order among the others of its file."""

    order: tuple[bool, str, int, int] = (False, "", 0, 0)


@dataclass(frozen=True)
class Place:
    """A point in an origin; line and column count from 1."""

    origin: Origin
    line: int = 1
    column: int = 1

    def problem(self, steps: Steps, message: str, *, hint: str = "", show_line: bool = True) -> PlacedProblem:
        """A problem at this point, with the line itself."""
        lines = self.origin.lines
        where = f"{self.origin.name}:{self.line}:{self.column}" if lines else self.origin.name
        path = path_text(steps)
        source_line = lines[self.line - 1] if show_line and self.line <= len(lines) else ""
        place = f"{where}: {path}" if path else where
        order = (self.origin.override, self.origin.name, self.line, self.column)  # as a reader meets them, `--set` last
        return PlacedProblem(message, place, _shown(source_line, column=self.column), hint, order)


@dataclass
class Node:
    """A value and its place. `value` is a scalar, a list of nodes, or a dictionary of nodes."""

    value: Any
    place: Place
    key_place: Place | None = None  # where its key is written, for members of a map
    broken: bool = False  # not readable: the loader has told why, the schema need not
    text: str = ""  # a scalar as it is written

    @property
    def near(self) -> Place:
        """The key, or the value where there is no key: what is shown for something missing inside."""
        return self.key_place or self.place

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def child(self, step: str | int) -> Node | None:
        """The member under a key or an index, None where there is none."""
        if isinstance(self.value, dict) and isinstance(step, str):
            return self.value.get(step)
        if isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            return self.value[step]
        return None

    def at(self, steps: Sequence[str | int]) -> Node | None:
        """The node at the end of `steps`, None where the way breaks off."""
        node: Node | None = self
        for step in steps:
            node = node.child(step) if node is not None else None
        return node

    def nearest(self, steps: Sequence[str | int]) -> tuple[Node, int]:
        """The last node on the way along `steps`, and how many steps lead to it."""
        node, count = self, 0
        for step in steps:
            child = node.child(step)
            if child is None:
                break
            node, count = child, count + 1
        return node, count

    def walk(self, steps: Steps = ()) -> Iterator[tuple[Steps, Node]]:
        """Every node below and including this one, with the steps to it."""
        yield steps, self
        if isinstance(self.value, dict):
            for key, child in self.value.items():
                yield from child.walk((*steps, key))
        elif isinstance(self.value, list):
            for index, child in enumerate(self.value):
                yield from child.walk((*steps, index))


@dataclass
class Tree:
    """One loaded file: its root, the bytes, and what the loader found wrong so far."""

    root: Node
    path: Path
    text: bytes
    problems: list[PlacedProblem] = field(default_factory=list)


def path_text(steps: Steps) -> str:
    """`pretrain.optimizer.lr`, `data.known_classes[2]`."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def _shown(line: str, *, column: int) -> str:
    """The line without its indentation; of a very long one, the part round the column."""
    if len(line) > LONGEST_LINE:
        start = max(0, min(column - LONGEST_LINE // 2, len(line) - LONGEST_LINE))
        end = start + LONGEST_LINE
        line = ("…" if start else "") + line[start:end].strip() + ("…" if end < len(line) else "")
    return "".join(letter if letter.isprintable() else " " for letter in line).strip()

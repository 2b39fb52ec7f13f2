"""From the bytes of a YAML file to a tree that knows where each value was written. What is doubtful is refused.

Read as YAML 1.2 (see `ncdcli.recipe.scalars`). Refused, each with its place: keys given twice, aliases, merge keys,
tags, keys that are no words, several documents, and characters that no file name or label can hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from ncdcli.errors import MissingError, RecipeError
from ncdcli.recipe.check import check
from ncdcli.recipe.scalars import read_scalar
from ncdcli.recipe.syntax import explain_syntax_error
from ncdcli.recipe.tree import Node, Origin, Place, PlacedProblem, Steps, Tree
from ncdcli.words import counted

Model = TypeVar("Model", bound=BaseModel)

DEEPEST = 40  # levels of nesting; a recipe has five


def load_tree(path: Path | str, *, name: str = "", folder: Path | None = None) -> Tree:
    """The tree of a YAML file. `name` is what problems call it (default: the path as given), `folder` is where its
    relative paths start (default: the file's own folder).

    MissingError where there is no such file; RecipeError where it is not YAML. Faults that leave a tree behind (a key
    given twice, …) are kept in `Tree.problems`, to be shown by `validate` with all others.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "is not there"
        raise MissingError(f"`{path}` {what}", hint="`ncd recipes list` shows the recipes that come with ncd")
    content = path.read_bytes()
    name = name or str(path)
    text = _decode(content, name)
    origin = Origin(name, _lines(text), folder or path.parent.absolute())
    builder = TreeBuilder(origin)
    root = builder.document(text)
    if not isinstance(root.value, dict):
        raise invalid(name, builder.problems or [_not_a_map(root)])
    return Tree(root, path, content, builder.problems)


def parse_value(text: str, origin: Origin) -> tuple[Node, list[PlacedProblem]]:
    """The node of a value given on the command line, read by the same rules."""
    builder = TreeBuilder(origin)
    return builder.document(text), builder.problems


def validate(tree: Tree, model: type[Model]) -> Model:
    """The `model` that the tree describes. RecipeError with every problem of the tree, in the order of the file."""
    value, problems = check(tree.root, model)
    problems = [*tree.problems, *problems]
    if problems or value is None:
        raise invalid(tree.root.place.origin.name or str(tree.path), problems)
    return value


def invalid(name: str, problems: list[PlacedProblem]) -> RecipeError:
    """The error that shows `problems`, each once, in the order of the file."""
    unique = sorted(dict.fromkeys(problems), key=lambda problem: problem.order)
    count = counted(len(unique), "problem")
    overridden = all(problem.order[0] for problem in unique) and not name.startswith("--set")
    what = f"`{name}` with these `--set`" if overridden else f"`{name}`"
    return RecipeError(f"{what} is not valid: {count}", unique)


def _decode(content: bytes, name: str) -> str:
    """The text of a file in UTF-8, with or without a byte order mark."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:2]:  # with its mark, or without
        place = Place(Origin(name, ("",)))
        raise invalid(name, [place.problem((), "the file is in UTF-16", hint="save it as UTF-8")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line = content.splitlines()[before.count("\n")].decode("utf-8", "replace")
        column = len(before) - (before.rfind("\n") + 1) + 1
        place = Place(Origin(name, ("",) * before.count("\n") + (line,)), before.count("\n") + 1, column)
        problem = place.problem((), f"byte 0x{content[error.start]:02x} is not UTF-8", hint="save the file as UTF-8")
        raise invalid(name, [problem]) from None


def _lines(text: str) -> tuple[str, ...]:
    """The lines of a text, counted as YAML counts them; at least one."""
    return tuple(re.split("\r\n|[\n\r\x85\u2028\u2029]", text.rstrip())) or ("",)


def _not_a_map(root: Node) -> PlacedProblem:
    found = "nothing" if root.value is None else "a list" if isinstance(root.value, list) else "a single value"
    message = "the file is empty" if root.value is None else f"expected keys (`name:`, …), found {found}"
    hint = "`ncd recipes copy digits-gcd my.yaml` gives one to start from"
    return root.place.problem((), message, hint=hint, show_line=root.value is not None)


class TreeBuilder:
    """Builds nodes from PyYAML's events and keeps what is wrong with them in `problems`."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.problems: list[PlacedProblem] = []

    def document(self, text: str) -> Node:
        """The root of the only document of `text`. RecipeError where the text is not YAML."""
        try:
            return self._document(yaml.parse(text, Loader=yaml.SafeLoader))
        except yaml.YAMLError as error:
            problem = explain_syntax_error(error, text, self.origin)
            raise invalid(self.origin.name, [*self.problems, problem]) from None

    def _document(self, events: Iterator[Any]) -> Node:
        root = Node(None, Place(self.origin))
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    hint = "one file holds one recipe; `---` starts another document"
                    self._refuse(event, (), "a second document starts here", hint=hint)
                node = self._node(next(events), events, ())
                root = node if documents == 1 else root
        return root

    def _node(self, event: Any, events: Iterator[Any], steps: Steps) -> Node:
        """The node that starts with `event`."""
        if isinstance(event, yaml.AliasEvent):
            hint = "write the value again, or put what recipes share in one that they name in `extends`"
            return self._broken(event, steps, f"aliases (`*{event.anchor}`) are not read", hint=hint)
        if len(steps) >= DEEPEST:
            hint = "no recipe needs so many levels: look for a bracket or an indentation too much"
            problem = self._place(event).problem((), f"more than {DEEPEST} levels of nesting", hint=hint)
            raise invalid(self.origin.name, [*self.problems, problem])
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, steps)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(event, events, steps)
        else:
            node = self._map(event, events, steps)
        if event.tag is not None:
            hint = "write text in quotes; numbers, lists and maps need no tag"
            return self._broken(event, steps, f"tags (`{_short_tag(event.tag)}`) are not read", hint=hint)
        return node

    def _scalar(self, event: Any, steps: Steps) -> Node:
        plain = event.implicit[0] and event.style is None
        bad = next((letter for letter in event.value if letter == "\0" or "\ud800" <= letter <= "\udfff"), None)
        if bad is not None:
            return self._broken(event, steps, f"the character U+{ord(bad):04X} cannot be used", hint="leave it out")
        try:
            value = read_scalar(event.value) if plain else event.value
        except ValueError as error:
            return self._broken(event, steps, str(error), hint="put it in quotes if it is a name")
        return Node(value, self._place(event), text=event.value)

    def _list(self, event: Any, events: Iterator[Any], steps: Steps) -> Node:
        items: list[Node] = []
        for item in events:
            if isinstance(item, yaml.SequenceEndEvent):
                break
            items.append(self._node(item, events, (*steps, len(items))))
        return Node(items, self._place(event))

    def _map(self, event: Any, events: Iterator[Any], steps: Steps) -> Node:
        members: dict[str, Node] = {}
        for key_event in events:
            if isinstance(key_event, yaml.MappingEndEvent):
                break
            key = self._key(key_event, events, steps)
            so_far = len(self.problems)
            child = self._node(next(events), events, (*steps, key or "?"))
            child.key_place = self._place(key_event)
            if key is None:
                del self.problems[so_far:]  # the key is refused already: its value does not matter
                continue
            if key in members:
                first = members[key].near
                hint = "keep one of them"
                message = f"the key is given twice: first on line {first.line}, and here"
                self._refuse(key_event, (*steps, key), message, hint=hint)
                continue
            members[key] = child
        return Node(members, self._place(event))

    def _key(self, event: Any, events: Iterator[Any], steps: Steps) -> str | None:
        """A key as it is written, None (and a problem) where it is no word."""
        if isinstance(event, yaml.ScalarEvent):
            if event.value == "<<" and event.style is None:
                hint = "name the recipe to start from in `extends`, or write the keys out"
                self._refuse(event, steps, "merge keys (`<<`) are not read", hint=hint)
                return None
            if event.value:
                return str(event.value)
        else:
            self._node(event, events, steps)  # its events have to be passed over
        hint = "write `key: value`; text in braces or with a `:` inside needs quotes"
        self._refuse(event, steps, "a key is expected here", hint=hint)
        return None

    def _place(self, event: Any) -> Place:
        return Place(self.origin, event.start_mark.line + 1, event.start_mark.column + 1)

    def _refuse(self, event: Any, steps: Steps, message: str, *, hint: str) -> None:
        self.problems.append(self._place(event).problem(steps, message, hint=hint))

    def _broken(self, event: Any, steps: Steps, message: str, *, hint: str) -> Node:
        self._refuse(event, steps, message, hint=hint)
        return Node(None, self._place(event), broken=True)


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")

"""What is wrong with a text that is not YAML, in plain words."""

from __future__ import annotations

import yaml

from ncdcli.recipe.tree import Origin, Place, PlacedProblem

# PyYAML's words (the part that identifies them) -> ours, and what to do. The first that fits is taken.
_AT_PROBLEM = (
    (
        "mapping values are not allowed",
        "`:` is not expected here",
        "text with `: ` inside needs quotes; keys of one map start in the same column",
    ),
    (
        "could not find expected ':'",
        "expected `key: value`",
        "a key needs a `:` and a blank after it",
    ),
    (
        "expected <block end>",
        "this line does not belong to the lines above it",
        "keys of one map start in the same column; items of one list too",
    ),
    ("expected ',' or ']'", "expected `,` or `]`", "a list starts with `[`, ends with `]`, and has `,` between items"),
    ("expected ',' or '}'", "expected `,` or `}`", "a map starts with `{`, ends with `}`, and has `,` between items"),
    (
        "expected '<document start>'",
        "this line does not belong to the lines above it",
        "a file is `key: value` from its first line to its last",
    ),
    ("expected the node content", "a value is expected here", "text that starts with `,`, `]` or `}` needs quotes"),
    (
        "sequence entries are not allowed",
        "`- ` is not expected here",
        "the items of a list start on lines of their own",
    ),
    ("expected a comment or a line break", "unexpected after `|` or `>`", "the text starts on the next line"),
    ("expected chomping or indentation", "unexpected after `|` or `>`", "the text starts on the next line"),
    ("found undefined tag handle", "tags (`!…!…`) are not read", "write text in quotes"),
    ("found unknown escape character", "unknown escape after `\\`", "in single quotes a `\\` stands for itself"),
    ("unknown directive", "directives (`%`) are not read", "leave the line out"),
)
_AT_CONTEXT = (
    ("while scanning a quoted scalar", "a quote is opened here and not closed", "close it on the same line"),
    ("while parsing a flow sequence", "`[` is opened here and not closed", "close it with `]`"),
    (
        "while parsing a flow node",
        "the text ends where a value is expected",
        "give the value, or close the `[` or `{` before it",
    ),
    ("while parsing a flow mapping", "`{` is opened here and not closed", "close it with `}`"),
)


def explain_syntax_error(error: yaml.YAMLError, text: str, origin: Origin) -> PlacedProblem:
    """PyYAML's error as one of our problems."""
    if isinstance(error, yaml.reader.ReaderError):
        return _bad_character(error, text, origin)
    assert isinstance(error, yaml.MarkedYAMLError)
    mark, problem, context = error.problem_mark, error.problem or "", error.context or ""
    assert mark is not None
    rest = text[mark.index :] if mark.index < len(text) else ""
    place = _place(origin, mark)
    if rest.startswith("\t") or ("cannot start any token" in problem and "\t" in _line(origin, place)[: place.column]):
        return place.problem((), "a tab is used to indent", hint="indent with blanks")
    if "cannot start any token" in problem:
        hint = f"put text that starts with `{rest[:1]}` in quotes"
        return place.problem((), f"a value cannot start with `{rest[:1]}`", hint=hint)
    at_end = not rest.strip() or "end of stream" in problem or "<stream end>" in problem
    for words, message, hint in _AT_CONTEXT if at_end else ():
        if words in context and error.context_mark is not None:
            return _place(origin, error.context_mark).problem((), message, hint=hint)
    for words, message, hint in _AT_PROBLEM:
        if words in problem:
            if words == "could not find expected ':'" and error.context_mark is not None:
                place = _place(origin, error.context_mark)
            return place.problem((), message, hint=hint)
    message = "not YAML: " + " ".join(filter(None, [context, problem]))
    return place.problem((), message, hint="text with special characters needs quotes")


def _bad_character(error: yaml.reader.ReaderError, text: str, origin: Origin) -> PlacedProblem:
    before = text[: error.position]
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    code = error.character if isinstance(error.character, int) else ord(error.character)
    message = f"the character U+{code:04X} cannot be used"
    return Place(origin, line, column).problem((), message, hint="leave it out")


def _place(origin: Origin, mark: yaml.Mark) -> Place:
    """The mark's place, on the last line where the mark lies behind the end of the file."""
    if origin.lines and mark.line >= len(origin.lines):
        return Place(origin, len(origin.lines), len(origin.lines[-1]) + 1)
    return Place(origin, mark.line + 1, mark.column + 1)


def _line(origin: Origin, place: Place) -> str:
    return origin.lines[place.line - 1] if place.line <= len(origin.lines) else ""

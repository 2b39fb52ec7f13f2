"""Records the syntax-tree hash of every stage's code beside its version, in tests/contract/stage_hashes.json.

    python scripts/record_stage_hashes.py                  after raising `version` in ncdcli/pipeline/spec.py
    python scripts/record_stage_hashes.py --same-output    for a change that leaves every written byte the same

A stage's version is part of its fingerprint: finished runs redo the stage when it is raised, and only then.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ncdcli.pipeline.spec import STAGES

RECORD = Path(__file__).resolve().parents[1] / "tests" / "contract" / "stage_hashes.json"


def code_hash(source: str) -> str:
    """SHA-256 of the syntax tree: comments, docstrings and layout do not count. The same in every Python version."""
    text = json.dumps(list(_nodes(ast.parse(source))), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def current() -> dict[str, dict[str, Any]]:
    """Stage -> version and hash, for the stages whose module is there."""
    found = {}
    for spec in STAGES:
        module = find_spec(spec.module)
        if module is not None and module.origin is not None:
            found[spec.name] = {"version": spec.version, "hash": code_hash(Path(module.origin).read_text("utf-8"))}
    return found


def recorded() -> dict[str, dict[str, Any]]:
    """What the file holds."""
    return json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}


def changed_without_version(before: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> list[str]:
    """Names of stages whose code differs from the record while their version does not."""
    return [
        stage
        for stage, entry in now.items()
        if stage in before and before[stage]["hash"] != entry["hash"] and before[stage]["version"] == entry["version"]
    ]


def _nodes(node: Any) -> Iterator[Any]:
    """The tree as nested lists of names and values; empty fields are left out, for newer Pythons add such."""
    if isinstance(node, ast.AST):
        yield type(node).__name__
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                value = _without_docstring(value)
            if value not in (None, []) and name not in ("type_ignores", "type_comment", "kind"):
                yield [name, *_nodes(value)]
    elif isinstance(node, list):
        for item in node:
            yield list(_nodes(item))
    else:
        yield repr(node)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return body[1:] if is_text else body


def main() -> int:
    """0 when recorded; 1 when code changed under an old version and nobody said that its output is the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--same-output", action="store_true", help="the changed code writes the same bytes as before")
    same_output = parser.parse_args().same_output
    before, now = recorded(), current()
    changed = changed_without_version(before, now)
    if changed and not same_output:
        print(f"the code of {', '.join(changed)} changed, but not its version", file=sys.stderr)
        print("raise `version` in ncdcli/pipeline/spec.py, or say --same-output", file=sys.stderr)
        return 1
    RECORD.write_text(json.dumps(now, indent=2) + "\n", "utf-8")
    print(f"recorded {', '.join(now)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

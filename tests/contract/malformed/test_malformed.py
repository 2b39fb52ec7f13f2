"""Every malformed recipe, card and data set of the corpus gives exactly its message, place, hint and exit code.

A case of `cases/*.yaml` has `files` (name -> text, or `!!binary`), `command` (default: `recipes check recipe.yaml`),
`exit` (default 3) and `stderr`, word for word. `{folder}` in it stands for the folder the command runs in. `{kinds of
cluster}` stands for the kinds of that section with commas, `{one of cluster}` for them with "or", `{a kind of cluster}`
for them with backticks and "or": a new kind changes no case.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ncdcli.joint.kinds import JointConfig
from ncdcli.recipe.schema import Recipe
from ncdcli.recipe.shape import kinds_of
from ncdcli.words import either

CASES = Path(__file__).parent / "cases"
QUICK_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_cases() -> list[Any]:
    cases = []
    for path in sorted(CASES.glob("*.yaml")):
        for name, case in yaml.load(path.read_text("utf-8"), Loader=QUICK_LOADER).items():
            cases.append(pytest.param(case, id=f"{path.stem}-{name}"))
    return cases


def with_kinds(text: str) -> str:
    """The text with the kinds of sections filled in."""
    sections = {name: Recipe.model_fields[name].annotation for name in ("backbone", "cluster", "estimate_k")}
    for section, annotation in {**sections, "method": JointConfig}.items():
        kinds = kinds_of(annotation)
        text = text.replace(f"{{kinds of {section}}}", ", ".join(kinds)).replace(f"{{one of {section}}}", either(kinds))
        text = text.replace(f"{{a kind of {section}}}", either(f"`{kind}`" for kind in kinds))
    return text


@pytest.mark.parametrize("case", read_cases())
def test_says_what_is_wrong_where_and_what_to_do(
    case: dict[str, Any], tmp_path: Path, run_ncd: Callable[..., tuple[int, str, str]]
) -> None:
    for name, content in case.get("files", {}).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))

    code, out, err = run_ncd(*case.get("command", ["recipes", "check", "recipe.yaml"]))

    assert err.replace(str(tmp_path), "{folder}") == with_kinds(case["stderr"])
    assert code == case.get("exit", 3)
    assert out == case.get("stdout", "")


def test_corpus_is_large_enough() -> None:
    assert len(read_cases()) >= 60

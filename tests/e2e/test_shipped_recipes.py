"""Every shipped recipe can be run, or says what is missing; the commands in its header are true."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from ncdcli.data.resolve import ensure_resolved, resolve_data
from ncdcli.errors import MissingError
from ncdcli.recipe.resolve import load_recipe
from ncdcli.shipped import shipped_recipes

pytestmark = pytest.mark.usefixtures("yaml_in_c")
Ncd = Callable[..., tuple[int, str, str]]


def header(name: str) -> str:
    lines = shipped_recipes()[name].read_text("utf-8").splitlines()
    return "\n".join(lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))])


def commands(name: str) -> list[list[str]]:
    """The commands in the header, as words after `ncd`."""
    lines = [line.removeprefix("#").strip() for line in header(name).splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("ncd ")]


@pytest.mark.parametrize("name", shipped_recipes())
def test_the_commands_of_the_header_are_understood_and_absent_data_are_asked_for_first(
    name: str, run_ncd: Ncd, tmp_path: Path
) -> None:
    assert ["run", name] in [words[:2] for words in commands(name)] or name == "embeddings-gcd"
    for words in commands(name):
        if words[0] == "compare":
            assert {Path(path).name for path in words[1:]} <= set(shipped_recipes())
            continue
        code, _, err = run_ncd(*words, *(["--dry-run", "--json"] if words[0] == "run" else []))
        assert code == (4 if words[:2] == ["data", "check"] else 0), (words, err)

    resolved = resolve_data(load_recipe(name).recipe.data)
    try:
        ensure_resolved(resolved)
    except MissingError:
        code, out, err = run_ncd("run", name)
        assert (code, out) == (4, "")
        assert not (tmp_path / "runs" / name / "split").exists()
    else:
        assert resolved.card is not None
        assert resolved.card.name == "digits"  # scikit-learn brings them
        return
    card = resolved.card
    if card is None and resolved.source.kind == "torchvision":
        assert f"ncd run {name} --download" in header(name)
        assert "add `--download` to the command" in err
    elif card is None:
        assert re.search(r"check (the path|`train`) in the recipe's `data` section", err)
    elif card.obtain and card.download is None:
        assert "--download" not in header(name)
        assert card.obtain.replace("{root}", str(resolved.root)) in " ".join(err.split())
    else:
        assert f"ncd run {name} --download" in header(name)
        assert f"`ncd data check {card.name} --download`" in err

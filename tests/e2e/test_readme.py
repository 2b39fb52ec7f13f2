"""What the README shows is what the commands print: every console block is run, figures and times aside."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ncdcli import shipped

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![A-Za-z])[-±]?\d[\d.,]*")
EPOCHS = "  epochs: 60\n"  # of digits-gcd


def blocks() -> list[str]:
    return BLOCK.findall((ROOT / "README.md").read_text("utf-8"))


def steps(block: str) -> list[tuple[str, str]]:
    """Commands of a block with the output shown below each."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command.strip(), shown) for command, _, shown in (part.partition("\n") for part in parts)]


def shape(text: str) -> list[str]:
    """Lines without their numbers, units of time, rulers and spacing: what must not drift."""
    plain = NUMBER.sub("#", re.sub(r"[─…]+", "", text))
    plain = re.sub(r"(# min )?# s\b", "TIME", re.sub(r" +", " ", plain))
    return [" ".join(line.split()) for line in plain.splitlines() if line.strip()]


@pytest.fixture
def shorter_training(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The shipped recipes, with two of digits-gcd's epochs and no t-SNE; `make smoke` and `make demo` take all."""
    recipes = tmp_path_factory.mktemp("shipped") / "recipes"
    shutil.copytree(ROOT / "recipes", recipes)
    path = recipes / "images" / "digits-gcd.yaml"
    text = path.read_text("utf-8")
    assert text.count(EPOCHS) == 1
    path.write_text(text.replace(EPOCHS, "  epochs: 2\n") + "report: {map: pca}\n", "utf-8")
    home = shipped._home
    monkeypatch.setattr(shipped, "_home", lambda folder: recipes if folder == "recipes" else home(folder))
    shipped._named_files.cache_clear()
    yield
    shipped._named_files.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("shorter_training")
def test_every_console_block_of_the_readme_runs(
    run_ncd: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder for all blocks, as a reader would go through them. Bounds are for a whole training: `make smoke`'s."""
    monkeypatch.setenv("COLUMNS", "120")
    found = [step for block in blocks() for step in steps(block)]
    assert any(command.startswith("ncd run digits-gcd") for command, _ in found)
    bounds = [command.partition("--require ")[2] for command, _ in found if "--require" in command]
    assert all(f"--require {bound}" in (ROOT / "scripts/smoke").read_text("utf-8") for bound in bounds)
    for command, shown in found:
        words = shlex.split(command)
        if words[0] != "ncd":
            continue  # make and pip are run by the CI script
        code, out, err = run_ncd(*words[1:])
        assert code in ((0, 6) if "--require" in words else (0,)), f"{command}\n{err}"
        if shown.strip():
            assert shape(out) == shape(shown), command

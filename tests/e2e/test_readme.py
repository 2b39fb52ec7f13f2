"""What the README shows is what the commands print: every console block is run, figures and times aside."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![A-Za-z])[-±]?\d[\d.,]*")


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


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a full training: half a minute on an idle machine
def test_every_console_block_of_the_readme_runs(tmp_path: Path) -> None:
    """One folder for all blocks, as a reader would go through them."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"}
    found = [step for block in blocks() for step in steps(block)]
    assert any(command.startswith("ncd run digits-gcd") for command, _ in found)
    for command, shown in found:
        words = shlex.split(command)
        if words[0] != "ncd":
            continue  # make and pip are run by the CI script
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        if shown.strip():
            assert shape(done.stdout) == shape(shown), command

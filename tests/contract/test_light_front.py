"""Commands that only look and list must not pay for what trains and clusters."""

import json
import subprocess
import sys
from typing import Any

import pytest

HEAVY = (
    "torch", "torchvision", "timm", "lightning_fabric", "sklearn", "scipy", "faiss", "matplotlib", "pandas",
    "pooch", "requests",
)  # fmt: skip
COMMANDS = [
    "--help",
    "--version",
    "run --help",
    "status",
    "runs",
    "recipes list",
    "recipes show digits-gcd",
    "data list",
    "run digits-gcd --dry-run",
    "tune --help",
]
PROBE = """
import contextlib, io, json, sys
from ncdcli.cli.main import main
before, found = set(), []
for command in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            main(command.split())
        except SystemExit as end:
            code = end.code
    found.append({"code": code, "errors": errors.getvalue(), "modules": sorted(set(sys.modules) - before)})
    before.update(sys.modules)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each command, one after the other in one process, has ended with, and what it was the first to import."""
    folder = tmp_path_factory.mktemp("probed")
    (folder / "runs").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *COMMANDS], capture_output=True, text=True, cwd=folder, check=True
    )
    return dict(zip(COMMANDS, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_imports_nothing_heavy(command: str, probed: dict[str, dict[str, Any]]) -> None:
    found = probed[command]
    assert found["code"] == 0, found["errors"]
    loaded = {name.split(".")[0] for name in found["modules"]}
    assert loaded.isdisjoint(HEAVY), f"`ncd {command}` imports {sorted(loaded & set(HEAVY))}"

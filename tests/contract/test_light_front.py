"""Commands that only look and list must not pay for what trains and clusters."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch", "torchvision", "timm", "lightning_fabric", "sklearn", "scipy", "faiss", "matplotlib", "pandas",
    "pooch", "requests",
)  # fmt: skip
PROBE = """
import contextlib, io, json, sys
from ncdcli.cli.main import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
    try:
        main({arguments!r})
    except SystemExit as end:
        code = end.code
print(json.dumps({{"code": code, "errors": errors.getvalue(), "modules": sorted(sys.modules)}}))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["status"],
        ["runs"],
        ["recipes", "list"],
        ["recipes", "show", "digits-gcd"],
        ["data", "list"],
        ["run", "digits-gcd", "--dry-run"],
        ["tune", "--help"],
    ],
    ids=" ".join,
)
def test_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=arguments)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["code"] == 0, found["errors"]
    loaded = {name.split(".")[0] for name in found["modules"]}
    assert loaded.isdisjoint(HEAVY), f"`ncd {' '.join(arguments)}` imports {sorted(loaded & set(HEAVY))}"

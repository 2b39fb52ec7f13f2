from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import ncdcli
from ncdcli.run import provenance

CHECKOUT = Path(ncdcli.__file__).parents[1]


def test_packages_and_python_are_those_installed():
    assert provenance.packages()["numpy"] == version("numpy") == np.__version__
    assert provenance.python() == platform.python_version()


def test_code_names_the_commit_of_the_checkout():
    if not (CHECKOUT / ".git").exists():
        pytest.skip("not a git checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    provenance.code.cache_clear()
    found = provenance.code()
    assert found["commit"] == head.stdout.strip()
    assert isinstance(found["dirty"], bool)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
def test_peak_memory_counts_from_the_last_reset():
    provenance.forget_peak_memory()
    before = provenance.peak_memory_bytes()
    block = np.ones(25_000_000)  # 200 MB
    del block
    assert provenance.peak_memory_bytes() - before > 180_000_000
    provenance.forget_peak_memory()
    assert provenance.peak_memory_bytes() - before < 100_000_000


def test_device_without_torch_use_is_the_processor():
    assert provenance.device("cpu") == "cpu"

"""torchvision imports beside a CPU-only torch, and a failure that we cannot cure is told plainly."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ncdcli import compat
from ncdcli.errors import MissingError


def test_torchvision_and_timm_import_in_a_fresh_process():
    code = (
        "from ncdcli.compat import import_timm, import_torchvision\n"
        "transforms = import_torchvision().transforms\n"
        "assert transforms.functional.hflip and 'vit_small_patch16_224' in import_timm().list_models('vit_small*')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_another_failure_of_torchvision_is_not_hidden(monkeypatch):
    def fail(name):
        raise RuntimeError("libcudart.so.99: no such file")

    monkeypatch.setattr(compat, "import_module", fail)
    with pytest.raises(MissingError, match=r"libcudart\.so\.99"):
        compat.import_torchvision()


def test_an_operator_that_stays_missing_ends_the_loop(monkeypatch):
    def fail(name):
        raise RuntimeError("operator torchvision::ncd_test_only does not exist")

    monkeypatch.setattr(compat, "import_module", fail)
    with pytest.raises(MissingError, match="ncd_test_only") as raised:
        compat.import_torchvision()
    assert "paired versions" in raised.value.hint

"""What of a section enters fingerprints."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ncdcli.joint.kinds import JointTrainingConfig, SimGCD
from ncdcli.models.kinds import Timm
from ncdcli.objectives.kinds import PretrainConfig
from ncdcli.recipe.base import fields_that_matter


def test_a_weights_file_counts_by_its_content_and_not_by_its_place(tmp_path: Path) -> None:
    first, second = tmp_path / "a.pth", tmp_path / "b.pth"
    first.write_bytes(b"weights")
    second.write_bytes(b"weights")
    matters = [fields_that_matter(Timm(name="resnet18", weights=str(path))) for path in (first, second)]
    assert matters[0] == matters[1]
    assert matters[0]["weights"] == "sha256:" + sha256(b"weights").hexdigest()

    second.write_bytes(b"other weights")
    assert fields_that_matter(Timm(name="resnet18", weights=str(second))) != matters[0]
    assert fields_that_matter(Timm(name="resnet18", weights="none"))["weights"] == "none"


@pytest.mark.parametrize(("field", "value"), [("cached_views", 2), ("compile", True)])
@pytest.mark.parametrize("section", [PretrainConfig(), JointTrainingConfig(method=SimGCD())], ids=["pretrain", "joint"])
def test_a_recipe_without_a_field_that_was_added_is_what_it_was(section: Any, field: str, value: Any) -> None:
    assert field not in fields_that_matter(section)
    assert fields_that_matter(section.model_copy(update={field: value}))[field] == value

"""What of a section enters fingerprints."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from ncdcli.models.kinds import Timm
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

"""What tests of several packages' units share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))


@pytest.fixture
def quick_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes of a training take a moment to start, and not the import of torch; see `quickstart`."""
    import quickstart

    quickstart.train_in(monkeypatch)

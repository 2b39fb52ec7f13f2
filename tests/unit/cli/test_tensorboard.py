"""Values of a progress bar as events for TensorBoard."""

from __future__ import annotations

from pathlib import Path

import pytest

from ncdcli.cli.tensorboard import TensorBoardProgress, check_tensorboard
from ncdcli.errors import MissingError
from ncdcli.pipeline.context import SilentProgress


def test_every_value_is_written_at_its_step(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    notes: list[str] = []
    progress = TensorBoardProgress(SilentProgress(notes.append), tmp_path / "events")
    with progress.track("pretrain", 20) as tick:
        tick(10)
        tick(0, loss=2.5)
        tick(5, loss=1.5, lr=0.1)
    with progress.track("embed", 5) as tick:
        tick(5)
    progress.note("done")
    assert notes == ["done"]
    events = accumulator.EventAccumulator(str(tmp_path / "events")).Reload()
    assert events.Tags()["scalars"] == ["pretrain/loss", "pretrain/lr"]
    assert [(event.step, event.value) for event in events.Scalars("pretrain/loss")] == [(10, 2.5), (15, 1.5)]


def test_nothing_is_made_where_there_are_no_values(tmp_path: Path) -> None:
    progress = TensorBoardProgress(SilentProgress(), tmp_path / "events")
    with progress.track("embed", 5) as tick:
        tick(5)
    assert not (tmp_path / "events").exists()


def test_the_package_is_asked_for_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncdcli.cli.tensorboard.find_spec", lambda name: None)
    with pytest.raises(MissingError) as caught:
        check_tensorboard()
    assert caught.value.hint == "pip install 'ncd-cli[tensorboard]'"

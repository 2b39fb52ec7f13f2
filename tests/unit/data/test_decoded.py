"""Tiny images are decoded once, and again when a file has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ncdcli.data import decoded, images
from ncdcli.data.images import load_images


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(decoded, "KEEP_FROM", 3)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng, paths = np.random.default_rng(0), []
    for number in range(4):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(paths[-1])
    return paths


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Which files were decoded."""
    seen: list[Path] = []
    plain = images.read_rgb

    def reading(path: Any, **keywords: Any) -> Any:
        seen.append(path)
        return plain(path, **keywords)

    monkeypatch.setattr(images, "read_rgb", reading)
    return seen


def test_images_are_decoded_once(files: list[Path], read: list[Path]) -> None:
    first, second = load_images(files), load_images(files)
    assert read == files
    assert first.array is not None
    np.testing.assert_array_equal(first.array, second.array)
    np.testing.assert_array_equal(first.array[2], np.asarray(Image.open(files[2])))


def test_other_files_in_another_order_or_changed_are_decoded(files: list[Path], read: list[Path]) -> None:
    load_images(files)
    backwards = load_images(files[::-1])
    assert len(read) == 8
    np.testing.assert_array_equal(backwards.array[0], np.asarray(Image.open(files[3])))
    Image.fromarray(np.zeros((6, 5, 3), np.uint8)).save(files[0])
    assert load_images(files).array[0].max() == 0
    status = os.stat(files[1])
    os.utime(files[1], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    load_images(files)
    assert len(read) == 16


def test_colour_and_gray_are_kept_apart(files: list[Path]) -> None:
    assert load_images(files).array.shape == (4, 6, 5, 3)
    assert load_images(files, channels=1).array.shape == (4, 6, 5, 1)
    assert load_images(files).array.shape == (4, 6, 5, 3)


def test_few_images_are_not_kept(files: list[Path], tmp_path: Path) -> None:
    load_images(files[:2])
    assert not (tmp_path / "cache").exists()


def test_a_damaged_file_is_decoded_again(files: list[Path], read: list[Path], tmp_path: Path) -> None:
    whole = load_images(files).array
    (kept,) = (tmp_path / "cache/ncd/decoded").iterdir()
    kept.write_bytes(kept.read_bytes()[:-7])
    np.testing.assert_array_equal(load_images(files).array, whole)
    load_images(files)
    assert len(read) == 8


def test_a_cache_that_cannot_be_written_stops_nothing(
    files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert load_images(files).array.shape == (4, 6, 5, 3)
    assert "decoded images cannot be kept" in caplog.text


def test_what_was_not_used_for_longest_makes_room(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[Path]
) -> None:
    one = 4 * 6 * 5 * 3 + 128
    monkeypatch.setattr(decoded, "KEEP_BYTES", 2 * one)
    load_images(files)
    load_images(files[::-1])
    for age, kept in enumerate(sorted((tmp_path / "cache/ncd/decoded").iterdir(), key=os.path.getmtime)):
        os.utime(kept, (1_000 * (age + 1), 1_000 * (age + 1)))
    load_images([files[1], *files[:1], *files[2:]])
    before = len(read)
    load_images(files[::-1])  # the younger one of the first two is still there
    assert len(read) == before
    load_images(files)
    assert len(read) == before + 4

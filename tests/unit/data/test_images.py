"""Images of every kind come out as upright 8-bit RGB; what cannot be read is named."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ncdcli.data.images import image_fault, image_size, load_images, read_rgb, read_same_size, walk_images
from ncdcli.errors import DataError


def save(path: Path, pixels, mode=None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_gray_becomes_three_equal_channels(tmp_path):
    path = save(tmp_path / "g.png", np.array([[0, 100], [200, 255]], np.uint8))
    pixels = np.asarray(read_rgb(path))
    np.testing.assert_array_equal(pixels, np.repeat([[[0], [100]], [[200], [255]]], 3, axis=2))


def test_sixteen_bit_gray_is_scaled_and_not_clipped(tmp_path):
    path = save(tmp_path / "g16.png", np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16))
    assert np.asarray(read_rgb(path))[..., 0].tolist() == [[0, 100], [200, 255]]


def test_transparent_pixels_lie_on_white(tmp_path):
    pixels = np.zeros((1, 2, 4), np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    assert np.asarray(read_rgb(save(tmp_path / "a.png", pixels)))[0].tolist() == [[10, 20, 30], [255, 255, 255]]


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "c.jpg"), ("P", "p.gif"), ("1", "b.png"), ("LA", "la.png")])
def test_other_modes_become_rgb(tmp_path, mode, name):
    path = save(tmp_path / name, np.full((4, 6, 3), 255, np.uint8), mode)
    image = read_rgb(path)
    assert image.mode == "RGB"
    assert image.size == (6, 4)
    assert np.asarray(image).min() >= 250


def test_an_image_taken_sideways_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[:, 0] = 255  # the left column is white
    path = save(tmp_path / "s.png", pixels, exif=exif)
    upright = np.asarray(read_rgb(path))
    assert upright.shape == (3, 2, 3)
    assert (upright[0] == 255).all()  # and now it is the top row
    assert image_size(path) == (2, 3)


@pytest.mark.parametrize("content", [b"", b"not an image", "truncated"])
def test_an_unreadable_image_is_named(tmp_path, content):
    path = tmp_path / "bad.jpg"
    if content == "truncated":
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
        content = save(tmp_path / "good.jpg", noise).read_bytes()[:700]
    path.write_bytes(content)
    assert image_fault(path)
    with pytest.raises(DataError) as raised:
        read_rgb(path)
    assert raised.value.problems[0].place == str(path)


def test_folders_are_walked_once_and_in_order_without_hidden_files(tmp_path):
    pixels = np.zeros((2, 2, 3), np.uint8)
    for name in ("b/x.JPG", "b/c/y.jpeg", "a.png", ".hidden.png", ".git/z.png", "b/._x.jpg"):
        save(tmp_path / name, pixels, format="PNG")
    (tmp_path / "notes.txt").write_text("no image")
    os.symlink(tmp_path, tmp_path / "b" / "loop")
    assert [name for name, _ in walk_images(tmp_path)] == ["a.png", "b/c/y.jpeg", "b/x.JPG"]


def test_tiny_images_of_one_size_are_kept_in_memory_and_others_are_not(tmp_path):
    tiny = [save(tmp_path / f"{n}.png", np.full((4, 6, 3), n, np.uint8)) for n in range(3)]
    inputs = load_images(tiny)
    assert inputs.array is not None
    assert inputs.array.shape == (3, 4, 6, 3)
    assert inputs.array[2].max() == 2
    mixed = load_images([*tiny, save(tmp_path / "other.png", np.zeros((5, 6, 3), np.uint8))])
    assert mixed.array is None
    assert mixed.image(3).size == (6, 5)
    assert load_images([save(tmp_path / "large.png", np.zeros((65, 65, 3), np.uint8))]).array is None


def test_files_can_be_read_in_another_process(tmp_path):
    inputs = load_images([save(tmp_path / "large.png", np.zeros((65, 65, 3), np.uint8))])
    assert pickle.loads(pickle.dumps(inputs)).image(0).size == (65, 65)


def test_new_images_must_be_of_the_size_that_the_model_reads(tmp_path):
    save(tmp_path / "in" / "a.png", np.full((8, 8), 9, np.uint8))
    keys, inputs = read_same_size(tmp_path / "in", side=8, channels=1)
    assert keys == ("a.png",)
    assert inputs.array.shape == (1, 8, 8, 1)
    save(tmp_path / "in" / "b.png", np.zeros((8, 9), np.uint8))
    with pytest.raises(DataError) as raised:
        read_same_size(tmp_path / "in", side=8, channels=1)
    assert "9 × 8 pixels; the model reads 8 × 8" in str(raised.value)

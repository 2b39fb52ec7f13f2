from __future__ import annotations

import dataclasses
import pickle

import pytest
import toystages

from ncdcli.pipeline.fingerprint import Ingredients, canonical_json, stage_config, visible_config
from ncdcli.recipe.base import Section

BASE = Ingredients("train", 1, {"train": {"epochs": 3}}, 0, {"split/numbers.csv": "ab"})
SPLIT, TRAIN = toystages.TABLE[:2]


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "other"},
        {"version": 2},
        {"config": {"train": {"epochs": 4}}},
        {"config": {"train": {"epochs": 3}, "more": {}}},
        {"seed": 1},
        {"inputs": {"split/numbers.csv": "cd"}},
        {"inputs": {}},
        {"inputs": {"split/other.csv": "ab"}},
    ],
)
def test_every_ingredient_changes_the_fingerprint(change):
    assert dataclasses.replace(BASE, **change).fingerprint != BASE.fingerprint


def test_fingerprint_is_the_sha256_of_this_text():
    """Pinned, so that finished runs stay valid; computed with sha256sum from the text below.

    {"config":{"train":{"epochs":3}},"inputs":{"split/numbers.csv":"ab"},"stage":"train",
    "stream":{"key":1550247075,"seed":0},"version":1}  (one line, no space after the comma; key: crc32 of "train")
    """
    assert BASE.fingerprint == "b52ac72088fdbe8f8ae73014746b0f61e1698b8f7c099ff63efcdbc326c25ac4"


def test_order_of_keys_does_not_matter():
    assert canonical_json({"b": 1, "a": {"d": 2, "c": 3}}) == b'{"a":{"c":3,"d":2},"b":1}'


def test_nan_is_refused():
    with pytest.raises(ValueError):
        canonical_json({"a": float("nan")})


def test_runtime_fields_are_left_out_and_defaults_are_not():
    recipe = toystages.resolved(train={"workers": 8}).recipe
    assert stage_config(recipe, TRAIN) == {"train": {"epochs": 3, "comment": ""}}
    assert stage_config(recipe, SPLIT) == {"data": {"rows": 4}}


def test_changed_default_changes_the_fingerprint():
    class Train(Section):
        epochs: int = 3
        comment: str = "new default"

    class Recipe(Section):
        train: Train = Train()

    now = stage_config(Recipe(), TRAIN)
    assert now != stage_config(toystages.resolved().recipe, TRAIN)


def test_a_stage_sees_its_own_sections_only():
    config = visible_config(toystages.resolved().recipe, TRAIN)
    assert config.train.epochs == 3
    with pytest.raises(AttributeError, match="may not see `score`"):
        config.score  # noqa: B018
    assert pickle.loads(pickle.dumps(config)).train.epochs == 3

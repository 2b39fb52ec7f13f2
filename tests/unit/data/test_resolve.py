"""The data section: cards, roots, known-class rules, and hints that name the exact command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ncdcli.data.kinds import DataConfig
from ncdcli.data.resolve import data_identity, default_root, ensure_data, input_identity, load_card, resolve_data
from ncdcli.errors import MissingError, RecipeError
from ncdcli.shipped import shipped_cards


def config(**fields) -> DataConfig:
    return DataConfig.model_validate_json(json.dumps(fields))


def test_the_root_is_the_recipes_else_the_environments_else_the_cache(monkeypatch, tmp_path):
    assert resolve_data(config(card="digits", root=str(tmp_path))).root == tmp_path
    monkeypatch.setenv("NCD_DATA", "/some/where")
    assert resolve_data(config(card="digits")).root == Path("/some/where")
    monkeypatch.delenv("NCD_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert default_root() == Path("/cache/ncd/data")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_root() == Path.home() / ".cache" / "ncd" / "data"


def test_known_classes_come_from_the_recipe_a_named_split_or_the_card():
    assert resolve_data(config(card="cifar100")).known_classes == 80
    assert resolve_data(config(card="cifar100", known_classes="50-50")).known_classes == 50
    assert resolve_data(config(card="cifar100", known_classes=7)).known_classes == 7
    assert len(resolve_data(config(card="stanfordcars")).known_classes) == 98
    assert resolve_data(config(card="letter")).known_classes[:3] == ("B", "C", "E")


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({}, "give either `card` or `source`", "`ncd data list`"),
        ({"card": "digits", "source": {"kind": "sklearn_digits"}}, "give either `card` or `source`", ""),
        ({"card": "cifar100", "known_classes": "80-2"}, "no named split is called `80-2`", "did you mean `80-20`?"),
        ({"source": {"kind": "sklearn_digits"}, "known_classes": "7"}, "no named split is called `7`", "[7]"),
    ],
)
def test_what_does_not_resolve_is_refused(fields, message, hint):
    with pytest.raises(RecipeError) as raised:
        resolve_data(config(**fields))
    assert message in str(raised.value)
    assert hint in str(raised.value)


def test_a_card_may_be_a_file(tmp_path):
    text = shipped_cards()["digits"].read_text().replace("name: digits", "name: mine")
    (tmp_path / "card.yaml").write_text(text)
    assert load_card(str(tmp_path / "card.yaml")).name == "mine"
    with pytest.raises(MissingError, match="no dataset card is named `digts`") as raised:
        load_card("digts")
    assert "did you mean `digits`" in raised.value.hint
    with pytest.raises(MissingError, match=r"gone\.yaml"):
        load_card(str(tmp_path / "gone.yaml"))


def test_missing_data_name_the_command_or_the_cards_word(tmp_path, monkeypatch):
    with pytest.raises(MissingError) as raised:
        ensure_data(config(card="cifar100", root=str(tmp_path)))
    assert "`--download`" in raised.value.hint
    assert f"`ncd data check cifar100 --download --root {tmp_path}`" in raised.value.hint
    monkeypatch.setenv("NCD_DATA", str(tmp_path))
    for name in ("cifar100", "har"):
        with pytest.raises(MissingError) as raised:
            ensure_data(config(card=name))
        assert f"`ncd data check {name} --download`" in raised.value.hint
    with pytest.raises(MissingError) as raised:
        data_identity(config(card="cub200", root=str(tmp_path)))
    assert f"`tar -xzf CUB_200_2011.tgz -C {tmp_path}`" in raised.value.hint


def test_a_missing_package_names_its_install_command(monkeypatch):
    monkeypatch.setattr("ncdcli.data.packaged.find_spec", lambda name: None)
    with pytest.raises(MissingError) as raised:
        ensure_data(config(card="mnist5k"), download=True)
    assert raised.value.hint == "`pip install 'ncd-cli[mnist5k]'`"


def test_the_identity_follows_the_known_classes_of_the_card_and_holds_no_path(tmp_path):
    identities = []
    for known in (5, 6):
        text = shipped_cards()["digits"].read_text().replace("known_classes: 5", f"known_classes: {known}")
        (tmp_path / f"card{known}.yaml").write_text(text)
        identities.append(data_identity(config(card=str(tmp_path / f"card{known}.yaml"))))
    assert identities[0] != identities[1]
    assert str(tmp_path) not in json.dumps(identities)


def test_moved_data_are_the_same_data(tmp_path):
    tables = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.csv").write_text("x,k\n1,a\n2,b\n3,\n")
        tables.append(config(source={"kind": "table", "train": str(tmp_path / name / "t.csv"), "label": "k"}))
    assert data_identity(tables[0]) == data_identity(tables[1])
    assert input_identity(tables[0]) == input_identity(tables[1])


def test_where_labels_are_is_not_part_of_the_inputs_identity(tmp_path):
    (tmp_path / "t.csv").write_text("x,k,t\n1,a,a\n2,b,b\n3,,c\n")
    source = {"kind": "table", "train": str(tmp_path / "t.csv"), "label": "k", "drop": ["t"]}
    scored = {**source, "drop": ["t"], "truth": "t"}
    assert input_identity(config(source=source)) == input_identity(config(source=scored))
    assert data_identity(config(source=source)) != data_identity(config(source=scored))

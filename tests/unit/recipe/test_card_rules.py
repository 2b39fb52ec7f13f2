"""What a card says of downloads goes together; faults are told with their place."""

from __future__ import annotations

import json

import pytest
import yaml

from ncdcli.data.resolve import load_card
from ncdcli.errors import RecipeError
from ncdcli.shipped import shipped_cards


def faults_of_card(tmp_path, name: str, change) -> str:
    """The faults of a shipped card with a change, without the lines of the file."""
    content = yaml.safe_load(shipped_cards()[name].read_text("utf-8"))
    change(content)
    (tmp_path / "card.yaml").write_text(json.dumps(content, indent=1), "utf-8")
    with pytest.raises(RecipeError) as raised:
        load_card(str(tmp_path / "card.yaml"))
    return "\n".join(f"{problem.place} {problem.message} {problem.hint}" for problem in raised.value.problems)


def at(content: dict, path: str) -> dict:
    for step in path.split("."):
        content = content[step]
    return content


@pytest.mark.parametrize(
    ("path", "key", "value", "place", "message"),
    [
        ("", "source", {"kind": "sklearn_digits"}, "download", "only a `table` is"),
        ("source", "test", None, "download.test", "`test` is in the `download` only"),
        ("download", "test", None, "download.test", "`test` is in the `source` only"),
        ("download", "url", "har.zip", "download.url", "`har.zip` is no address of a file"),
        ("download", "url", ["ftp://a/b"], "download.url[0]", "`ftp://a/b` is no address of a file"),
        ("download", "sha256", {"x.txt": "0" * 64}, "download.sha256.x.txt", "nothing that is downloaded is called"),
        ("download", "sha256", {"har.zip": "0" * 63}, "download.sha256.har.zip", ""),
        ("download.train", "rows", [5, 5], "download.train.rows", "expected [from, to) with from < to, found [5, 5]"),
        ("download.train", "class_rows", [1, 2], "download.train.class_rows", "2 numbers for 6 classes"),
        ("download.test", "class_rows", [1] * 6, "download.test.class_rows", "6 rows in all, where the card has 2947"),
        ("download.train", "member", ["a"], "download.train.member", "did you mean"),
        ("source", "label", None, "download.train", "the source has no `label`"),
    ],
)
def test_faults_of_a_download_have_their_place(path, key, value, place, message, tmp_path):
    def change(content):
        target = at(content, path) if path else content
        if value is None:
            del target[key]
        else:
            target[key] = value

    faults = faults_of_card(tmp_path, "har", change)
    assert place in faults
    assert message in faults

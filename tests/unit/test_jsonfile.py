import math

import pytest

from ncdcli.jsonfile import json_text, write_json


def test_text_is_indented_readable_and_ends_its_last_line(tmp_path):
    write_json(tmp_path / "a.json", {"é": [1.0], "a": None})
    text = (tmp_path / "a.json").read_bytes().decode()
    assert text == '{\n  "é": [\n    1.0\n  ],\n  "a": null\n}\n'
    assert json_text({"b": 1, "a": 2}, sort_keys=True) == '{\n  "a": 2,\n  "b": 1\n}\n'


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_json_does_not_have_is_refused(value):
    with pytest.raises(ValueError):
        json_text({"x": value})

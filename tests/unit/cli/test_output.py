"""Tables, numbers and JSON as they reach stdout."""

import csv
import io
import json
import math

import pytest

from ncdcli.cli.output import csv_table, markdown_table, percent, print_json, print_table, seconds

DURATIONS = {
    0.04: "0.0 s",
    9.94: "9.9 s",
    9.96: "10 s",
    59.4: "59 s",
    59.6: "1 min 00 s",
    185: "3 min 05 s",
    7800: "2 h 10 min",
    None: "–",
}


@pytest.mark.parametrize(("value", "text"), DURATIONS.items())
def test_durations_read_well(value: float | None, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.73149, "73.1"), (1.0, "100.0"), (None, "–"), (math.nan, "–")])
def test_fractions_are_shown_in_percent(value: float | None, text: str) -> None:
    assert percent(value) == text


def test_json_is_one_object_without_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.nan, "b": [1.5, math.inf], "c": {"d": "±"}})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"a": None, "b": [1.5, None], "c": {"d": "±"}}
    assert "NaN" not in printed


def test_a_table_in_a_pipe_keeps_long_cells_whole(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 60
    print_table(("name", "value"), [("a [b]", long.strip())])
    printed = capsys.readouterr().out
    assert long.strip() in printed
    assert "a [b]" in printed
    assert "\x1b" not in printed


def test_markdown_escapes_bars() -> None:
    assert markdown_table(("a", "b"), [("x|y", "1")]) == "| a | b |\n|---|---|\n| x\\|y | 1 |"


def test_csv_reads_back() -> None:
    text = csv_table(("a", "b"), [("x,y", 0.1), ('"', "")])
    assert list(csv.reader(io.StringIO(text))) == [["a", "b"], ["x,y", "0.1"], ['"', ""]]

"""Progress where stderr is no terminal, and on one."""

import io
import re

import pytest

from ncdcli.cli.progress import BarProgress, LineProgress, open_progress
from ncdcli.pipeline.context import SilentProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines_of(
    ticks: list[tuple[int, dict[str, float]]], total: int | None, *, second_per_tick: float = 2.0
) -> list[str]:
    file, now = io.StringIO(), 0.0
    with LineProgress(file, clock=lambda: now).track("training", total) as tick:
        for advance, values in ticks:
            now += second_per_tick
            tick(advance, **values)
    return file.getvalue().splitlines()


def test_one_line_at_each_tenth_with_the_time_left() -> None:
    lines = lines_of([(1, {"loss": 0.5})] * 200, 200)
    assert [line.split("%")[0].split()[-1] for line in lines] == [str(tenth) for tenth in range(10, 101, 10)]
    assert lines[4] == "  training:  50 % (100 of 200), loss 0.5, 3 min 20 s left"
    assert lines[9] == "  training: 100 % (200 of 200), loss 0.5, 6 min 40 s"


def test_values_that_come_between_steps_are_kept() -> None:
    lines = lines_of([(1, {}), (0, {"loss": 2.0, "lr": 1e-3}), (0, {"loss": 1.5}), (9, {})], 10)
    assert lines == [
        "  training:  10 % (1 of 10), 18 s left",
        "  training: 100 % (10 of 10), loss 1.5, lr 0.001, 8.0 s",
    ]


def test_a_long_step_passes_several_tenths_in_one_line() -> None:
    assert [line.split("%")[0].split()[-1] for line in lines_of([(7, {}), (3, {})], 10)] == ["70", "100"]


def test_what_is_over_within_a_second_says_nothing() -> None:
    assert lines_of([(1, {})] * 10, 10, second_per_tick=0.09) == []


@pytest.mark.parametrize("total", [None, 0])
def test_an_unknown_or_empty_total_prints_nothing(total: int | None) -> None:
    assert lines_of([(1, {})], total) == []


def test_bars_show_values_and_nest() -> None:
    file = Terminal()
    progress = BarProgress(file)
    with progress.track("outer", 2) as outer:
        with progress.track("inner", 3) as inner:
            inner(3, loss=0.25)
        outer(1)
        progress.note("a note [with brackets]")
    with progress.track("again", 1) as tick:
        tick()
    assert "a note [with brackets]" in file.getvalue()
    assert "again" in file.getvalue()


def test_the_reporter_suits_where_stderr_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(open_progress(file=io.StringIO()), LineProgress)
    assert isinstance(open_progress(file=Terminal()), BarProgress)
    assert isinstance(open_progress(quiet=True, file=Terminal()), SilentProgress)


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing sets a colour: the codes 30 to 49 and 90 to 107 of a terminal."""

    def shown() -> list[str]:
        file = Terminal()
        with BarProgress(file).track("training", 2) as tick:
            tick(1, loss=0.5)
        return re.findall(r"\x1b\[(?:\d+;)*(?:[34]\d|9\d|10[0-7])[\d;]*m", file.getvalue())

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown() == []


@pytest.mark.parametrize("terminal", [True, False])
def test_a_reader_that_went_away_stops_no_work(terminal: bool) -> None:
    class Gone(io.StringIO):
        def isatty(self) -> bool:
            return terminal

        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    progress = open_progress(file=Gone())
    progress.note("split: running")
    with progress.track("training", 10) as tick:
        tick(10)


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_progress(file=Terminal()), LineProgress)

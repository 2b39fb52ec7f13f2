"""Progress where stderr is no terminal, and on one."""

import io

from ncdcli.cli.progress import BarProgress, LineProgress, SilentProgress, open_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_one_line_at_each_tenth() -> None:
    file = io.StringIO()
    with LineProgress(file).track("training", 200) as tick:
        for _ in range(200):
            tick(loss=0.5)
    lines = file.getvalue().splitlines()
    assert [line.split("%")[0].split()[-1] for line in lines] == [str(tenth) for tenth in range(10, 101, 10)]
    assert all("loss 0.5" in line for line in lines)
    assert lines[4].startswith("  training:  50 % (100 of 200), loss 0.5, ")
    assert lines[4].endswith(" left")


def test_a_long_step_passes_several_tenths_in_one_line() -> None:
    file = io.StringIO()
    with LineProgress(file).track("reading", 10) as tick:
        tick(7)
        tick(3)
    assert [line.split("(")[1].split(")")[0] for line in file.getvalue().splitlines()] == ["7 of 10", "10 of 10"]


def test_an_unknown_or_empty_total_prints_nothing() -> None:
    file = io.StringIO()
    for total in (None, 0):
        with LineProgress(file).track("searching", total) as tick:
            tick()
    assert file.getvalue() == ""


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


def test_the_reporter_suits_where_stderr_goes() -> None:
    assert isinstance(open_progress(file=io.StringIO()), LineProgress)
    assert isinstance(open_progress(file=Terminal()), BarProgress)
    assert isinstance(open_progress(quiet=True, file=Terminal()), SilentProgress)

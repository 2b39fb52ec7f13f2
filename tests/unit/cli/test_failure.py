"""What a person, or a program, reads when a command fails."""

import errno
import json
from pathlib import Path

import pytest

from ncdcli.cli.failure import report
from ncdcli.cli.session import Session
from ncdcli.errors import (
    DataError,
    Interrupted,
    MissingError,
    NcdError,
    Problem,
    RecipeError,
    RequirementError,
    RunBusyError,
    UsageError,
)

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NcdError("x"), 1),
        (UsageError("x"), 2),
        (RecipeError("x"), 3),
        (DataError("x"), 3),
        (MissingError("x"), 4),
        (RunBusyError("x"), 5),
        (RequirementError("x"), 6),
        (Interrupted("x"), 130),
        (Interrupted("x", exit_code=143), 143),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert report(error, Session()) == code


def test_every_problem_of_a_recipe_is_printed_before_the_hint(capsys: Capture) -> None:
    problems = [
        Problem("not a number", place="a.yaml:3:7: seed", source_line="seed: x"),
        Problem("unknown key", place="a.yaml:4:1: sed", hint="did you mean `seed`?"),
    ]
    report(RecipeError("2 problems in a.yaml", problems, hint="ncd recipes schema"), Session())
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "error: 2 problems in a.yaml",
        "a.yaml:3:7: seed: not a number",
        "    seed: x",
        "a.yaml:4:1: sed: unknown key",
        "  hint: did you mean `seed`?",
        "hint: ncd recipes schema",
    ]


@pytest.mark.parametrize("error", [RunBusyError("in use"), Interrupted("interrupted"), ValueError("a fault of ours")])
def test_the_last_line_is_the_command_that_goes_on(error: Exception, tmp_path: Path, capsys: Capture) -> None:
    session = Session(run=tmp_path, arguments=["run", "my recipe.yaml", "--restart", "--set", "seed=1"])
    report(error, session)
    assert capsys.readouterr().err.splitlines()[-1] == "to go on: ncd run 'my recipe.yaml' --set seed=1"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a/b.csv"), "`a/b.csv`: permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "a"), "`a`: read-only file system"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a/b"), "`a/b`: not a directory"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 300), f"`{'a' * 50}…{'a' * 30}`: file name too long"),
        (OSError(errno.EIO, "Input/output error", "a"), "`a`: input/output error"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), "the disk is full: could not write `a`"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
    ],
)
def test_what_the_system_refuses_is_told_in_plain_words(
    error: OSError, message: str, tmp_path: Path, capsys: Capture
) -> None:
    assert report(error, Session(run=tmp_path, arguments=["runs"])) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"error: {message}"
    hints = {
        errno.EACCES: ["hint: change who may read and write it (`ls -l` shows it), or name another place"],
        errno.ENOSPC: ["hint: free some space, or write elsewhere"],
    }
    hints |= {errno.EROFS: hints[errno.EACCES], errno.EDQUOT: hints[errno.ENOSPC]}
    assert lines[1:-2] == hints.get(error.errno or 0, [])
    assert lines[-2] == f"log: {tmp_path / 'ncd.log'}"
    assert str(error) in (tmp_path / "ncd.log").read_text()


def test_hint_log_and_command_are_each_printed_once(tmp_path: Path, capsys: Capture) -> None:
    error = NcdError("stage `embed` failed: ValueError: x", hint="lower the batch size")
    error.log, error.resume = tmp_path / "ncd.log", "ncd run digits-gcd"
    report(error, Session(run=tmp_path, arguments=["run", "digits-gcd", "--restart"]))
    assert capsys.readouterr().err.splitlines() == [
        "error: stage `embed` failed: ValueError: x",
        "hint: lower the batch size",
        f"log: {tmp_path / 'ncd.log'}",
        "to go on: ncd run digits-gcd",
    ]


def test_json_tells_the_log_and_the_command_that_goes_on(tmp_path: Path, capsys: Capture) -> None:
    error = NcdError("x")
    error.log, error.resume = tmp_path / "ncd.log", "ncd run y"
    report(error, Session(json=True))
    answer = json.loads(capsys.readouterr().out)["error"]
    assert (answer["log"], answer["resume"]) == (str(tmp_path / "ncd.log"), "ncd run y")


def test_a_fault_that_no_log_can_take_is_told_in_full(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ncd.log").mkdir()  # cannot be written

    def no_folder() -> str:
        raise FileNotFoundError("no usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", no_folder)
    assert report(ValueError("broken"), Session(run=tmp_path, arguments=["run", "x"])) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "ValueError: broken" in lines
    assert lines[-2:] == ["error: unexpected fault: ValueError: broken", "to go on: ncd run x"]


@pytest.mark.parametrize(
    "error",
    [
        UsageError("x"), RecipeError("x"), MissingError("x"), RequirementError("x"),
        NcdError("cannot write", hint="choose another `--run`"),
    ],
)  # fmt: skip
def test_no_command_is_offered_that_would_fail_the_same_way(error: NcdError, tmp_path: Path, capsys: Capture) -> None:
    report(error, Session(run=tmp_path, arguments=["run", "x"]))
    assert "to go on" not in capsys.readouterr().err


def test_a_fault_of_ours_is_one_line_and_a_log(tmp_path: Path, capsys: Capture) -> None:
    try:
        raise ValueError("broken\nin two lines")
    except ValueError as error:
        code = report(error, Session(run=tmp_path, arguments=["run", "x"]))
    assert code == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: unexpected fault: ValueError: broken",
        f"log: {tmp_path / 'ncd.log'}",
        "to go on: ncd run x",
    ]
    assert "Traceback" in (tmp_path / "ncd.log").read_text()


def test_a_fault_without_a_run_is_logged_in_the_temporary_folder(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    report(ValueError("broken"), Session(arguments=["status"]))
    log = Path(capsys.readouterr().err.splitlines()[-1].removeprefix("log: "))
    assert log.parent == tmp_path
    assert "ncd status" in log.read_text()


def test_tracebacks_are_shown_on_request(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCD_DEBUG", "1")
    try:
        raise NcdError("on purpose")
    except NcdError as error:
        report(error, Session())
    assert "Traceback" in capsys.readouterr().err


def test_json_puts_one_error_object_on_stdout(capsys: Capture) -> None:
    problem = Problem("unknown key", place="a.yaml:4:1: sed", source_line="sed: 1", hint="did you mean `seed`?")
    report(RecipeError("1 problem", [problem], hint="h"), Session(json=True))
    assert json.loads(capsys.readouterr().out) == {
        "error": {
            "kind": "RecipeError",
            "message": "1 problem",
            "hint": "h",
            "exit_code": 3,
            "problems": [
                {"message": "unknown key", "place": "a.yaml:4:1: sed", "line": "sed: 1", "hint": "did you mean `seed`?"}
            ],
        }
    }


def test_json_that_was_answered_is_not_followed_by_another_object(capsys: Capture) -> None:
    session = Session(json=True)
    session.answer({"metrics": {}})
    report(RequirementError("missed"), session)
    assert json.loads(capsys.readouterr().out) == {"metrics": {}}

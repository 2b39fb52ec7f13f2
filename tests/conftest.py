"""What tests of several packages share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run_ncd(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Ended]:
    """`run_ncd("data", "list")`: a command in this process, in the empty folder `tmp_path`, without any data set."""
    from ncdcli.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NCD_DATA", str(tmp_path / "data"))

    def call(*words: str) -> Ended:
        with pytest.raises(SystemExit) as end:
            main(list(words))
        printed = capsys.readouterr()
        return Ended(int(end.value.code or 0), printed.out, printed.err)

    return call

"""How a command ends that Ctrl-C has struck outside of any stage."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from ncdcli.cli import main
from ncdcli.pipeline.signals import Stopped, raise_stopped


def strike(**_: Any) -> None:
    raise_stopped(signal.SIGINT, None)


def strike_within_a_library(**_: Any) -> None:
    """As pydantic does it when it builds a validator."""
    try:
        strike()
    except KeyboardInterrupt as error:
        raise ValueError("the validator cannot be built") from error


@pytest.mark.parametrize("struck", [strike, strike_within_a_library])
def test_ctrl_c_is_told_as_such_wherever_it_strikes(
    struck: Callable[..., None], run_ncd: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stopped, "raised", False)
    monkeypatch.setattr(main, "COMMAND", type("Command", (), {"main": staticmethod(struck)}))
    ended = run_ncd("runs")
    assert (ended.code, ended.out, ended.err) == (130, "", "error: interrupted\n")

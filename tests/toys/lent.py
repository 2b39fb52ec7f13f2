"""A process to be forked that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ncdcli.sweep.forks import Server


class Lent:
    """A server that whoever starts one gets, and cannot end."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __call__(self, modules: Sequence[str], *, threads: int | None) -> Lent:
        return self

    def close(self) -> None:
        """Nothing: others go on with it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

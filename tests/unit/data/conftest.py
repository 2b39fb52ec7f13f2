"""What tests of data share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from toydownload import Server, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on this machine that downloads come from."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("ncdcli.data.fetch.RETRIES", 0)
    with serving() as server:
        monkeypatch.setenv("NCD_DATA_MIRROR", server.url)
        yield server

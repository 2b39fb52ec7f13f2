import pytest

from ncdcli.pipeline.context import SilentProgress


class Recorder(SilentProgress):
    """Progress that keeps what it was told."""

    def __init__(self):
        self.notes = []
        super().__init__(self.notes.append)


@pytest.fixture
def recorder():
    return Recorder()

import pytest

from ncdcli.pipeline.context import SilentProgress


@pytest.fixture
def silent():
    return SilentProgress()

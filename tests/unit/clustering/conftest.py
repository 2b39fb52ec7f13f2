import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ncdcli.clustering import loops, nearest, plain
from ncdcli.clustering.threads import threads_for
from ncdcli.pipeline.context import SilentProgress


@pytest.fixture
def silent():
    return SilentProgress()


@pytest.fixture
def in_numpy(monkeypatch):
    """The inner loops of NumPy, as where nothing was compiled."""
    for name in loops.__all__:
        monkeypatch.setattr(loops, name, getattr(plain, name))


@pytest.fixture(params=["narrow", "narrow in NumPy", "bounds", "bounds in threads"])
def way(request, monkeypatch):
    """How `Nearest` finds centres, whatever would be the quickest for the rows of a test."""
    if request.param == "narrow in NumPy":
        request.getfixturevalue("in_numpy")
    if request.param.startswith("narrow"):
        monkeypatch.setattr(nearest, "_CHEAP", np.inf)
        yield request.param
        return
    for name, value in {"_CHEAP": 0, "_SMALL": 0, "_DEAR": 0, "_MANY": 1}.items():
        monkeypatch.setattr(nearest, name, value)
    if request.param == "bounds":
        yield request.param
        return
    monkeypatch.setattr(nearest, "_PARTS", 1)
    with threadpool_limits(2, user_api="blas"), threads_for(10**12, 10):
        yield request.param

"""Imported by the process that is forked for runs: what makes these quick, and saves as often as can be.

At the usual distance of seconds the runs of tests, as short as they are, would write none. Processes that a run starts
are forks as well: those of a training, and the one that a sweep or a search would have forked.
"""

from functools import partial

import pytest
import quickstart
import warm
from PIL import Image

from ncdcli.data.kinds import DataConfig
from ncdcli.data.resolve import open_source
from ncdcli.reports import page
from ncdcli.sweep import forks
from ncdcli.training import loop
from ncdcli.training.checkpoint import Log

loop.Log = partial(Log, seconds=0.0)  # type: ignore[misc,assignment]  # tests wait for a second line
loop.SAVE_SECONDS, loop.SAVE_SECONDS_WITHIN, loop.SAVE_SHARE, loop.CHECK_BATCHES = 1e-6, 1e-6, 1.0, 2
Image.init()
open_source(DataConfig(card="digits")).listing()
for name in page._environment().list_templates(extensions=["html"]):
    page._environment().get_template(name)
quickstart.train_in(pytest.MonkeyPatch())
forks.Server = warm.Server

"""Imported by the process that is forked for runs: a checkpoint as often as can be, and what all reports would load.

At the usual distance of seconds the runs of tests, as short as they are, would write none.
"""

from PIL import Image

from ncdcli.reports import page
from ncdcli.training import loop

loop.SAVE_SECONDS, loop.SAVE_SECONDS_WITHIN, loop.SAVE_SHARE, loop.CHECK_BATCHES = 1e-6, 1e-6, 1.0, 2
Image.init()
page._environment().get_template("report.html")

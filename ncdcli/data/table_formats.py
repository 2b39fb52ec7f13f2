"""Formats of dates, as recipes write them."""

from __future__ import annotations

import re

ISO = "iso"  # all of ISO 8601
DIRECTIVES = ("%Y", "%y", "%m", "%d", "%b", "%B", "%a", "%A", "%j", "%H", "%I", "%p", "%M", "%S", "%f", "%z", "%%")


def format_fault(form: str) -> str:
    """What is wrong with a format of dates, or ""."""
    if form == ISO:
        return ""
    unknown = [mark for mark in re.findall("%.?", form) if mark not in DIRECTIVES]
    if unknown:
        return f"`{unknown[0]}` is no part of a date"
    if not any(year in form for year in ("%Y", "%y")):
        return f"`{form}` has no year: expected `iso`, or a format with %Y or %y, %m and %d"
    return ""

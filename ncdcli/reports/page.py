"""One HTML file from templates: escaped everywhere, with styles, script and images inside, and nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ncdcli.reports.features import column_text, feature_text, short
from ncdcli.words import duration

FOLDER = "page"


def render(template: str, *, scripts: tuple[str, ...] = (), **content: Any) -> str:
    """The page. `scripts` are names of files in `page/`; no other script can run in the page, and nothing is loaded:
    its policy says so to the browser, should a name ever slip through unescaped."""
    code = "\n".join(_read(name) for name in scripts)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return _environment().get_template(template).render(
        style=Markup(_read("page.css")), script=Markup(code), script_digest=digest, **content
    )  # fmt: skip


def as_json(content: Any) -> Markup:
    """JSON that may stand in a script element: no `<`, and none of the line ends that JavaScript knows and JSON not."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def breakable(path: str) -> Markup:
    """A dotted path that may be broken at its dots."""
    return Markup(".<wbr>").join(path.split("."))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ncdcli.reports", FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"json": as_json, "duration": duration, "short": short, "breakable": breakable}
    environment.filters |= {"feature": feature_text, "column": column_text}
    return environment


def _read(name: str) -> str:
    return (files("ncdcli.reports") / FOLDER / name).read_text("utf-8")

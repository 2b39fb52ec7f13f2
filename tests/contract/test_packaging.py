"""What the wheel is made of."""

import re
from pathlib import Path

import ncdcli

ROOT = Path(__file__).parents[2]


def test_every_package_of_the_code_is_in_the_wheel():
    listed = re.search(
        r"^packages = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert listed is not None
    top = Path(ncdcli.__file__).parent
    found = {".".join(path.parent.relative_to(top.parent).parts) for path in top.rglob("__init__.py")}
    assert found <= set(re.findall(r'"([\w.]+)"', listed[1]))

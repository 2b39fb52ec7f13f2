"""A stage whose code changed has another version, or somebody has said that its output is the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ncdcli.pipeline.spec import STAGES

SCRIPT = Path(__file__).parents[2] / "scripts" / "record_stage_hashes.py"
HOW = (
    "raise the stage's `version` in ncdcli/pipeline/spec.py and run `python scripts/record_stage_hashes.py`; "
    "or run it with `--same-output` if every byte that the stage writes stays the same"
)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("record_stage_hashes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("stage", [spec.name for spec in STAGES])
def test_code_and_version_are_those_recorded(script, stage):
    assert script.current()[stage] == script.recorded().get(stage), f"stage `{stage}`: {HOW}"


BASE = 'def run(context, config):\n    "Doc."\n    return f"{context!r:>4}", 1\n'


def test_layout_comments_and_docstrings_do_not_count(script):
    other = (
        '"""Module."""\n# why\ndef run(\n    context, config\n):\n    """Else."""\n    return (f"{context!r:>4}", 1)\n'
    )
    assert script.code_hash(other) == script.code_hash(BASE)


@pytest.mark.parametrize(
    ("old", "new"),
    [("1\n", "2\n"), ("1\n", "1.0\n"), ("!r", "!s"), ("config", "other"), (">4", "<4"), ("return", "yield")],
)
def test_code_counts(script, old, new):
    assert script.code_hash(BASE.replace(old, new)) != script.code_hash(BASE)


def test_hash_is_the_same_in_every_python_version(script):
    """Pinned: the same from Python 3.9 to 3.13; `ast.dump` would differ between 3.12 and 3.13."""
    assert script.code_hash(BASE) == "d7a9ce35b45242bc7c9c46d7c27001f76965c39de39119f6cb03f3260ae8a066"


def test_changed_code_under_an_old_version_is_told(script):
    before = {"split": {"version": 1, "hash": "a"}, "embed": {"version": 1, "hash": "b"}}
    now = {
        "split": {"version": 2, "hash": "c"},
        "embed": {"version": 1, "hash": "d"},
        "new": {"version": 1, "hash": "e"},
    }
    assert script.changed_without_version(before, now) == ["embed"]

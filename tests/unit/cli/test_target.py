"""What RECIPE or RUN stands for, and what is suggested for a misspelt one."""

from pathlib import Path

import pytest

from ncdcli.cli.target import find_run, resolve_target
from ncdcli.errors import MissingError, UsageError
from ncdcli.recipe.resolve import load_recipe
from ncdcli.run.folder import RunFolder

RECIPE = """\
version: 1
name: mine
data: {card: digits}
backbone: {kind: identity}
pretrain: {objective: {kind: none}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(RECIPE)
    return tmp_path


def make_run(path: str, *overrides: str) -> None:
    RunFolder(path).create(load_recipe("mine.yaml", overrides), "ncd run mine.yaml")


def test_a_shipped_recipe_runs_in_a_folder_of_its_name() -> None:
    resolved, run = resolve_target("digits-gcd")
    assert resolved.recipe.name == "digits-gcd"
    assert run.path == Path("runs/digits-gcd")


def test_the_seed_is_part_of_the_folder() -> None:
    _, run = resolve_target("mine.yaml", overrides=["seed=3"])
    assert run.path == Path("runs/mine-seed3")


def test_the_run_option_names_the_folder() -> None:
    _, run = resolve_target("mine.yaml", run=Path("elsewhere/x"))
    assert run.path == Path("elsewhere/x")


def test_a_run_folder_brings_its_recipe_and_keeps_the_source_file() -> None:
    make_run("runs/mine", "seed=5")
    for target in ("runs/mine", "mine", "runs/mine/"):
        resolved, run = resolve_target(target, overrides=["pretrain.epochs=7"])
        assert (resolved.recipe.seed, resolved.recipe.pretrain.epochs) == (5, 7)
        assert resolved.source_text == RECIPE.encode()
        assert run.path == Path("runs/mine")


def test_a_run_cannot_be_moved_by_an_option() -> None:
    make_run("runs/mine")
    with pytest.raises(UsageError, match="is a run already"):
        resolve_target("runs/mine", run=Path("runs/other"))


def test_a_shipped_name_is_the_recipe_also_where_a_run_has_it() -> None:
    make_run("runs/digits-gcd", "seed=9")
    resolved, run = resolve_target("digits-gcd")
    assert resolved.recipe.seed == 0
    assert run.path == Path("runs/digits-gcd")


@pytest.mark.parametrize(("target", "near"), [("digts-gcd", "digits-gcd"), ("mien", "mine")])
def test_a_misspelt_name_is_answered_with_what_is_near(target: str, near: str) -> None:
    make_run("runs/mine")
    with pytest.raises(MissingError, match=f"did you mean `{near}`"):
        resolve_target(target)


def test_a_folder_that_is_no_run_is_named_as_such() -> None:
    Path("data").mkdir()
    with pytest.raises(MissingError, match="is a folder but not a run"):
        resolve_target("data")


def test_a_run_is_found_by_path_name_or_recipe() -> None:
    make_run("runs/mine")
    for target in ("runs/mine", "mine", "mine.yaml"):
        assert find_run(target).path == Path("runs/mine")


def test_a_recipe_that_has_not_been_run_says_how() -> None:
    with pytest.raises(MissingError) as caught:
        find_run("digits-gcd")
    assert caught.value.hint == "ncd run digits-gcd"


def test_an_unknown_run_lists_what_is_near() -> None:
    make_run("runs/mine")
    with pytest.raises(MissingError, match="did you mean `mine`"):
        find_run("runs/mone")

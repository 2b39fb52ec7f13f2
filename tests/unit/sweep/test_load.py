from __future__ import annotations

from pathlib import Path

import pytest

from ncdcli.errors import MissingError, RecipeError, UsageError
from ncdcli.recipe.resolve import load_recipe
from ncdcli.shipped import shipped_recipes, shipped_sweeps
from ncdcli.sweep.load import Sweep, is_sweep, load_sweep


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str, *overrides: str, root: Path | None = None) -> Sweep:
    Path("mine.yaml").write_text(text)
    return load_sweep("mine.yaml", overrides, root=root)


def problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(RecipeError) as error:
        load(text)
    return [(problem.place, problem.message) for problem in error.value.problems]


class TestRuns:
    def test_every_combination_is_a_run_with_a_name_that_says_which(self) -> None:
        sweep = load("recipe: digits-gcd-raw\nseeds: 2\ngrid:\n  cluster.restarts: [1, 2]\n  embed.normalize: [true]\n")

        assert sweep.root == Path("runs/mine")
        assert [run.name for run in sweep.runs] == [
            f"cluster.restarts={restarts},embed.normalize=true,seed={seed}" for restarts in (1, 2) for seed in (0, 1)
        ]
        assert [(run.recipe.cluster.restarts, run.recipe.seed) for run in sweep.runs] == [
            (1, 0),
            (1, 1),
            (2, 0),
            (2, 1),
        ]  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        "grid", ["cluster.kind: [ward]", "estimate_k: [{kind: fixed, k: 10}]", "data.root: [../x]"]
    )
    def test_the_command_line_of_a_run_gives_its_recipe(self, grid: str) -> None:
        Path("sub").mkdir()
        Path("sub/s.yaml").write_text(f"recipe: digits-gcd\nseeds: [3]\ngrid:\n  pretrain.epochs: [7]\n  {grid}\n")

        run = load_sweep("sub/s.yaml", ["embed.normalize=false"]).runs[0]
        assert load_recipe(run.reference, run.overrides).recipe == run.recipe
        assert (run.recipe.seed, run.recipe.embed.normalize) == (3, False)

    def test_a_kind_in_the_grid_keeps_the_fields_that_the_grid_sets_beside_it(self) -> None:
        grid = "grid:\n  cluster.restarts: [7]\n  cluster.kind: [kmeans, semi_kmeans]\n"

        runs = load(f"recipe: digits-gcd-raw\n{grid}").runs
        clusters = [run.recipe.cluster for run in runs]
        assert clusters == [load_recipe(run.reference, run.overrides).recipe.cluster for run in runs]
        assert [(cluster.kind, cluster.restarts) for cluster in clusters] == [("kmeans", 7), ("semi_kmeans", 7)]  # type: ignore[union-attr]

    def test_the_same_recipe_is_run_once(self) -> None:
        sweep = load(
            "recipe: digits-gcd-raw\nseeds: [1, 1]\ngrid: {cluster.restarts: [3, 3.0, 4]}\n".replace("3.0", "3")
        )

        assert [run.name for run in sweep.runs] == ["cluster.restarts=3,seed=1", "cluster.restarts=4,seed=1"]

    def test_several_recipes_are_a_field_of_the_grid(self) -> None:
        Path("own.yaml").write_text("extends: digits-ncd-raw\nname: own\n")

        sweep = load(
            "recipe: [digits-gcd-raw, own.yaml]\nseeds: [4]\ngrid: {cluster.restarts: [1, 2]}\n", "embed.normalize=true"
        )
        assert sweep.fields == ("recipe", "cluster.restarts")
        assert [run.name for run in sweep.runs][::3] == [
            "recipe=digits-gcd-raw,cluster.restarts=1,seed=4", "recipe=own.yaml,cluster.restarts=2,seed=4",
        ]  # fmt: skip
        assert [run.recipe.name for run in sweep.runs] == ["digits-gcd-raw", "digits-gcd-raw", "own", "own"]
        assert [load_recipe(run.reference, run.overrides).recipe for run in sweep.runs] == [
            run.recipe for run in sweep.runs
        ]
        assert all(run.recipe.embed.normalize for run in sweep.runs)

    def test_a_value_that_is_the_default_and_one_left_out_are_the_same_recipe(self) -> None:
        sweep = load("recipe: digits-gcd-raw\ngrid: {cluster: [{kind: kmeans}, {kind: kmeans, restarts: 10}]}\n")
        default = load_recipe("digits-gcd-raw", ["cluster={kind: kmeans}"]).recipe.cluster.restarts  # type: ignore[union-attr]

        assert default == 10
        assert len(sweep.runs) == 1
        assert list(sweep.duplicates.values()) == [sweep.runs[0].name]

    def test_without_seeds_the_recipe_s_own_is_taken(self) -> None:
        Path("child.yaml").write_text("extends: digits-gcd-raw\nname: child\nseed: 5\n")

        assert [run.name for run in load("recipe: child.yaml\n").runs] == ["seed=5"]

    def test_names_of_maps_and_long_values_differ_and_can_be_folders(self) -> None:
        values = [f"{{kind: max_acc, low: {low}, high: 30}}" for low in range(5, 9)]
        sweep = load(f"recipe: digits-gcd-raw\ngrid: {{estimate_k: [{', '.join(values)}]}}\n")

        names = [run.name for run in sweep.runs]
        assert len(set(names)) == 4
        assert all("/" not in name and " " not in name and len(name) < 200 for name in names)
        assert names[0].startswith("estimate_k=kind-max_acc-low-5-high-30-")

    def test_runs_and_root_say_where(self) -> None:
        Path("sub").mkdir()
        Path("sub/s.yaml").write_text("recipe: digits-gcd-raw\nruns: out\n")

        assert load_sweep("sub/s.yaml").root == Path("sub/out")
        assert load_sweep("sub/s.yaml", root=Path("else")).root == Path("else")


class TestProblems:
    def test_a_value_is_refused_at_its_place_in_the_sweep_once(self) -> None:
        text = "recipe: digits-gcd-raw\nseeds: 3\ngrid:\n  cluster.restarts: [1, many]\n  pretrain.epoch: [1, 2]\n"

        found = problems(text)
        assert [place for place, _ in found] == ["mine.yaml:4:25: cluster.restarts", "mine.yaml:5:3: pretrain.epoch"]

    def test_an_unknown_sweep_is_missing_with_the_names_there_are(self) -> None:
        with pytest.raises(MissingError) as error:
            load_sweep("digits-kind")
        assert "digits-kinds" in error.value.hint

    def test_an_override_must_be_one(self) -> None:
        with pytest.raises(UsageError):
            load("recipe: digits-gcd-raw\n", "restarts")


class TestShipped:
    @pytest.mark.parametrize("name", shipped_sweeps())
    def test_every_shipped_sweep_is_valid(self, name: str) -> None:
        assert is_sweep(name)
        assert len(load_sweep(name).runs) > 1

    def test_sweeps_are_not_among_the_recipes(self) -> None:
        assert not set(shipped_sweeps()) & set(shipped_recipes())
        assert not any(map(is_sweep, shipped_recipes()))

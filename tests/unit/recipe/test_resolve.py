from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncdcli.errors import MissingError, RecipeError, UsageError
from ncdcli.recipe.dump import to_yaml
from ncdcli.recipe.resolve import ResolvedRecipe, load_recipe, recipe_schema
from ncdcli.recipe.schema import Recipe
from ncdcli.recipe.source import load_tree, validate
from ncdcli.shipped import shipped_cards, shipped_recipes, shipped_sweeps

BASE = """
name: base
data: {card: digits, known_classes: ["0", "1", "2"]}
backbone: {kind: small_cnn, widths: [8, 16]}
pretrain:
  epochs: 3
  optimizer: {kind: sgd, lr: 0.1, momentum: 0.5}
estimate_k: {kind: fixed, k: 10}
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    return path


def child(base: Path, text: str) -> ResolvedRecipe:
    path = base.parent / "child.yaml"
    path.write_text(f"extends: base.yaml\nname: child\n{text}")
    return load_recipe(str(path))


class TestExtends:
    def test_maps_merge_and_lists_replace(self, base: Path) -> None:
        recipe = child(base, 'data: {known_classes: ["5", "6"], labelled_fraction: 0.2}\npretrain: {epochs: 9}').recipe

        assert recipe.data.card == "digits"
        assert recipe.data.known_classes == ("5", "6")
        assert recipe.data.labelled_fraction == 0.2
        assert recipe.pretrain.epochs == 9
        assert recipe.pretrain.optimizer.lr == 0.1

    def test_another_kind_replaces_the_whole_map(self, base: Path) -> None:
        recipe = child(base, "estimate_k: {kind: max_acc}\npretrain: {optimizer: {kind: adamw}}").recipe

        assert recipe.estimate_k.kind == "max_acc"
        assert recipe.pretrain.optimizer.lr == 1e-3  # the default, not the 0.1 that was meant for sgd
        assert recipe.pretrain.epochs == 3

    def test_the_same_kind_merges(self, base: Path) -> None:
        optimizer = child(base, "pretrain: {optimizer: {kind: sgd, lr: 0.3}}").recipe.pretrain.optimizer

        assert (optimizer.lr, optimizer.momentum) == (0.3, 0.5)

    def test_goes_through_several_generations(self, base: Path) -> None:
        child(base, "seed: 4")
        grandchild = base.parent / "grandchild.yaml"
        grandchild.write_text("extends: child.yaml\nname: grandchild\npretrain: {epochs: 1}\n")

        recipe = load_recipe(str(grandchild)).recipe
        assert (recipe.name, recipe.seed, recipe.pretrain.epochs) == ("grandchild", 4, 1)
        assert recipe.pretrain.optimizer.momentum == 0.5

    def test_keeps_the_users_bytes(self, base: Path) -> None:
        resolved = child(base, "seed: 1  # mine\n")

        assert resolved.path is not None
        assert resolved.source_text == resolved.path.read_bytes()
        assert b"# mine" in resolved.source_text


class TestOverrides:
    def test_values_are_yaml(self, base: Path) -> None:
        recipe = load_recipe(
            str(base), ["seed=7", "pretrain.optimizer.lr=1e-5", "data.known_classes=['3', '4']", "data.subset="]
        ).recipe

        assert recipe.seed == 7
        assert recipe.pretrain.optimizer.lr == 1e-5
        assert recipe.data.known_classes == ("3", "4")
        assert recipe.data.subset is None

    def test_the_last_one_counts(self, base: Path) -> None:
        assert load_recipe(str(base), ["seed=1", "seed=2"]).recipe.seed == 2

    def test_cures_a_fault_of_the_file(self, base: Path) -> None:
        base.write_text(BASE + "seed: many\n")

        assert load_recipe(str(base), ["seed=1"]).recipe.seed == 1

    @pytest.mark.parametrize("order", [1, -1])
    def test_another_kind_drops_the_old_fields_and_keeps_the_new(self, base: Path, order: int) -> None:
        overrides = ["pretrain.optimizer.kind=adamw", "pretrain.optimizer.weight_decay=0.5"][::order]

        optimizer = load_recipe(str(base), overrides).recipe.pretrain.optimizer
        assert (optimizer.kind, optimizer.weight_decay, optimizer.lr) == ("adamw", 0.5, 1e-3)

    def test_a_section_left_out_keeps_its_default_kind(self, base: Path) -> None:
        cluster = load_recipe(str(base), ["cluster.restarts=3"]).recipe.cluster

        assert (cluster.kind, cluster.restarts) == ("semi_gmm", 3)

    def test_a_whole_section_can_be_set(self, base: Path) -> None:
        assert load_recipe(str(base), ["estimate_k={kind: fixed, k: 7}"]).recipe.estimate_k.k == 7

    @pytest.mark.parametrize("override", ["seed", "=1", "pretrain.=1", ".seed=1"])
    def test_without_key_or_value_is_wrong_usage(self, base: Path, override: str) -> None:
        with pytest.raises(UsageError):
            load_recipe(str(base), [override])


class TestPaths:
    SOURCE = "name: mine\nbackbone: {kind: mlp}\ndata:\n  root: ../sets\n"

    def test_start_at_the_file_they_are_written_in(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "recipes").mkdir()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        text = (
            self.SOURCE + "  source: {kind: table, train: rows.csv, test: ~/more.csv, label: last, truth: rows.csv}\n"
        )
        Path("recipes/mine.yaml").write_text(text)

        data = load_recipe("recipes/mine.yaml").recipe.data
        assert data.root == str(tmp_path / "sets")
        assert data.source.train == str(tmp_path / "recipes" / "rows.csv")
        assert data.source.test == str(tmp_path / "home" / "more.csv")
        assert data.source.truth == "rows.csv"  # the truth of a table is a column

    def test_of_overrides_start_at_the_current_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "recipes").mkdir()
        monkeypatch.chdir(tmp_path)
        Path("recipes/mine.yaml").write_text(self.SOURCE + "  source: {kind: table, train: rows.csv}\n")

        data = load_recipe("recipes/mine.yaml", ["data.source.train=other.csv"]).recipe.data
        assert data.source.train == str(tmp_path / "other.csv")

    def test_of_a_parent_start_at_the_parent(self, tmp_path: Path) -> None:
        (tmp_path / "base").mkdir()
        (tmp_path / "base" / "parent.yaml").write_text(self.SOURCE + "  source: {kind: table, train: rows.csv}\n")
        (tmp_path / "mine.yaml").write_text("extends: base/parent.yaml\nname: mine\n")

        data = load_recipe(str(tmp_path / "mine.yaml")).recipe.data
        assert data.source.train == str(tmp_path / "base" / "rows.csv")
        assert data.root == str(tmp_path / "sets")

    def test_names_are_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        text = "name: mine\ndata: {card: digits}\nbackbone: {kind: timm, name: resnet18, weights: "
        path.write_text(text + "hub}\n")
        assert load_recipe(str(path)).recipe.backbone.weights == "hub"
        path.write_text(text + "w.pth}\n")
        assert load_recipe(str(path)).recipe.backbone.weights == str(tmp_path / "w.pth")


class TestReference:
    def test_a_file_goes_before_a_shipped_recipe(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert load_recipe("digits-gcd").recipe.name == "digits-gcd"
        Path("digits-gcd").write_text(BASE)
        assert load_recipe("digits-gcd").recipe.name == "base"

    def test_an_unknown_one_is_missing(self) -> None:
        with pytest.raises(MissingError) as caught:
            load_recipe("digits-gdc")
        assert caught.value.hint == "did you mean `digits-gpc`, `digits-gcd` or `digits-dtc`?"


@pytest.mark.usefixtures("yaml_in_c")
class TestShipped:
    @pytest.mark.parametrize("name", shipped_recipes())
    def test_recipes_are_valid_say_what_they_are_for_and_are_read_back_as_written(
        self, name: str, tmp_path: Path
    ) -> None:
        resolved = load_recipe(name)

        assert resolved.recipe.name == name
        text = resolved.source_text.decode()
        assert text.startswith("# ")
        assert f"ncd run {name}" in text
        path = tmp_path / "recipe.yaml"
        path.write_text(resolved.to_yaml(), "utf-8")
        assert load_recipe(str(path)).recipe == resolved.recipe

    def test_names_are_unique(self) -> None:
        files = {path.stem for path in [*shipped_recipes().values(), *shipped_sweeps().values()]}
        folder = next(iter(shipped_recipes().values())).parent.parent
        assert len(files) == len(list(folder.rglob("*.yaml")))

    def test_cards_are_found(self) -> None:
        assert "digits" in shipped_cards()


class TestToYaml:
    @settings(deadline=None, max_examples=50)
    @given(
        description=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        known=st.lists(st.from_regex(r"[-+0-9_.:eEoxnfA ]{1,8}", fullmatch=True), min_size=2, max_size=4, unique=True),
        lr=st.floats(min_value=1e-300, max_value=1e300),
    )
    def test_any_text_and_number_survives(
        self, description: str, known: list[str], lr: float, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        recipe = Recipe.model_validate(
            {
                "name": "mine",
                "description": description,
                "data": {"source": {"kind": "sklearn_digits"}, "known_classes": tuple(known)},
                "backbone": {"kind": "small_cnn"},
                "pretrain": {"optimizer": {"lr": lr}},
            }
        )
        path = tmp_path_factory.mktemp("dump") / "recipe.yaml"
        path.write_text(to_yaml(recipe), "utf-8")

        assert validate(load_tree(path), Recipe) == recipe


def test_schema_knows_sections_kinds_and_extends() -> None:
    schema = recipe_schema()

    assert set(Recipe.model_fields) | {"extends"} == set(schema["properties"])
    assert {"timm", "mlp"} <= set(schema["properties"]["backbone"]["discriminator"]["mapping"])
    assert schema["additionalProperties"] is False


def test_problems_of_parent_child_and_overrides_are_told_together(base: Path) -> None:
    base.write_text(BASE + "embed: {normalise: true}\n")

    path = base.parent / "child.yaml"
    path.write_text("extends: base.yaml\nname: child\nseed: -1\n")

    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path), ["cluster.kind=kmean"])

    places = [problem.place.rpartition("/")[2] for problem in caught.value.problems]
    assert places == [
        "base.yaml:9:9: embed.normalise",
        "child.yaml:3:7: seed",
        "--set cluster.kind=kmean: cluster.kind",
    ]

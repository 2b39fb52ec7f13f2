"""Adding a kind takes one class and one row in its family's `kinds.py`, one file, one recipe and one test: no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field

import ncdcli
from ncdcli.clustering import kinds as clustering
from ncdcli.counting import kinds as counting
from ncdcli.data import kinds as data
from ncdcli.data.resolve import data_identity, input_identity, load_card, open_source
from ncdcli.errors import MissingError
from ncdcli.joint import kinds as joint
from ncdcli.models import kinds as models
from ncdcli.models.backbone import InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.objectives import kinds as objectives
from ncdcli.pipeline.context import Resources
from ncdcli.pipeline.preflight import check_prerequisites
from ncdcli.recipe.base import Package, import_kind
from ncdcli.recipe.resolve import load_recipe
from ncdcli.recipe.rules import faults_of
from ncdcli.recipe.schema import Recipe
from ncdcli.recipe.shape import kinds_of, models_of
from ncdcli.shipped import shipped_cards

# family -> its registry, its union of sections, kinds that need no code
FAMILIES = {
    "source": (data.KINDS, data.Source, set()),
    "backbone": (models.KINDS, models.BackboneConfig, set()),
    "objective": (objectives.KINDS, objectives.ObjectiveConfig, {"none"}),  # the backbone is used as it comes
    "method": (joint.KINDS, joint.JointConfig, set()),
    "estimate_k": (counting.KINDS, counting.CountingConfig, set()),
    "cluster": (clustering.KINDS, clustering.ClusterConfig, set()),
}
ROWS = [(family, kind) for family, (registry, _, _) in FAMILIES.items() for kind in registry]


def sections(*roots: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """All sections that can be written below these, each once."""
    waiting, seen = list(roots), set()
    while waiting:
        model = waiting.pop()
        if model not in seen:
            seen.add(model)
            yield model
            waiting += [child for info in model.model_fields.values() for child in models_of(info.annotation)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_registry_holds_the_kinds_that_a_recipe_may_name(family: str) -> None:
    registry, union, without_code = FAMILIES[family]
    assert set(registry) | without_code == set(kinds_of(union))
    assert without_code.isdisjoint(registry)


@pytest.mark.parametrize(("family", "kind"), ROWS)
def test_every_row_can_be_imported(family: str, kind: str) -> None:
    assert callable(import_kind(FAMILIES[family][0], kind))


@pytest.mark.parametrize("model", list(sections(Recipe, data.Card)), ids=lambda model: model.__name__)
def test_every_section_and_field_says_what_it_is(model: type[BaseModel]) -> None:
    text = (model.__doc__ or "").strip()
    assert re.match(r"[A-Z0-9k].{10,}?[.:)]", text, re.DOTALL), f"no first sentence: {text[:80]!r}"
    without = [
        name
        for name, info in model.model_fields.items()
        if not info.description and name != "kind" and not models_of(info.annotation)
    ]
    assert without == []


@pytest.mark.parametrize("name", shipped_cards())
def test_a_card_has_the_modality_of_its_source(name: str) -> None:
    card = load_card(name)
    assert card.modality == card.source.modality


def test_class_variables_have_a_type() -> None:
    """Python 3.10 cannot evaluate `ClassVar` alone where annotations are strings, and pydantic evaluates them."""
    bare = re.compile(r"^ +\w+: ClassVar( =|$)", re.MULTILINE)
    package = Path(ncdcli.__file__).parent
    assert [path.name for path in sorted(package.rglob("*.py")) if bare.search(path.read_text("utf-8"))] == []


def test_label_fields_are_fields() -> None:
    for section in kinds_of(data.Source).values():
        assert set(section.label_fields) <= set(section.model_fields)


class ToyBackbone(models.BackboneSection):
    """The sum of the columns."""

    reads: ClassVar[tuple[str, ...]] = ("tables",)
    trainable: ClassVar[bool] = False
    package: ClassVar[Package] = Package("a_package_that_is_not_there", "pip install toy")
    dim: ClassVar[int] = 1

    kind: Literal["toy"] = "toy"


def build_toy(config: ToyBackbone, inputs: InputSpec, *, pretrained: bool = True) -> Any:
    return config, inputs.shape


def test_a_backbone_takes_one_class_and_one_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rules, checks before a run and building know the toy by its section and its row."""
    monkeypatch.setitem(models.KINDS, "toy", f"{__name__}:build_toy")
    toy = ToyBackbone()
    table = data.DataConfig(source=data.Table(train="x.csv"), known_classes=2)
    train = objectives.PretrainConfig()
    faults = faults_of({"data": table, "backbone": toy, "pretrain": train}, Recipe)
    assert [fault[1] for fault in faults] == ["backbone `toy` has nothing that `cross_entropy` could train"]
    faults = faults_of({"data": data.DataConfig(card="digits"), "backbone": toy}, Recipe)
    assert [fault[1] for fault in faults] == ["backbone `toy` reads tables, the data are images"]
    recipe = load_recipe("digits-gcd").recipe.model_copy(update={"backbone": toy})
    with pytest.raises(MissingError, match="backbone `toy` needs the package `a_package_that_is_not_there`") as caught:
        check_prerequisites(recipe, tmp_path, stages=["pretrain"], resources=Resources())
    assert caught.value.hint == "pip install toy"
    assert build_backbone(toy, InputSpec("tables", (4,))) == (toy, (4,))


class ToySource(data.SourceSection):
    """Rows that are made up."""

    modality: ClassVar[str] = "tables"
    label_fields: ClassVar[tuple[str, ...]] = ("answer",)

    kind: Literal["toy"] = "toy"
    rows: int = Field(3, description="how many")
    answer: str = Field("yes", description="the label of every row")


class ToyReader:
    """What the pipeline asks of a source before it reads anything."""

    def __init__(self, config: ToySource, root: Path) -> None:
        self.config = config

    def identity(self, *, content: bool, labels: bool = True) -> str:
        return f"{np.arange(self.config.rows).sum()}" + (self.config.answer if labels else "")


def test_a_source_takes_one_class_and_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(data.KINDS, "toy", f"{__name__}:ToyReader")
    one, other = (data.DataConfig.model_construct(source=ToySource(answer=answer)) for answer in ("yes", "no"))
    assert isinstance(open_source(one), ToyReader)
    assert input_identity(one) == input_identity(other)
    assert data_identity(one) != data_identity(other)
    identity = models.Identity()
    assert list(faults_of({"data": one, "backbone": identity}, Recipe)) == []
    faults = faults_of({"data": one, "backbone": models.SmallCnn()}, Recipe)
    assert [fault[1] for fault in faults] == ["backbone `small_cnn` reads images, the data are tables"]

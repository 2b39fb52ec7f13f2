"""What a dataset card says of `--download`: where files are, how its tables are made of them, what is checked."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field

from ncdcli.recipe.base import Section

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Rows = tuple[int, int]


class PreparedTable(Section):
    """How one table of the source is made, from top to bottom, and what must hold of it.

    A member is a file that was downloaded, or one in an archive or in an archive in that; it is named by the end of its
    path, and `.gz` may be left out. Its rows are lines of cells, or the entries of one of MNIST's idx files. Empty
    lines are passed over, and so are lines before the first row that start with `@`. Where the source has
    `header: true` or names its label, the first row of a member names the columns.
    """

    members: tuple[str, ...] = Field(min_length=1, description="files whose rows follow one another")
    beside: tuple[str, ...] = Field((), description="files of as many rows, whose columns stand on the right")
    separator: Literal["auto", "comma", "tab", "semicolon", "pipe", "space"] = Field(
        "auto", description="between cells of the members; auto: comma where the first row has one, else blanks"
    )
    class_every: int | None = Field(
        None, ge=1, description="adds a last column, the class: 0 in the first so many rows, 1 in the next, …"
    )
    first_column_last: bool = Field(False, description="the first column, the label, goes to the end")
    rows: Rows | None = Field(None, description="keep the rows [from, to)")
    rows_of_each_class: Rows | None = Field(None, description="keep of each class the rows [from, to)")
    columns: int = Field(ge=2, description="checked: number of columns of the table, label included")
    class_rows: tuple[int, ...] | None = Field(
        None, description="checked: rows of each class, in the order of `class_names`"
    )
    rows_sha256: Sha256 | None = Field(
        None, description="checked: digest of the rows, whatever their order and however numbers are written"
    )


class Download(Section):
    """What `--download` does for a table that torchvision does not know."""

    url: str | tuple[str, ...] = Field(description="the file to download, or several; $NCD_DATA_MIRROR may have copies")
    sha256: dict[str, Sha256] = Field(
        default_factory=dict,
        description="checked: of downloaded files, by their names, or of members",
    )
    train: PreparedTable = Field(description="how the source's `train` is made")
    test: PreparedTable | None = Field(None, description="how the source's `test` is made")

    @property
    def urls(self) -> tuple[str, ...]:
        """All addresses."""
        return (self.url,) if isinstance(self.url, str) else self.url

    def tables(self) -> dict[str, PreparedTable]:
        """Field of the source -> how its file is made."""
        return {"train": self.train} | ({"test": self.test} if self.test is not None else {})


def file_name(url: str) -> str:
    """What a downloaded file is called: the last part of its address."""
    return unquote(urlsplit(url).path).rpartition("/")[2]


def checks_of(download: Download, field: str) -> list[str]:
    """What is checked of a table, in words, the strongest first."""
    table = download.tables()[field]
    named = [name for name in (*table.members, *table.beside) if name in download.sha256]
    whole = [name for name in map(file_name, download.urls) if name in download.sha256 and name not in named]
    found = [f"sha256 of `{name}`" for name in (*whole, *named)]
    if table.rows_sha256 is not None:
        found.append("digest of the rows")
    return [*found, "rows of each class" if table.class_rows is not None else "rows and classes", "columns"]

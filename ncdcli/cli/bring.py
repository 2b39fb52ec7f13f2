"""What `--download` does in the commands that run stages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ncdcli.cli.session import Session

if TYPE_CHECKING:
    from ncdcli.data.kinds import DataConfig


def bring_data(sections: Iterable[DataConfig], session: Session) -> None:
    """Bring the data of each `data` section, once each, unless they are here. MissingError where that cannot be."""
    from ncdcli.cli.progress import open_progress
    from ncdcli.data.resolve import ensure_data

    for data in {section.model_dump_json(): section for section in sections}.values():
        ensure_data(data, download=True, progress=open_progress(quiet=session.quiet))

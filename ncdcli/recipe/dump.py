"""A recipe as YAML: in the order of the schema, readable, and read back as the same recipe."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel

from ncdcli.recipe.base import added_later
from ncdcli.recipe.scalars import needs_quotes

LONGEST_FLOW = 70  # characters of a map that is written on one line


class _Dumper(yaml.SafeDumper):
    """Writes plain only what YAML 1.1 and 1.2 both read as the same text, and never an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    unusual = any(not (letter.isprintable() or letter == "\n") for letter in value)
    style = '"' if unusual or needs_quotes(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _map(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.MappingNode:
    """On one line where it is short and holds plain values, as a block otherwise."""
    node = dumper.represent_mapping("tag:yaml.org,2002:map", value.items())
    leaves = [part for pair in node.value for part in pair]
    short = all(isinstance(part, yaml.ScalarNode) for part in leaves)
    node.flow_style = short and sum(len(part.value) + 2 for part in leaves) <= LONGEST_FLOW
    return node


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _map)
_Dumper.add_representer(list, _list)


def to_yaml(model: BaseModel) -> str:
    """The YAML of a recipe or card with every default filled in: sections as blocks, short ones on a line.

    Sections that came later, and that a recipe does not have, are left out.
    """
    content = model.model_dump(mode="json", exclude=added_later(model))
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)

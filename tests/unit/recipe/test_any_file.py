from __future__ import annotations

import random
from pathlib import Path

from ncdcli.errors import RecipeError
from ncdcli.recipe.resolve import load_recipe
from ncdcli.shipped import shipped_recipes

PIECES = (
    "{", "}", "[", "]", ": ", "- ", "\n", "\t", " ", "'", '"', "&a ", "*a", "!!str ", "|", "> ", "? ", "%", "@", "null",
    "1e400", "-1", "{kind: x}", "<<: ", "---\n", "...\n", "\x00", "\ud800", "\u2028", "#", ",", "\\",
)  # fmt: skip


def damaged(text: str, rng: random.Random) -> str:
    """The text with a piece put in, some letters left out, or two lines exchanged."""
    at = rng.randrange(len(text))
    choice = rng.randrange(3)
    if choice == 0:
        return text[:at] + rng.choice(PIECES) + text[at:]
    if choice == 1:
        return text[:at] + text[at + rng.randrange(1, 12) :]
    lines = text.split("\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def test_any_damaged_file_is_a_recipe_or_a_list_of_problems_with_places(tmp_path: Path) -> None:
    rng = random.Random(0)
    texts = [
        "\n".join(line for line in path.read_text("utf-8").split("\n") if not line.startswith("#"))
        for path in shipped_recipes().values()
    ]
    path = tmp_path / "recipe.yaml"
    errors: list[RecipeError] = []
    for _ in range(100):
        text = rng.choice(texts)
        for _ in range(rng.randrange(1, 4)):
            text = damaged(text, rng)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            load_recipe(str(path))
        except RecipeError as error:
            errors.append(error)
    assert len(errors) > 75
    assert all(error.problems for error in errors)
    assert all(problem.place and problem.message for error in errors for problem in error.problems)

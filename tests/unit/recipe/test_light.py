from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pandas",
    "sklearn",
    "faiss",
    "matplotlib",
    "timm",
    "lightning_fabric",
)


def test_loading_a_recipe_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ncdcli.recipe.resolve import load_recipe; load_recipe('digits-gcd');"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

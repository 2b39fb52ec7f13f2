"""The inner loops of clustering: compiled where ncd was installed beside a C compiler, else NumPy's.

NumPy takes a few microseconds for every call, and as long for the place of the least of few numbers as for the product
that they are: with few or narrow rows that is most of what k-means takes. What each does is written in
`ncdcli.clustering.plain`; sums are the same to the last bit, distances but for the rounding of float32.
"""

from ncdcli.clustering.plain import STEP, follow, moments, nearest, pack, tally, two_least

try:
    from ncdcli.clustering._loops import (  # type: ignore[no-redef]
        STEP,
        follow,
        moments,
        nearest,
        pack,
        tally,
        two_least,
    )

    WHY_NOT = ""
except ImportError as error:
    WHY_NOT = str(error)

COMPILED = not WHY_NOT
__all__ = ["STEP", "follow", "moments", "nearest", "pack", "tally", "two_least"]

"""The inner loops of clustering: compiled where ncd was installed beside a C compiler, else NumPy's.

NumPy takes a few microseconds for every call, and as long for the place of the least of few numbers as for the product
that they are: with few or narrow rows that is most of what k-means takes. What each does is written in
`ncdcli.clustering.plain`; sums are the same to the last bit, distances but for the rounding of float32.
"""

try:
    from ncdcli.clustering._loops import STEP, follow, moments, nearest, pack, tally, two_least

    COMPILED, WHY_NOT = True, ""
except ImportError as error:
    from ncdcli.clustering.plain import STEP, follow, moments, nearest, pack, tally, two_least

    COMPILED, WHY_NOT = False, str(error)

LOOPS = ("STEP", "follow", "moments", "nearest", "pack", "tally", "two_least")
__all__ = ["COMPILED", "LOOPS", "STEP", "WHY_NOT", "follow", "moments", "nearest", "pack", "tally", "two_least"]

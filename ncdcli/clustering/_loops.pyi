import numpy as np
from numpy.typing import NDArray

STEP: int

def pack(rows: NDArray[np.float32]) -> NDArray[np.float32]: ...
def nearest(
    packed: NDArray[np.float32], centres: NDArray[np.float64], labels: NDArray[np.int64], first: int, last: int
) -> None: ...
def two_least(
    products: NDArray[np.float32],
    lengths: NDArray[np.float32],
    places: NDArray[np.int64],
    least: NDArray[np.float32],
    second: NDArray[np.float32] | None,
) -> None: ...
def tally(
    before: NDArray[np.int64], after: NDArray[np.int64], counts: NDArray[np.int64], moved: NDArray[np.int64]
) -> None: ...
def follow(
    rows: NDArray[np.float32],
    before: NDArray[np.int64] | None,
    after: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None: ...
def moments(rows: NDArray[np.float32], out: NDArray[np.float64]) -> None: ...

# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""What `ncdcli.clustering.plain` computes, compiled: arrays are checked here, and run through in `_loops.h`."""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

import numpy as np

cdef extern from "_loops.h" nogil:
    enum:
        ROWS
    bint PROCESSOR_FITS
    void pack_of(const float *rows, int64_t n, int64_t d, float *panels)
    void slopes_of(const double *centres, int64_t k, int64_t d, float *slopes, float *lengths)
    void nearest_of(
        const float *panels, int64_t d, const float *slopes, const float *lengths, int64_t k,
        int64_t first, int64_t last, int64_t *labels,
    )
    void two_least_of(
        const float *rows, int64_t n, int64_t k, const float *lengths, int64_t *labels, float *least, float *second
    )
    int64_t tally_of(const int64_t *before, const int64_t *after, int64_t n, int64_t k, int64_t *counts)
    int follow_of(
        const float *rows, int64_t n, int64_t d, const int64_t *before, const int64_t *after, int64_t k, double *sums,
    )
    void moments_of(const float *rows, int64_t n, int64_t d, double *sums, double *squares)

if not PROCESSOR_FITS:
    raise ImportError("compiled for processors with AVX2 and FMA")

STEP = ROWS


def pack(const float[:, ::1] rows):
    cdef Py_ssize_t n = rows.shape[0], d = rows.shape[1]
    out = np.empty((-(-n // ROWS), d, ROWS), np.float32)
    cdef float[:, :, ::1] panels = out
    if n * d:
        with nogil:
            pack_of(&rows[0, 0], n, d, &panels[0, 0, 0])
    return out


def nearest(
    const float[:, :, ::1] packed,
    const double[:, :, ::1] centres,
    int64_t[:, ::1] labels,
    Py_ssize_t first,
    Py_ssize_t last,
):
    cdef Py_ssize_t r = centres.shape[0], k = centres.shape[1], d = centres.shape[2], run
    if packed.shape[1] != d or packed.shape[2] != ROWS or labels.shape[0] != r or k == 0:
        raise ValueError("rows, centres and labels do not fit")
    if first < 0 or first % ROWS or last > labels.shape[1] or last > packed.shape[0] * ROWS:
        raise ValueError("rows must begin with a panel and be among those that there are")
    if r == 0 or first >= last:
        return
    cdef float *slopes = <float *> malloc(sizeof(float) * r * k * (d + 1))
    if not slopes:
        raise MemoryError()
    cdef float *lengths = slopes + r * k * d
    with nogil:
        slopes_of(&centres[0, 0, 0], r * k, d, slopes, lengths)
        for run in range(r):
            nearest_of(
                &packed[0, 0, 0], d, slopes + run * k * d, lengths + run * k, k, first, last, &labels[run, 0]
            )
        free(slopes)


def two_least(
    const float[:, ::1] products, const float[::1] lengths, int64_t[::1] places, float[::1] least, float[::1] second
):
    cdef Py_ssize_t n = products.shape[0], k = products.shape[1]
    cdef float *other = NULL
    if lengths.shape[0] != k or places.shape[0] != n or least.shape[0] != n or k == 0:
        raise ValueError("products, lengths and places do not fit")
    if second is not None and second.shape[0] != n:
        raise ValueError("products, lengths and places do not fit")
    if n == 0:
        return
    with nogil:
        if second is not None:
            other = &second[0]
        two_least_of(&products[0, 0], n, k, &lengths[0], &places[0], &least[0], other)


def tally(const int64_t[:, ::1] before, const int64_t[:, ::1] after, int64_t[:, ::1] counts, int64_t[::1] moved):
    cdef Py_ssize_t r = after.shape[0], n = after.shape[1], k = counts.shape[1], run
    cdef int64_t found = 0
    if before.shape[0] != r or before.shape[1] != n or counts.shape[0] != r or moved.shape[0] != r:
        raise ValueError("the arrays are not of the same runs and rows")
    if r * n == 0:
        return
    if k == 0:
        raise IndexError("a cluster is none of the k")
    with nogil:
        for run in range(r):
            found = tally_of(&before[run, 0], &after[run, 0], n, k, &counts[run, 0])
            if found < 0:
                break
            moved[run] = found
    if found < 0:
        raise IndexError("a cluster is none of the k")


def follow(
    const float[:, ::1] rows, const int64_t[:, ::1] before, const int64_t[:, ::1] after, double[:, :, ::1] sums
):
    cdef Py_ssize_t n = rows.shape[0], d = rows.shape[1], r = after.shape[0], k = sums.shape[1], run
    cdef const int64_t *past = NULL
    cdef int wrong = 0
    if after.shape[1] != n or sums.shape[0] != r or sums.shape[2] != d:
        raise ValueError("the arrays are not of the same runs, rows and columns")
    if before is not None and (before.shape[0] != r or before.shape[1] != n):
        raise ValueError("the arrays are not of the same runs, rows and columns")
    if r * n * d == 0:
        return
    if k == 0:
        raise IndexError("a cluster is none of the k")
    with nogil:
        for run in range(r):
            if before is not None:
                past = &before[run, 0]
            wrong |= follow_of(&rows[0, 0], n, d, past, &after[run, 0], k, &sums[run, 0, 0])
    if wrong:
        raise IndexError("a cluster is none of the k")


def moments(const float[:, ::1] rows, double[:, ::1] out):
    if out.shape[0] != 2 or out.shape[1] != rows.shape[1]:
        raise ValueError("the rows do not fit their moments")
    if rows.shape[0] * rows.shape[1] == 0:
        return
    with nogil:
        moments_of(&rows[0, 0], rows.shape[0], rows.shape[1], &out[0, 0], &out[1, 0])

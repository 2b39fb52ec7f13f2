/* What `ncdcli.clustering.plain` computes, in C. No array is empty here. */
#include <stdint.h>
#include <string.h>

#if !defined(__GNUC__) && !defined(__clang__)
#error "vectors of numbers are written as GCC and Clang have them"
#endif

#ifdef __x86_64__ /* Half of the speed is that of AVX2 and FMA, which processors have since 2013. */
#define FAST __attribute__((target("avx2,fma")))
#define PROCESSOR_FITS (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#else
#define FAST
#define PROCESSOR_FITS 1
#endif
#define UNROLLED _Pragma("GCC unroll 8")

/* Four vectors of rows times three centres: twelve sums that stay in registers while all columns pass. */
#define VECTORS 4
#define ROWS (8 * VECTORS)
#define CENTRES 3

typedef float numbers __attribute__((vector_size(32)));
typedef float loaded __attribute__((vector_size(32), aligned(4)));
typedef int32_t places __attribute__((vector_size(32)));

/* Panels of ROWS rows, each with its columns below each other; rows beyond the last are zeros. */
FAST static void pack_of(const float *rows, int64_t n, int64_t d, float *panels)
{
    for (int64_t first = 0; first < n; first += ROWS, panels += ROWS * d) {
        const int64_t count = n - first < ROWS ? n - first : ROWS;
        if (count < ROWS)
            memset(panels, 0, sizeof(float) * ROWS * d);
        for (int64_t c = 0; c < d; c++)
            for (int64_t i = 0; i < count; i++)
                panels[ROWS * c + i] = rows[(first + i) * d + c];
    }
}

/* Centres as the parts of |c|² - 2xc that they make: -2c into `slopes`, |c|² into `lengths`. */
FAST static void slopes_of(const double *centres, int64_t k, int64_t d, float *slopes, float *lengths)
{
    for (int64_t j = 0; j < k; j++) {
        double length = 0;
        for (int64_t c = 0; c < d; c++) {
            const float number = (float)centres[j * d + c];
            slopes[j * d + c] = -2 * number;
            length += (double)number * number;
        }
        lengths[j] = (float)length;
    }
}

/* Centres j … j + count - 1 against one panel; `count` is a constant where this is called. */
FAST static inline __attribute__((always_inline)) void compare(
    const float *panel, int64_t d, const float *slopes, const float *lengths, int32_t j, int count,
    numbers *least, places *place)
{
    numbers sum[CENTRES][VECTORS];
    UNROLLED for (int m = 0; m < count; m++)
        UNROLLED for (int v = 0; v < VECTORS; v++)
            sum[m][v] = (numbers){0} + lengths[j + m];
    for (int64_t c = 0; c < d; c++) {
        const loaded *column = (const loaded *)(panel + ROWS * c);
        UNROLLED for (int m = 0; m < count; m++)
            UNROLLED for (int v = 0; v < VECTORS; v++)
                sum[m][v] += slopes[(j + m) * d + c] * column[v];
    }
    UNROLLED for (int m = 0; m < count; m++)
        UNROLLED for (int v = 0; v < VECTORS; v++) {
            const places less = sum[m][v] < least[v];
            place[v] = (less & (j + m)) | (~less & place[v]);
            least[v] = (numbers)((less & (places)sum[m][v]) | (~less & (places)least[v]));
        }
}

/* The nearest of k centres to rows `first` … `last` - 1, of which the first begins a panel. */
FAST static void nearest_of(const float *panels, int64_t d, const float *slopes, const float *lengths, int64_t k,
                            int64_t first, int64_t last, int64_t *labels)
{
    for (int64_t row = first; row < last; row += ROWS) {
        const float *panel = panels + row * d;
        numbers least[VECTORS];
        places place[VECTORS];
        int32_t j = 0;
        UNROLLED for (int v = 0; v < VECTORS; v++) {
            least[v] = (numbers){0} + __builtin_inff();
            place[v] = (places){0};
        }
        for (; j + CENTRES <= k; j += CENTRES)
            compare(panel, d, slopes, lengths, j, CENTRES, least, place);
        for (; j < k; j++)
            compare(panel, d, slopes, lengths, j, 1, least, place);
        for (int64_t i = 0; i < ROWS && row + i < last; i++)
            labels[row + i] = place[i / 8][i % 8];
    }
}

/* Of each row of numbers, k of them, with `lengths` added: which is the least (the first of equal ones), it, and, if
 * asked for, the least of the others. Each lane of a vector has its own, until all numbers are seen. */
FAST static void two_least_of(const float *rows, int64_t n, int64_t k, const float *lengths, int64_t *labels,
                              float *least, float *second)
{
    for (int64_t i = 0; i < n; i++, rows += k) {
        numbers first = (numbers){0} + __builtin_inff(), next = first;
        places place = {0}, at = {0, 1, 2, 3, 4, 5, 6, 7};
        int64_t j = 0;
        for (; j + 8 <= k; j += 8, at += 8) {
            const numbers here = *(const loaded *)(rows + j) + *(const loaded *)(lengths + j);
            const places less = here < first;
            const numbers other = (numbers)((less & (places)first) | (~less & (places)here));
            const places lower = other < next;
            place = (less & at) | (~less & place);
            first = (numbers)((less & (places)here) | (~less & (places)first));
            next = (numbers)((lower & (places)other) | (~lower & (places)next));
        }
        float a = first[0], b = next[0];
        int64_t found = place[0];
        for (int v = 1; v < 8; v++) {
            const int wins = first[v] < a || (first[v] == a && place[v] < found);
            const float other = wins ? a : first[v];
            found = wins ? place[v] : found;
            a = wins ? first[v] : a;
            b = other < b ? other : b;
            b = next[v] < b ? next[v] : b;
        }
        for (; j < k; j++) {
            const float here = rows[j] + lengths[j], other = here < a ? a : here;
            found = here < a ? j : found;
            a = here < a ? here : a;
            b = other < b ? other : b;
        }
        labels[i] = found;
        least[i] = a;
        if (second)
            second[i] = b;
    }
}

/* The number of rows whose cluster is another one; -1 where a cluster is none of the k. */
static int64_t tally_of(const int64_t *before, const int64_t *after, int64_t n, int64_t k, int64_t *counts)
{
    int64_t moved = 0;
    for (int64_t i = 0; i < n; i++) {
        if (after[i] < 0 || after[i] >= k)
            return -1;
        counts[after[i]]++;
        moved += before[i] != after[i];
    }
    return moved;
}

/* 0; -1 where a cluster is none of the k. */
FAST static int follow_of(const float *rows, int64_t n, int64_t d, const int64_t *before, const int64_t *after,
                          int64_t k, double *sums)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t from = before ? before[i] : -1, to = after[i];
        if (from == to)
            continue;
        if (from < -1 || from >= k || to < 0 || to >= k)
            return -1;
        const float *row = rows + i * d;
        double *sum = sums + to * d;
        for (int64_t c = 0; c < d; c++)
            sum[c] += row[c];
        if (from < 0)
            continue;
        sum = sums + from * d;
        for (int64_t c = 0; c < d; c++)
            sum[c] -= row[c];
    }
    return 0;
}

FAST static void moments_of(const float *rows, int64_t n, int64_t d, double *sums, double *squares)
{
    for (int64_t i = 0; i < n; i++, rows += d)
        for (int64_t c = 0; c < d; c++) {
            const double number = rows[c];
            sums[c] += number;
            squares[c] += number * number;
        }
}

// Counters in log-linear steps; see histogram.h.
#include "storage/query/histogram.h"

#include <stdlib.h>

enum { STEP_BITS = 6 };

static uint32_t page_of(uint64_t value)
{
    return value < UT_HISTOGRAM_STEPS ? 0 : 64u - STEP_BITS - (uint32_t)__builtin_clzll(value);
}

ut_err ut_histogram_add(ut_histogram *histogram, uint64_t value)
{
    const uint32_t page = page_of(value);
    uint32_t *counters = histogram->pages[page];
    if (counters == NULL) {
        counters = calloc(UT_HISTOGRAM_STEPS, sizeof(*counters));
        if (counters == NULL)
            return UT_ENOMEM;
        histogram->pages[page] = counters;
    }
    // On page n > 0 the step is 2^(n - 1), and the bits above it are 64 to 127.
    uint32_t *counter = &counters[(page == 0 ? value : value >> (page - 1)) % UT_HISTOGRAM_STEPS];
    if (*counter < UINT32_MAX)
        (*counter)++;
    return UT_OK;
}

void ut_histogram_free(ut_histogram *histogram)
{
    for (uint32_t page = 0; page < UT_HISTOGRAM_PAGES; page++)
        free(histogram->pages[page]);
    *histogram = (ut_histogram){0};
}

static uint64_t total_of(const ut_histogram *histogram)
{
    uint64_t total = 0;
    for (uint32_t page = 0; page < UT_HISTOGRAM_PAGES; page++) {
        for (uint32_t i = 0; histogram->pages[page] != NULL && i < UT_HISTOGRAM_STEPS; i++)
            total += histogram->pages[page][i];
    }
    return total;
}

uint64_t ut_histogram_quantile(const ut_histogram *histogram, uint32_t parts, uint32_t whole)
{
    // Rounded up, in two parts: the counters may hold up to 2^44 together.
    const uint64_t total = total_of(histogram);
    uint64_t left = total / whole * parts + (total % whole * parts + whole - 1) / whole;
    for (uint32_t page = 0; page < UT_HISTOGRAM_PAGES; page++) {
        for (uint32_t i = 0; histogram->pages[page] != NULL && i < UT_HISTOGRAM_STEPS; i++) {
            const uint32_t count = histogram->pages[page][i];
            if (count == 0)
                continue;
            if (count >= left) {
                const uint64_t step = page == 0 ? 1 : UINT64_C(1) << (page - 1);
                const uint64_t first = page == 0 ? i : (UT_HISTOGRAM_STEPS + i) * step;
                return first + step / 2; // the middle
            }
            left -= count;
        }
    }
    return 0;
}

// Make this faster: counts, for every row of points, the pairs that are closer than a limit. The counts must stay.
#include "kernel.h"

static const int TILE = 1;    // points that are compared with all others before the next ones are
static const int STRIDE = 1;  // only every so-manieth point is compared with: faster, and wrong

void count_pairs(const float* x, const float* y, int points, float limit, int* counts) {
    for (int i = 0; i < points; ++i) counts[i] = 0;
    for (int start = 0; start < points; start += TILE) {
        const int end = start + TILE < points ? start + TILE : points;
        for (int j = 0; j < points; j += STRIDE) {
            for (int i = start; i < end; ++i) {
                const float dx = x[i] - x[j], dy = y[i] - y[j];
                counts[i] += dx * dx + dy * dy < limit * limit;
            }
        }
    }
}

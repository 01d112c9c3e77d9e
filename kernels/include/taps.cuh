// Bilinear resize of one axis: half-pixel centres, clamped at the edges, two taps, no area filter.
#pragma once

#include "types.cuh"

// The two rows or columns that output `o` lies between, and the weight of the second: the centre of o is
// at ((2 o + 1) from - to) / (2 to) of the source.
struct Taps {
    u32 low;
    u32 high;
    float weight;

    __device__ Taps(u32 o, u32 from, u32 to) {
        const u32 twice = (2 * o + 1) * from;
        const u32 above = twice > to ? twice - to : 0;
        low = above / (2 * to);
        high = low + 1 < from ? low + 1 : low;
        weight = static_cast<float>(above % (2 * to)) / static_cast<float>(2 * to);
    }

    // What source `s` contributes: both taps may be one.
    __device__ float weight_of(u32 s) const {
        return (low == s ? 1.0f - weight : 0.0f) + (high == s ? weight : 0.0f);
    }
};

// Weights of keys and gradients of scores, from scores and gradients of weights that a warp holds.
#pragma once

#include "reduce.cuh"
#include "softmax.cuh"

// Logarithm of the sum of e^(score scale) in base 2, and sum of P dP, for each row of a lane.
template <class C> struct Saved {
    float top[C::ROWS];
    float delta[C::ROWS];
};

// Scores of keys that are not there, from `keys` on, become minus infinity: their weight is 0.
template <class C> __device__ inline void mask(typename C::Scores& s, u32 keys) {
    if (keys < C::OWN_KEYS) {
#pragma unroll
        for (u32 i = 0; i < C::SCORES; ++i) {
            if (C::key(i) >= keys) {
#pragma unroll
                for (u32 r = 0; r < C::ROWS; ++r) {
                    s.at(r, i) = PVT_NEGATIVE_INFINITY;
                }
            }
        }
    }
}

// p = P and dp = dS = P (dP - delta) from what is known of the rows.
template <class C>
__device__ inline void weigh_saved(typename C::Scores& p, typename C::Scores& dp, u32 keys, float unit, const Saved<C>& rows) {
    mask<C>(p, keys);
#pragma unroll
    for (u32 r = 0; r < C::ROWS; ++r) {
#pragma unroll
        for (u32 i = 0; i < C::SCORES; ++i) {
            const float weight = power_of_two(__fmaf_rn(p.at(r, i), unit, -rows.top[r]));
            p.at(r, i) = weight;
            dp.at(r, i) = weight * (dp.at(r, i) - rows.delta[r]);
        }
    }
}

// The same where this step has all keys. Warps that share rows exchange maximum, sum and product through `s_rows`,
// [3][WK][QUERIES] f32; between two calls stands a barrier of the block.
// With one key its weight is exactly 1, as the maximum is subtracted before anything is rounded, and delta is its dP,
// so that dS is exactly 0.
template <class C>
__device__ inline void weigh_all(typename C::Scores& p, typename C::Scores& dp, u32 keys, float unit, float* s_rows) {
    constexpr u32 KIND = C::WK * C::QUERIES;
    float top[C::ROWS];
    float sum[C::ROWS];
    float product[C::ROWS];
    mask<C>(p, keys);
#pragma unroll
    for (u32 r = 0; r < C::ROWS; ++r) {
        float most = p.at(r, 0);
#pragma unroll
        for (u32 i = 1; i < C::SCORES; ++i) {
            most = fmaxf(most, p.at(r, i));
        }
        top[r] = group_max<C::LANES>(most);
        // without a key the maximum is minus infinity, which must not be taken from itself
        const float shift = keys > 0 ? top[r] : 0.0f;
        sum[r] = 0.0f;
        product[r] = 0.0f;
#pragma unroll
        for (u32 i = 0; i < C::SCORES; ++i) {
            const float weight = power_of_two((p.at(r, i) - shift) * unit);
            p.at(r, i) = weight;
            sum[r] += weight;
            product[r] = __fmaf_rn(weight, dp.at(r, i), product[r]);
        }
        sum[r] = group_sum<C::LANES>(sum[r]);
        product[r] = group_sum<C::LANES>(product[r]);
    }
    if constexpr (C::WK > 1) {
#pragma unroll
        for (u32 r = 0; r < C::ROWS; ++r) {
            if (threadIdx.x % C::LANES == 0) {
                float* to = s_rows + C::wk() * C::QUERIES + C::first_query() + C::query(r);
                to[0] = top[r];
                to[KIND] = sum[r];
                to[2 * KIND] = product[r];
            }
        }
        __syncthreads();  // s_rows written above by each warp of a row, read below by all of them
    }
#pragma unroll
    for (u32 r = 0; r < C::ROWS; ++r) {
        float factor = 1.0f;
        if constexpr (C::WK > 1) {
            const float* from = s_rows + C::first_query() + C::query(r);
            float most = from[0];
#pragma unroll
            for (u32 w = 1; w < C::WK; ++w) {
                most = fmaxf(most, from[w * C::QUERIES]);
            }
            factor = power_of_two((top[r] - most) * unit);
            sum[r] = 0.0f;
            product[r] = 0.0f;
#pragma unroll
            for (u32 w = 0; w < C::WK; ++w) {
                const float scale = power_of_two((from[w * C::QUERIES] - most) * unit);
                sum[r] = __fmaf_rn(scale, from[KIND + w * C::QUERIES], sum[r]);
                product[r] = __fmaf_rn(scale, from[2 * KIND + w * C::QUERIES], product[r]);
            }
        }
        const float inverse = 1.0f / sum[r];
        const float delta = product[r] * inverse;
        factor *= inverse;
#pragma unroll
        for (u32 i = 0; i < C::SCORES; ++i) {
            const float weight = p.at(r, i) * factor;
            p.at(r, i) = weight;
            dp.at(r, i) = weight * (dp.at(r, i) - delta);
        }
    }
}

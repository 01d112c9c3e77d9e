// pos_embed_bwd: dtable[k + s] += sum over b, o of A[o, s] d[b, k + o], dtable[0] += sum over b of d[b, 0] where k = 1,
//   dclass += the same      s < H0 W0 of the table's grid, o < H1 W1, A the weights of pos_embed_resize_fwd
//   d [B, k + H1 W1, C] T in | dtable [k + H0 W0, C] f32 in and out | dclass [C] f32 in and out, or null: then k = 0,
//   else 1
//   grid ceil((k + H0 W0) C / (32 VEC)), block (32, POSB_WARPS): a lane has one 16-byte vector of d's channels of
//   one row of the table, and the warps split images, or rows of outputs x images, every POSB_WARPS-th
//   shared: POSB_WARPS rows of 32 vectors as in quads.cuh
//   needs C % VEC == 0, 16-byte pointers, sides of grids below 2^15; vectors past the end are left out
//   where the grids are alike d is read once, else up to four times; dtable is read and written once
//   f32; a warp adds images, then outputs of a row, then rows, upwards; then warps upwards: bitwise repeatable
//   defines POSB_WARPS, PVT_DTYPE_*
//   source: transpose of pos_embed.cu, as a gather
#include "dtype.cuh"
#include "index.cuh"
#include "quads.cuh"
#include "taps.cuh"
#include "vec.cuh"

constexpr u32 THREADS = WARP * POSB_WARPS;
// f32 values of 16 bytes.
constexpr u32 FOUR = 16 / sizeof(float);

// The outputs of an axis that may have a weight for source `s`: those whose lower tap is s - 1 or s.
struct Touching {
    u32 first;
    u32 end;

    __device__ Touching(u32 s, u32 from, u32 to) {
        // (2 o + 1) from - to is 2 to times the place of o: at least 2 to (s - 1), below 2 to (s + 1)
        const u32 least = s < 2 ? 0 : (2 * s - 1) * to;
        first = least > from ? (least - from - 1) / (2 * from) + 1 : 0;
        const u32 most = (2 * s + 3) * to;
        end = most > from ? (most - from - 1) / (2 * from) + 1 : 0;
        end = min(end, to);
    }
};

PVT_ENTRY(pos_embed_bwd)
__launch_bounds__(THREADS)(const T* __restrict__ d, float* dtable, float* dclass, u32 B, u32 C, u32 H0, u32 W0,
                           u32 H1, u32 W1) {
    __shared__ float4 s_sums[POSB_WARPS][quads_of_row(WARP)];
    const u32 lane = threadIdx.x;
    const u32 warp = threadIdx.y;
    const u32 k = dclass != nullptr ? 1 : 0;
    const u32 row_vectors = C / VEC;
    const u32 rows = k + H0 * W0;
    const u32 image = k + H1 * W1;  // rows of d
    const u32 v = blockIdx.x * WARP + lane;
    const u32 r = v / row_vectors;
    const u32 c = v % row_vectors * VEC;

    float total[VEC] = {};
    const auto add = [&](u32 from, float weight) {
        float x[VEC];
        load(row(d, from, C) + c, x);
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            total[i] = __fmaf_rn(weight, x[i], total[i]);
        }
    };
    if (r < k || (r < rows && H0 == H1 && W0 == W1)) {
        constexpr u32 AT_ONCE = 8;  // vectors on their way from memory
#pragma unroll AT_ONCE
        for (u32 b = warp; b < B; b += POSB_WARPS) {
            add(b * image + r, 1.0f);
        }
    } else if (r < rows) {
        const u32 y = (r - k) / W0;
        const u32 x = (r - k) % W0;
        const Touching down(y, H0, H1);
        const Touching right(x, W0, W1);
        const u32 lines = (down.end - down.first) * B;
        for (u32 line = warp; line < lines; line += POSB_WARPS) {
            const u32 o = down.first + line / B;
            const u32 first = line % B * image + k + o * W1;
            const float above = Taps(o, H0, H1).weight_of(y);
            for (u32 p = right.first; p < right.end && above != 0.0f; ++p) {
                const float weight = above * Taps(p, W0, W1).weight_of(x);
                if (weight != 0.0f) {
                    add(first + p, weight);
                }
            }
        }
    }
    store_quads(s_sums[warp], WARP, lane, total);
    __syncthreads();  // s_sums written above by one warp a row, read below by one thread a column

    const u32 f = warp * WARP + lane;
    const u64 e = (static_cast<u64>(blockIdx.x) * WARP * VEC) + f * FOUR;  // element of the table
    if (f < WARP * QUADS && e < static_cast<u64>(rows) * C) {
        float4 sum{};
#pragma unroll
        for (u32 w = 0; w < POSB_WARPS; ++w) {
            sum = sum + s_sums[w][quad_of_elements(WARP, f)];
        }
        float4* const to = reinterpret_cast<float4*>(dtable + e);
        *to = *to + sum;
        if (e < k * C) {
            float4* const token = reinterpret_cast<float4*>(dclass + e);
            *token = *token + sum;
        }
    }
}

// mlp_fwd: x[r] += W2 gelu(W1 LayerNorm(x[r]) + b1) + b2                                      r < R
//   x [R, C] T in and out | gamma, beta [C] f32 in | w1 [E, C], w2 [C, E] T packed (tile.cuh) in | b1 [E], b2 [C] f32 in
//   grid ceil(R / MLP_ROWS), block MLP_ROWS: a warp has 32 rows to itself, from the first to the last
//   shared MLP_STAGES * 16 KiB, then a panel of MLP_ROWS rows of 64 elements, then in f32 16 KiB
//   needs C % 16 == 0, C <= MLP_CHANNELS, E % 16 == 0, 16-byte pointers; rows past R, channels past C and hidden
//   channels past E are zeros and are not written
//   x is read once and written once, the weights once per block; hidden channels, UNIT at a time, stay on the chip: on
//   tensor cores in registers, where accumulators of the first product are operands of the second, in f32 in
//   shared memory, rows of a warp apart from the others'
//   f32 sums that begin with x + b2, hidden channels upwards; LayerNorm in f32, biased variance in two passes, rounded
//   to T, as are the hidden channels (tf32: both to tf32); repeatable, the same for a row in any batch
//   defines MLP_ROWS, MLP_CHANNELS, PVT_DTYPE_*
//   source: Wang et al. 2021, "Pyramid Vision Transformer", 3.2; Ba et al. 2016; Hendrycks and Gimpel 2016
#include "gemm.cuh"
#include "math.cuh"
#include "norm.cuh"

// Rows of a warp, and hidden channels that it holds at a time.
constexpr u32 WARP_ROWS = 32;
constexpr u32 HIDDEN = 32;
constexpr u32 THREADS = MLP_ROWS / WARP_ROWS * WARP;
// Slots of the ring of weights. A slot: UNIT hidden channels of w1, then the same of w2, 8 KiB each.
constexpr u32 MLP_STAGES = 3;
constexpr u32 SLOT_BYTES = 2 * UNIT_BYTES;
// Units of the channels, and where the panel of rows begins.
constexpr u32 UNITS = MLP_CHANNELS / UNIT;
constexpr u32 PANEL = MLP_STAGES * SLOT_BYTES;
constexpr u32 PANEL_UNIT = MLP_ROWS * ROW_BYTES;
static_assert(MLP_CHANNELS == UNIT_COLS, "one column unit of w2");

using Out = Product<WARP_ROWS, MLP_CHANNELS>;
using Hidden = Product<WARP_ROWS, HIDDEN>;

struct Mlp {
    T* x;
    const float* gamma;
    const float* beta;
    const T* w1;
    const float* b1;
    const T* w2;
    const float* b2;
    u32 R, C, E;
    float eps;
};

// Begins to copy the block's rows to the panel.
__device__ inline void copy_rows(const Mlp& p, u32 row0) {
    constexpr u32 AT_ONCE = THREADS / CHUNKS;
    const u32 chunk = thread_index() % CHUNKS;
    for (u32 k = 0; k < UNITS; ++k) {
        const u32 c = k * UNIT + chunk * VEC;
#pragma unroll
        for (u32 i = 0; i < MLP_ROWS; i += AT_ONCE) {
            const u32 r = i + thread_index() / CHUNKS;
            const bool valid = row0 + r < p.R && c < p.C;
            const T* x = valid ? row(p.x, row0 + r, p.C) + c : p.x;
            cp_async_or_zero(shared_address(s_all + PANEL + k * PANEL_UNIT + chunk_at(r, chunk)), x, valid);
        }
    }
}

// Begins to copy hidden channels h * UNIT and on of both weights.
__device__ inline void copy_weights(u32 s, const Mlp& p, u32 h) {
    // a column unit of w1 has 64 hidden channels, of which this takes UNIT
    constexpr u32 PARTS = UNIT_COLS / UNIT;
    constexpr u32 PART_BYTES = UNIT_BYTES / PARTS;
    const u32 units = ceil_div(p.C, UNIT);
    const u8* w1 = reinterpret_cast<const u8*>(p.w1) + h % PARTS * PART_BYTES;
    const u8* w2 = reinterpret_cast<const u8*>(p.w2) + static_cast<u64>(h) * UNIT_BYTES;
#pragma unroll
    for (u32 i = 0; i < UNIT_BYTES; i += THREADS * CHUNK_BYTES) {
        const u32 at = i + thread_index() * CHUNK_BYTES;
        const u32 k = at / PART_BYTES;
        const u64 from = (static_cast<u64>(h / PARTS) * units + k) * UNIT_BYTES + at % PART_BYTES;
        cp_async_or_zero(shared_address(s_all + s + at), k < units ? w1 + from : w1, k < units);
        cp_async(shared_address(s_all + s + UNIT_BYTES + at), w2 + at);
    }
}

// Offset of element (r, c) of the panel.
__device__ inline u32 panel_at(u32 r, u32 c) {
    return PANEL + c / UNIT * PANEL_UNIT + chunk_at(r, c % UNIT / VEC) + c % VEC * sizeof(T);
}

__device__ inline float bias_at(const float* b, u32 i, u32 count) { return i < count ? b[i] : 0.0f; }

#if defined(PVT_DTYPE_F32)

// Hidden channels of all warps, a tile for each.
constexpr u32 S_HIDDEN = PANEL + UNITS * PANEL_UNIT;
constexpr u32 HIDDEN_BYTES = WARP_ROWS * ROW_BYTES;
static_assert(HIDDEN == UNIT, "hidden channels of a slot are a tile");

// The rows of a warp as the two products want them: from the panel.
struct Rows {
    u32 row0;

    __device__ inline void load(u32 first) { row0 = first; }
};

// Starts the sums with x + b2.
__device__ inline void start(Out& out, const Mlp& p, u32 row0) {
#pragma unroll
    for (u32 j = 0; j < Out::N; ++j) {
        const float b = bias_at(p.b2, Out::col_of(j), p.C);
#pragma unroll
        for (u32 i = 0; i < Out::M; ++i) {
            const u32 at = panel_at(row0 + Out::row_of(i), Out::col_of(j));
            out.d[i][j] = *reinterpret_cast<const float*>(s_all + at) + b;
        }
    }
}

// Adds what the UNIT hidden channels from `e` on contribute; their weights are in slot `s`.
__device__ inline void add_hidden(Out& out, const Rows& x, const Mlp& p, u32 s, u32 e) {
    const u32 s_hidden = S_HIDDEN + warp_index() * HIDDEN_BYTES;
    Hidden hidden;
    hidden.clear();
    for (u32 k = 0; k < UNITS; ++k) {
        hidden.add(PANEL + k * PANEL_UNIT, x.row0, s + k * HIDDEN * ROW_BYTES, 0);
    }
    // the lanes have read the last hidden channels, which are written over below
    __syncwarp();
#pragma unroll
    for (u32 j = 0; j < Hidden::N; ++j) {
        const u32 c = Hidden::col_of(j);
        const float b = bias_at(p.b1, e + c, p.E);
#pragma unroll
        for (u32 i = 0; i < Hidden::M; ++i) {
            const u32 at = s_hidden + chunk_at(Hidden::row_of(i), c / VEC) + c % VEC * sizeof(float);
            *reinterpret_cast<float*>(s_all + at) = gelu(hidden.d[i][j] + b);
        }
    }
    // hidden channels written above by the lanes are read below by others
    __syncwarp();
    out.add(s_hidden, 0, s + UNIT_BYTES, 0);
}

#else

// Steps of the inner dimension of the first product, and of the second for HIDDEN channels; chunks of a step.
constexpr u32 STEPS = UNITS * CHUNKS / 2;
constexpr u32 HIDDEN_STEPS = HIDDEN * CHUNKS / UNIT / 2;
// Whether elements have four bytes, as in tf32.
constexpr bool WIDE = sizeof(T) == 4;

// The rows of a warp as fragments.
struct Rows {
    u32 a[Hidden::M][STEPS][4];

    __device__ inline void load(u32 first) {
#pragma unroll
        for (u32 k = 0; k < STEPS; ++k) {
            const u32 at = Hidden::a_address(PANEL + k / (CHUNKS / 2) * PANEL_UNIT, first);
#pragma unroll
            for (u32 i = 0; i < Hidden::M; ++i) {
                const u32 turn = k % (CHUNKS / 2) * 2 * CHUNK_BYTES;
                Hidden::load_a(a[i][k], (at ^ turn) + i * Hidden::MMA_M * ROW_BYTES);
            }
        }
    }
};

// Columns c and c + 1, c even, of row `r` of the panel.
struct alignas(2 * sizeof(T)) Pair {
    T at[2];
};

__device__ inline void load_pair(u32 r, u32 c, float (&v)[2]) {
    const u8* at = s_all + panel_at(r, c);
    if constexpr (WIDE) {
        // odd rows read the second column first, else rows 2n and 2n + 1 would meet in the banks
        const T* x = reinterpret_cast<const T*>(at);
        const u32 flip = r % 2;
        const float first = to_f32(x[flip]);
        const float second = to_f32(x[1 - flip]);
        v[0] = flip == 0 ? first : second;
        v[1] = flip == 0 ? second : first;
    } else {
        const Pair pair = *reinterpret_cast<const Pair*>(at);
        v[0] = to_f32(pair.at[0]);
        v[1] = to_f32(pair.at[1]);
    }
}

// Starts the sums with x + b2.
__device__ inline void start(Out& out, const Mlp& p, u32 row0) {
    const u32 r = row0 + lane_index() / 4;
#pragma unroll
    for (u32 j = 0; j < Out::N; ++j) {
        const u32 c = lane_index() % 4 * 2 + j * Out::MMA_N;
        const float b[2] = {bias_at(p.b2, c, p.C), bias_at(p.b2, c + 1, p.C)};
#pragma unroll
        for (u32 i = 0; i < Out::M; ++i) {
#pragma unroll
            for (u32 half = 0; half < 2; ++half) {
                float x[2];
                load_pair(r + i * Out::MMA_M + half * Out::MMA_N, c, x);
                out.d[i][j][2 * half] = x[0] + b[0];
                out.d[i][j][2 * half + 1] = x[1] + b[1];
            }
        }
    }
}

// Hidden channel of column `c` of a fragment of the first product. The accumulators of a lane, columns 2t and 2t + 1, are
// its operands of the second product; in tf32 those are elements t and t + 4.
__device__ inline u32 hidden_of(u32 c) { return WIDE ? c / 2 + c % 2 * 4 : c; }

// Two accumulators as operands.
#if defined(PVT_DTYPE_TF32)
__device__ inline void operands(u32 (&a)[4], const float (&d)[Hidden::N][4], u32 step) {
    // rows g and g + 8 of element t, then of t + 4
    a[0] = to_tf32(__float_as_uint(d[step][0]));
    a[1] = to_tf32(__float_as_uint(d[step][2]));
    a[2] = to_tf32(__float_as_uint(d[step][1]));
    a[3] = to_tf32(__float_as_uint(d[step][3]));
}
#else
__device__ inline void operands(u32 (&a)[4], const float (&d)[Hidden::N][4], u32 step) {
    // rows g and g + 8 of elements 2t, 2t + 1, then of 2t + 8, 2t + 9
    a[0] = pack(d[2 * step][0], d[2 * step][1]);
    a[1] = pack(d[2 * step][2], d[2 * step][3]);
    a[2] = pack(d[2 * step + 1][0], d[2 * step + 1][1]);
    a[3] = pack(d[2 * step + 1][2], d[2 * step + 1][3]);
}
#endif

// Adds what the UNIT hidden channels from `e` on contribute; their weights are in slot `s`.
__device__ inline void add_hidden(Out& out, const Rows& x, const Mlp& p, u32 s, u32 e) {
    const u32 lane = lane_index();
    const u32 w1_row = hidden_of(lane % Out::MMA_N) + lane / Out::MMA_M * Out::MMA_N;
    const u32 w1_at = shared_address(s_all + s + chunk_at(w1_row, lane / Out::MMA_N % 2));
    const u32 w2_at = Out::b_address(s + UNIT_BYTES, 0);
#pragma unroll
    for (u32 part = 0; part < UNIT / HIDDEN; ++part) {
        Hidden hidden;
#pragma unroll
        for (u32 j = 0; j < Hidden::N; ++j) {
            const u32 c = e + part * HIDDEN + j * Hidden::MMA_N;
            const float b[2] = {bias_at(p.b1, c + hidden_of(lane % 4 * 2), p.E),
                                bias_at(p.b1, c + hidden_of(lane % 4 * 2 + 1), p.E)};
#pragma unroll
            for (u32 i = 0; i < Hidden::M; ++i) {
#pragma unroll
                for (u32 k = 0; k < 4; ++k) {
                    hidden.d[i][j][k] = b[k % 2];
                }
            }
        }
#pragma unroll
        for (u32 k = 0; k < STEPS; ++k) {
            const u32 turn = k % (CHUNKS / 2) * 2 * CHUNK_BYTES;
            const u32 unit = k / (CHUNKS / 2) * UNIT * ROW_BYTES + part * HIDDEN * ROW_BYTES;
#pragma unroll
            for (u32 j = 0; j < Hidden::N; j += 2) {
                u32 w[4];
                ldmatrix(w, (w1_at ^ turn) + unit + j * Hidden::MMA_N * ROW_BYTES);
#pragma unroll
                for (u32 i = 0; i < Hidden::M; ++i) {
                    mma(hidden.d[i][j], x.a[i][k], w[0], w[1]);
                    mma(hidden.d[i][j + 1], x.a[i][k], w[2], w[3]);
                }
            }
        }
#pragma unroll
        for (u32 i = 0; i < Hidden::M; ++i) {
#pragma unroll
            for (u32 j = 0; j < Hidden::N; ++j) {
#pragma unroll
                for (u32 k = 0; k < 4; ++k) {
                    hidden.d[i][j][k] = gelu(hidden.d[i][j][k]);
                }
            }
        }
#pragma unroll
        for (u32 k = 0; k < HIDDEN_STEPS; ++k) {
            const u32 turn = (part * HIDDEN_STEPS + k) * 2 * CHUNK_BYTES;
            u32 a[Out::M][4];
#pragma unroll
            for (u32 i = 0; i < Out::M; ++i) {
                operands(a[i], hidden.d[i], k);
            }
#pragma unroll
            for (u32 j = 0; j < Out::N; j += 2) {
                u32 w[4];
                ldmatrix(w, (w2_at ^ turn) + j * Out::MMA_N * ROW_BYTES);
#pragma unroll
                for (u32 i = 0; i < Out::M; ++i) {
                    mma(out.d[i][j], a[i], w[0], w[1]);
                    mma(out.d[i][j + 1], a[i], w[2], w[3]);
                }
            }
        }
    }
}

#endif

PVT_ENTRY(mlp_fwd)
__launch_bounds__(THREADS, MIN_BLOCKS)(T* x, const float* __restrict__ gamma, const float* __restrict__ beta,
                                       const T* __restrict__ w1, const float* __restrict__ b1,
                                       const T* __restrict__ w2, const float* __restrict__ b2, u32 R, u32 C, u32 E,
                                       float eps) {
    const Mlp p = {x, gamma, beta, w1, b1, w2, b2, R, C, E, eps};
    const u32 row0 = blockIdx.x * MLP_ROWS;
    const u32 warp_row = warp_index() * WARP_ROWS;
    copy_rows(p, row0);
    cp_async_commit();
    cp_async_wait<0>();
    // the panel that all threads have copied above is read below
    __syncthreads();
    Out out;
    start(out, p, warp_row);
    // the lanes have read the warp's rows above, which are normalised in place below
    __syncwarp();
    normalise<MLP_ROWS>(PANEL, warp_row, WARP_ROWS, C, gamma, beta, eps, nullptr, 0);
    // rows written above are read below by other lanes of the warp
    __syncwarp();
    Rows rows;
    rows.load(warp_row);
    u32 next = 0, h = 0;
    const auto begin = [&](u32 slot) { copy_weights(slot * SLOT_BYTES, p, next++); };
    const auto use = [&](u32 slot) { add_hidden(out, rows, p, slot * SLOT_BYTES, h++ * UNIT); };
    ring<MLP_STAGES>(ceil_div(E, UNIT), begin, use);

    // by way of the warp's rows of the panel, which no other warp has read
    constexpr u32 LANES = MLP_CHANNELS / VEC;
    constexpr u32 AT_ONCE = WARP / LANES;
    constexpr u32 STAGED = Out::STAGED;
    static_assert(STAGED * MLP_CHANNELS * sizeof(float) <= WARP_ROWS * ROW_BYTES, "staged rows fit");
    float* staged = reinterpret_cast<float*>(s_all + PANEL + warp_row * ROW_BYTES);
    const u32 c = lane_index() % LANES * VEC;
#pragma unroll
    for (u32 pass = 0; pass < WARP_ROWS / STAGED; ++pass) {
        // the panel, or what the last pass staged, has been read by all lanes; this pass writes over it
        __syncwarp();
        out.stage<MLP_CHANNELS>(pass, staged, 0, 0);
        // rows written by all lanes above are read below
        __syncwarp();
        for (u32 i = 0; i < STAGED; i += AT_ONCE) {
            const u32 r = i + lane_index() / LANES;
            const u32 at = row0 + warp_row + pass * STAGED + r;
            if (at < R && c < C) {
                float v[VEC];
                load_staged<MLP_CHANNELS>(staged, r, c, v);
                store(row(x, at, C) + c, v);
            }
        }
    }
}

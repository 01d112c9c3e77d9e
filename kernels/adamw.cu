// adamw_step: for every parameter, where control.apply: p = p decay - step_size m / (sqrt(v) root + eps) with
//   g = factor g, m += (1 - beta1) (g - m), v = beta2 v + (1 - beta2) g^2, decay = 1 for a tensor without decay; then
//   the new p goes into the images that kernels read. g = 0 in any case
//   p, m, v, g: f32, checkpoint order, in and out | images, turned: bytes out, may be one buffer
//   tensors, tiles: tables of src/kernels/adamw.rs in | control: Control in
//   image of a Vector: f32; of a Tensor: T; of a matrix [O, K], K = C P over (position, channel) where weights have
//   (channel, position): packed units of 64 columns x 128 bytes as in tile.cuh, at `image` columns o, inner k, at
//   `turned` columns k, inner o
//   grid: one block a tile, block ADAMW_THREADS | a tile of a matrix: 32 rows o x (128 / POSITIONS channels x POSITIONS
//   positions); else 4096 elements
//   shared: 32 x 128 f32
//   needs 16-byte pointers, C % VEC == 0 where P > 1; what lies past the ends is left out, and zeros in a last chunk
//   p, m, v are read and written once, g is read and written once, images are written once, in full sectors where
//   P is 1 or a multiple of POSITIONS and K a multiple of 32 bytes
//   f32; one rounding to T: bitwise repeatable
//   defines ADAMW_THREADS, PVT_DTYPE_*
//   source: Loshchilov and Hutter 2019, algorithm 2; torch.optim.AdamW
#include "control.cuh"
#include "dtype.cuh"
#include "index.cuh"
#include "operand.cuh"
#include "vec.cuh"

constexpr u32 FOUR = 4;
// Rows and elements of a row of a tile; all elements; fours of a thread.
constexpr u32 ROWS = 32;
constexpr u32 WIDTH = 128;
constexpr u32 TILE = ROWS * WIDTH;
constexpr u32 FOURS = TILE / FOUR / ADAMW_THREADS;
// Packed units (tile.cuh, pack.rs): bytes of a row, columns, elements of a row, chunks of 16 bytes of a row.
constexpr u32 ROW_BYTES = 128;
constexpr u32 UNIT_COLS = 64;
constexpr u32 UNIT_BYTES = UNIT_COLS * ROW_BYTES;
constexpr u32 UNIT = ROW_BYTES / sizeof(T);
constexpr u32 CHUNK_BYTES = 16;
constexpr u32 CHUNKS = ROW_BYTES / CHUNK_BYTES;
// Blocks that a multiprocessor should hold: leaves 64 registers to a thread.
constexpr u32 RESIDENT = 4;
// No image.
constexpr u64 NONE = ~0ull;

static_assert(FOURS * FOUR * ADAMW_THREADS == TILE, "each thread has as many");

// How a tensor's image is laid out: `Layout` of src/kernels/adamw.rs.
constexpr u32 VECTOR = 0;
constexpr u32 TENSOR = 1;

// A tensor of the table.
struct alignas(16) Entry {
    u64 offset;     // of its first element
    u64 image;      // byte of `images`, or NONE
    u64 turned;     // byte of `turned`, or NONE
    u32 layout;
    u32 decay;      // whether it decays
    u32 O;          // rows; of what is no matrix 1
    u32 C;          // channels; of what is no matrix all elements
    u32 P;          // positions
    u32 positions;  // of a tile: 1, 4 or 8
    u32 unused[4];
};

// A tile: which tensor, and its first row, channel and position.
struct alignas(16) Tile {
    u32 tensor;
    u32 o;
    u32 c;
    u32 p;
};

// Constants of the update.
struct Betas {
    float beta2;
    float one_minus_beta1;
    float one_minus_beta2;
    float eps;
};

// Up to four neighbouring f32.
struct Few {
    float at[FOUR];
};

// All four where WHOLE, aligned to 16 bytes; else `n` of them, and zeros.
template <bool WHOLE> __device__ inline Few read(const float* x, u32 n) {
    if constexpr (WHOLE) {
        const float4 v = *reinterpret_cast<const float4*>(x);
        return Few{{v.x, v.y, v.z, v.w}};
    } else {
        Few few;
#pragma unroll
        for (u32 i = 0; i < FOUR; ++i) {
            few.at[i] = i < n ? x[i] : 0.0f;
        }
        return few;
    }
}

template <bool WHOLE> __device__ inline void write(float* x, const Few& few, u32 n) {
    if constexpr (WHOLE) {
        *reinterpret_cast<float4*>(x) = float4{few.at[0], few.at[1], few.at[2], few.at[3]};
    } else {
#pragma unroll
        for (u32 i = 0; i < FOUR; ++i) {
            if (i < n) {
                x[i] = few.at[i];
            }
        }
    }
}

// Where element `k` of row `o` of a tile lies in shared memory, k = position CT + channel of the tile. Fours of
// positions, and every VEC rows, change halves of 32 values: rows are written by lanes with channels and positions,
// and read by lanes with channels, or with elements of two chunks of rows; none of them meet in a bank.
__device__ inline u32 place(u32 o, u32 k, u32 position) {
    constexpr u32 HALF = WARP / 2;
    return o * WIDTH + (k ^ (((o / VEC) ^ (position / FOUR)) % 2 * HALF));
}

struct alignas(CHUNK_BYTES) Chunk {
    T at[VEC];
};

// Byte of the chunk with inner element `k` of column `col` in a packed image.
__device__ inline u64 chunk_of(u32 col, u32 k, u32 inner) {
    const u32 units = (inner + UNIT - 1) / UNIT;
    const u64 unit = static_cast<u64>(col / UNIT_COLS) * units + k / UNIT;
    const u32 chunk = k % UNIT / VEC ^ col % CHUNKS;
    return unit * UNIT_BYTES + col % UNIT_COLS * ROW_BYTES + chunk * CHUNK_BYTES;
}

// The packed image [O, K] of a tile: neighbouring lanes have neighbouring chunks of a row.
__device__ inline void write_image(const float* s_p, const Entry& t, const Tile& tile, u32 tid, u8* image) {
    const u32 channels = WIDTH / t.positions;
    const u32 K = t.C * t.P;
    for (u32 i = tid; i < TILE / VEC; i += ADAMW_THREADS) {
        const u32 r = i / (WIDTH / VEC);
        const u32 k = i % (WIDTH / VEC) * VEC;
        const u32 position = k / channels;
        const u32 c = k % channels;
        const bool there = tile.o + r < t.O && tile.p + position < t.P && tile.c + c < t.C;
        // in quarters of a line; every second four of lanes begins with the second one of a chunk of 16 bits, as
        // lanes four apart would meet in a bank
        constexpr u32 QUARTERS = VEC / FOUR;
        const float* const from = s_p + place(r, k, position);
        const u32 swap = tid / FOUR % QUARTERS;
        float4 quarters[QUARTERS];
#pragma unroll
        for (u32 q = 0; q < QUARTERS; ++q) {
            quarters[q] = *reinterpret_cast<const float4*>(from + (q ^ swap) * FOUR);
        }
        Chunk chunk;
#pragma unroll
        for (u32 q = 0; q < QUARTERS; ++q) {
            const float4 v = swap == 0 ? quarters[q] : quarters[QUARTERS - 1 - q];
            chunk.at[q * FOUR] = operand_of(v.x);
            chunk.at[q * FOUR + 1] = operand_of(v.y);
            chunk.at[q * FOUR + 2] = operand_of(v.z);
            chunk.at[q * FOUR + 3] = operand_of(v.w);
        }
        if (there) {
            const u32 inner = (tile.p + position) * t.C + tile.c + c;
            *reinterpret_cast<Chunk*>(image + chunk_of(tile.o + r, inner, K)) = chunk;
        }
    }
}

// The packed image [K, O] of a tile: two neighbouring lanes have neighbouring chunks of a row.
__device__ inline void write_turned(const float* s_p, const Entry& t, const Tile& tile, u32 tid, u8* turned) {
    const u32 channels = WIDTH / t.positions;
    for (u32 i = tid; i < TILE / VEC; i += ADAMW_THREADS) {
        const u32 pair = i / (2 * WIDTH);
        const u32 k = i / 2 % WIDTH;
        const u32 r = (pair * 2 + i % 2) * VEC;
        const u32 position = k / channels;
        const u32 c = k % channels;
        const bool there = tile.o + r < t.O && tile.p + position < t.P && tile.c + c < t.C;
        Chunk chunk;
#pragma unroll
        for (u32 j = 0; j < VEC; ++j) {
            chunk.at[j] = operand_of(s_p[place(r + j, k, position)]);
        }
        if (there) {
            const u32 column = (tile.p + position) * t.C + tile.c + c;
            *reinterpret_cast<Chunk*>(turned + chunk_of(column, tile.o + r, t.O)) = chunk;
        }
    }
}

// What an update works on.
struct Arrays {
    float* p;
    float* m;
    float* v;
    float* g;
    Control control;
    Betas betas;
    float decay;

    // The update of `n` neighbouring parameters at `at`; what they are then.
    template <bool WHOLE> __device__ Few update(u64 at, u32 n) const {
        Few weight{};
        if (control.apply == 0) {
            write<WHOLE>(g + at, weight, n);
            return weight;
        }
        weight = read<WHOLE>(p + at, n);
        Few first = read<WHOLE>(m + at, n);
        Few second = read<WHOLE>(v + at, n);
        const Few gradient = read<WHOLE>(g + at, n);
#pragma unroll
        for (u32 i = 0; i < FOUR; ++i) {
            const float slope = gradient.at[i] * control.factor;
            first.at[i] = __fmaf_rn(betas.one_minus_beta1, slope - first.at[i], first.at[i]);
            second.at[i] = __fmaf_rn(betas.one_minus_beta2 * slope, slope, betas.beta2 * second.at[i]);
            const float root = __fmaf_rn(__fsqrt_rn(second.at[i]), control.root, betas.eps);
            const float next = __fmaf_rn(-control.step_size, first.at[i] / root, weight.at[i] * decay);
            weight.at[i] = i < n ? next : 0.0f;
        }
        write<WHOLE>(p + at, weight, n);
        write<WHOLE>(m + at, first, n);
        write<WHOLE>(v + at, second, n);
        write<WHOLE>(g + at, Few{}, n);
        return weight;
    }
};

// `n` new elements of a tensor that is no matrix, at element `at` of its image.
__device__ inline void write_flat(u8* image, u32 layout, u32 at, const Few& weight, u32 n) {
    struct alignas(FOUR * sizeof(T)) Rounded {
        T at[FOUR];
    } rounded;
#pragma unroll
    for (u32 e = 0; e < FOUR; ++e) {
        rounded.at[e] = from_f32(weight.at[e]);
    }
    float* const wide = reinterpret_cast<float*>(image) + at;
    T* const narrow = reinterpret_cast<T*>(image) + at;
    if (layout == VECTOR && n == FOUR) {
        write<true>(wide, weight, n);
    } else if (layout == VECTOR) {
        write<false>(wide, weight, n);
    } else if (n == FOUR) {
        *reinterpret_cast<Rounded*>(narrow) = rounded;
    } else {
#pragma unroll
        for (u32 e = 0; e < FOUR; ++e) {
            if (e < n) {
                narrow[e] = rounded.at[e];
            }
        }
    }
}

PVT_ENTRY(adamw_step)
__launch_bounds__(ADAMW_THREADS, RESIDENT)(float* p, float* m, float* v, float* g, u8* images, u8* turned,
                                 const Entry* tensors, const Tile* tiles, const Control* control, float beta2, float one_minus_beta1,
                                 float one_minus_beta2, float eps) {
    __shared__ __align__(16) float s_p[TILE];
    const u32 tid = threadIdx.x;
    const Tile tile = tiles[blockIdx.x];
    const Entry t = tensors[tile.tensor];
    const Betas betas{beta2, one_minus_beta1, one_minus_beta2, eps};
    const Arrays arrays{p, m, v, g, *control, betas, t.decay != 0 ? control->decay : 1.0f};
    const bool apply = arrays.control.apply != 0;
    const bool matrix = t.layout != VECTOR && t.layout != TENSOR;
    const u32 channels = matrix ? WIDTH / t.positions : TILE;

#pragma unroll
    for (u32 i = 0; i < FOURS; ++i) {
        const u32 f = i * ADAMW_THREADS + tid;
        const u32 r = matrix ? f / (WIDTH / FOUR) : 0;
        const u32 j = matrix ? f % (WIDTH / FOUR) * FOUR : f * FOUR;
        // neighbours are channels where a tile has one position, else positions
        const u32 c = matrix ? j / t.positions : j;
        const u32 position = matrix ? j % t.positions : 0;
        const bool row_there = tile.o + r < t.O && tile.c + c < t.C && tile.p + position < t.P;
        const u32 left = t.positions == 1 ? t.C - tile.c - c : t.P - tile.p - position;
        const u32 n = row_there ? min(left, FOUR) : 0;
        const u64 at = t.offset + (static_cast<u64>(tile.o + r) * t.C + tile.c + c) * t.P + tile.p + position;
        Few weight{};
        if (n == FOUR && at % FOUR == 0) {
            weight = arrays.update<true>(at, n);
        } else if (n > 0) {
            weight = arrays.update<false>(at, n);
        }
        if (!matrix) {
            if (t.image != NONE && apply) {
                write_flat(images + t.image, t.layout, tile.c + c, weight, n);
            }
        } else if (t.positions == 1) {
            write<true>(s_p + place(r, j, 0), weight, FOUR);
        } else {
#pragma unroll
            for (u32 e = 0; e < FOUR; ++e) {
                s_p[place(r, (position + e) * channels + c, position)] = weight.at[e];
            }
        }
    }
    __syncthreads();  // s_p written above by four neighbours a thread, read below in chunks of rows and columns
    if (!matrix || !apply) {
        return;
    }
    if (t.image != NONE) {
        write_image(s_p, t, tile, tid, images + t.image);
    }
    if (t.turned != NONE) {
        write_turned(s_p, t, tile, tid, turned + t.turned);
    }
}

#!/usr/bin/env python3
"""Breaks the kernels on purpose, one line at a time, and demands that a named test fails.

    python3 scripts/mutations.py [WORD]     those whose file or text has WORD; all without

Works on a copy of the tree (`target/mutations`) with a build of its own: cargo would take one for the other.
"""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "target" / "mutations"

# (file, what stands there once, what is put there, test binary, test that has to fail)
MUTATIONS = [
    # a row too many
    ("kernels/layernorm.cu", "const bool there = r < R;", "const bool there = r <= R;",
     "kernels", "layernorm::matches_f64_at_awkward_and_real_sizes"),
    # eps outside the root
    ("kernels/include/rows.cuh",
     "rstd = 1.0f / __fsqrt_rn(group_sum<LANES>(squares) / static_cast<float>(C) + eps);",
     "rstd = 1.0f / (__fsqrt_rn(group_sum<LANES>(squares) / static_cast<float>(C)) + eps);",
     "kernels", "layernorm::eps_counts"),
    ("kernels/include/norm.cuh",
     "1.0f / __fsqrt_rn(group_sum(squares, width) * scale + eps);",
     "1.0f / (__fsqrt_rn(group_sum(squares, width) * scale) + eps);",
     "kernels", "linear::every_option_alone_and_together"),
    # a barrier dropped
    ("kernels/head.cu", "__syncthreads();  // s_x written above by one warp per row, read below by all", "",
     "kernels", "head::matches_f64_for_any_number_of_images_and_classes"),
    ("kernels/attention.cu", "__syncthreads();  // s_q and s_k copied above by other threads, read below", "",
     "kernels", "attention::matches_f64_for_any_number_of_keys_and_every_width"),
    ("kernels/preprocess.cu", "__syncthreads();  // s_x written above, read below by other threads", "",
     "kernels", "preprocess::matches_f64_at_any_size"),
    # a copy that is not awaited
    ("kernels/include/tile.cuh", "cp_async_wait<STAGES - 2>();", "cp_async_wait<STAGES - 1>();",
     "kernels", "mlp::matches_f64_at_awkward_sizes"),
    # a key too many
    ("kernels/attention.cu", "if (Warp::key(i) >= keys) {", "if (Warp::key(i) > keys) {",
     "kernels", "attention::matches_f64_for_any_number_of_keys_and_every_width"),
    # a sum that is not scaled to the new maximum
    ("kernels/attention.cu", "sum[r] *= factor;", "",
     "kernels", "attention::the_long_kernels_take_few_keys_and_many"),
    # the tail of the inner dimension unmasked
    ("kernels/include/tile.cuh", "const bool valid = row0 + r < ROWS && c < INNER;",
     "const bool valid = row0 + r < ROWS;",
     "kernels", "linear::matches_f64_at_awkward_sizes_in_every_tile"),
    ("kernels/mlp.cu", "if (at < R && c < C) {", "if (at <= R && c < C) {",
     "kernels", "mlp::matches_f64_at_awkward_sizes"),
    # a wrong stride
    ("kernels/pos_embed.cu", "load(row(table, k + down.low * W0 + right.low, C) + c, corner[0][0]);",
     "load(row(table, k + down.low * H0 + right.low, C) + c, corner[0][0]);",
     "kernels", "pos_embed::resizes_like_interpolate"),
    # GELU cut off too early
    ("kernels/include/math.cuh", "BOUND = 4.4f", "BOUND = 4.0f", "kernels", "linear_values::gelu_of_every_number"),
    # a wrong derivative
    ("kernels/include/math.cuh", "3.0f * GELU_C1", "2.0f * GELU_C1",
     "kernels", "gelu::slopes_are_close_to_those_of_gelu"),
    # blocks that do not wait for each other's parts
    ("kernels/include/parts.cuh", "return before == blocks - 1;", "return before == 0;",
     "kernels", "parts::linear_has_the_same_bits_in_every_tile_by_any_number_of_blocks"),
    # GELU of the gradient, not of the hidden layer
    ("kernels/linear.cu", "h[k] = gelu(h[k]);", "h[k] = gelu(v[k]);",
     "kernels", "linear_bwd::slopes_match_f64_in_every_tile"),
    # a column too many
    ("kernels/linear_bwd.cu", "row0 + r < COLS", "row0 + r <= COLS",
     "kernels", "linear_bwd::any_number_of_blocks_and_groups"),
    # sums of the first blocks, not of the groups
    ("kernels/include/weight_grad.cuh", "add_sums(0, groups, shared.group);", "add_sums(0, groups, 1);",
     "kernels", "linear_bwd::any_number_of_blocks_and_groups"),
    # a table of patches written where it is still read
    ("kernels/patch_conv_bwd.cu", "s_first[(table + AHEAD) % TABLES", "s_first[(table + 1) % TABLES",
     "kernels", "patch_conv_bwd::weights_over_tokens_match_f64_in_every_tile"),
    # operands of tf32 truncated
    ("kernels/include/mma.cuh", 'asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(__uint_as_float(bits)));', "y = bits;",
     "kernels", "attention::tf32_rounds_operands_to_nearest"),
]


def copy_tree():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        source, to = ROOT / name, COPY / name
        if not source.is_file() or to.is_file() and to.read_bytes() == source.read_bytes():
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, to)
    nvrtc = ROOT / ".cache" / "nvrtc"
    if nvrtc.is_dir():
        shutil.copytree(nvrtc, COPY / ".cache" / "nvrtc", dirs_exist_ok=True)


def fails(binary, test):
    command = ["cargo", "test", "--quiet", "--features", "emu", "--test", binary, "--", "--exact", test]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(COPY / "target"), "PVT_CUDA_BUILD": "require", "PVT_CUDA_ARCHS": "80"}  # the emulator reads PTX
    result = subprocess.run(command, cwd=COPY, env=environment, capture_output=True, text=True)
    text = result.stdout + result.stderr
    if "error: could not compile" in text or "running 0 tests" in text:
        sys.exit(f"{binary} {test}: not a test that ran\n{text[-2000:]}")
    return "test result: FAILED" in text


def main():
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    copy_tree()
    missed = 0
    for file, old, new, binary, test in MUTATIONS:
        if word not in file and word not in old:
            continue
        path = COPY / file
        text = path.read_text()
        if text.count(old) != 1:
            sys.exit(f"{file}: {old!r} stands there {text.count(old)} times, expected once")
        path.write_text(text.replace(old, new))
        try:
            caught = fails(binary, test)
        finally:
            path.write_text(text)
        missed += not caught
        print(f"{'caught' if caught else 'MISSED'}  {file}: {old.strip()!r} -> {new.strip()!r}  by {binary} {test}", flush=True)
    sys.exit(f"{missed} not caught" if missed else 0)


if __name__ == "__main__":
    main()

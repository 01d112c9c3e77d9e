#!/usr/bin/env bash
# Runs a bundle on a machine with an NVIDIA GPU. Each step goes on after a failure and says so at the end.
#
#   ./run.sh [STEP...]      facts kernels models driver isa sanitizer bench; all of them by default
#   OUT                     folder for the results, default ./results
set -uo pipefail
cd "$(dirname "$0")"
out=${OUT:-results}
mkdir -p "$out"
[ -d bin ] || tar -xJf bin.tar.xz
failed=()

# try NAME COMMAND...: its output goes to a file and, shortened, here
try() {
    local name=$1
    shift
    if "$@" >"$out/$name.txt" 2>&1; then
        echo "ok      $name: $(tail -n 1 "$out/$name.txt")"
    else
        echo "FAILED  $name: $(tail -n 3 "$out/$name.txt")"
        failed+=("$name")
    fi
}

facts() {
    {
        date -u +%Y-%m-%dT%H:%M:%SZ
        cat COMMIT
        nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,clocks.sm,memory.total,power.limit --format=csv
        nvcc --version 2>/dev/null | tail -n 2
    } >"$out/facts.txt" 2>&1
    cat "$out/facts.txt"
    try device bin/pvt inspect device
}
# Every kernel against float64: the emulator and the device, which must agree with it too.
kernels() { PVT_TEST_GPU=1 try kernels bin/kernels --nocapture; }
driver() { try driver bin/driver gpu --nocapture; }
isa() { try isa bin/isa a_gpu_does_the_same --nocapture; }
models() {
    local dtype case
    for dtype in f32 tf32 f16 bf16; do
        for case in v1-micro v1-micro-rect v1-micro-d64 v1-micro-lowvar; do
            try "verify-$case-$dtype" bin/pvt verify "tests/fixtures/reference/$case" --target cuda --dtype "$dtype"
        done
    done
    try digits bin/pvt classify assets/digits/test --target cuda --dtype bf16
    try own_stream bin/03_own_stream
    try cuda_graph bin/04_cuda_graph
}
sanitizer() {
    local tool
    for tool in memcheck racecheck initcheck synccheck; do
        PVT_TEST_GPU=only try "sanitizer-$tool" compute-sanitizer --tool "$tool" --error-exitcode 1 bin/kernels --test-threads 1
        try "sanitizer-$tool-model" compute-sanitizer --tool "$tool" --error-exitcode 1 \
            bin/pvt verify tests/fixtures/reference/v1-micro --target cuda --dtype bf16
    done
}
bench() {
    local variant batch dtype
    for variant in tiny small; do
        for dtype in bf16 f16 tf32 f32; do
            for batch in 1 32 256; do
                try "bench-$variant-$dtype-$batch" bin/pvt bench --variant $variant --batch $batch --dtype $dtype \
                    --target cuda --seconds 2 --steps --json
            done
        done
    done
}

for step in "${@:-facts}"; do
    case $step in
    facts | kernels | models | driver | isa | sanitizer | bench) $step ;;
    *)
        echo "unknown step $step; expected facts, kernels, models, driver, isa, sanitizer or bench" >&2
        exit 2
        ;;
    esac
done
if [ $# -eq 0 ]; then
    for step in kernels models driver isa sanitizer bench; do $step; done
fi
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}"
    exit 1
fi

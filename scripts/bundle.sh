#!/usr/bin/env bash
# Gathers what a machine with an NVIDIA GPU, but without Rust, needs to check and measure this crate: programs,
# stripped and compressed, the files they read, and run.sh with its steps.
#
#   scripts/bundle.sh [FOLDER]        default: target/bundle
#   PVT_CUDA_ARCHS                    capabilities of the machine code, default 80,90 (PTX serves the others)
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-target/bundle}
export PVT_CUDA_BUILD=require PVT_CUDA_ARCHS=${PVT_CUDA_ARCHS:-80,90}

rm -rf "$out"
mkdir -p "$out/bin"
# Names of the programs as cargo reports them: `name path`
cargo build --release --features emu --examples --message-format json >"$out/build.json"
cargo test --release --features emu --no-run --test kernels --test driver --message-format json >>"$out/build.json"
cargo test --release -p ptx-emu --no-run --test isa --message-format json >>"$out/build.json"
python3 - "$out" <<'PYTHON'
import json, os, shutil, subprocess, sys

out = sys.argv[1]
wanted = {"pvt", "kernels", "driver", "isa", "03_own_stream", "04_cuda_graph"}
for line in open(f"{out}/build.json"):
    message = json.loads(line) if line.startswith("{") else {}
    name = message.get("target", {}).get("name")
    if name in wanted and message.get("executable"):
        shutil.copy(message["executable"], f"{out}/bin/{name}")
        subprocess.run(["strip", f"{out}/bin/{name}"], check=True)
missing = wanted - set(os.listdir(f"{out}/bin"))
sys.exit(f"not built: {missing}" if missing else 0)
PYTHON
rm "$out/build.json"
mkdir -p "$out/tests/fixtures" "$out/assets"
cp -r tests/fixtures/reference "$out/tests/fixtures/"
cp -r assets/digits "$out/assets/"
cp scripts/run.sh "$out/run.sh"
git rev-parse HEAD >"$out/COMMIT"
tar -C "$out" -cJf "$out/bin.tar.xz" bin
rm -r "$out/bin"
du -sh "$out"
bytes=$(du -sb "$out" | cut -f1)
if ((bytes > 60000000)); then
    echo "the bundle has $bytes bytes, more than 60 MB; make machine code for fewer devices (PVT_CUDA_ARCHS)" >&2
    exit 1
fi

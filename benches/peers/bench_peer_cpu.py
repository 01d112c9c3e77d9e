#!/usr/bin/env python3
"""Time PVT on the CPU: this project, PyTorch and ONNX Runtime side by side.

    python bench_peer_cpu.py [--engines NAMES] [--variants tiny,small] [--batches 1,8]
        [--rounds 3] [--threads 2] [--seconds 4] [--pvt PATH] [--json FILE]

Forward pass at 224x224 in float32, 1000 classes, random weights. Engines:

    pvt           the program of this project, `pvt bench ... --json`
    eager         PvtForImageClassification of transformers, as it comes
    eager+warm    the same, freed memory stays with the process
    sdpa+warm     the same, with PyTorch's fused attention
    compile+warm  torch.compile of eager
    ort           ONNX Runtime on an export of eager

The suffix +warm may follow any engine but pvt.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENGINES = ["pvt", "eager", "eager+warm", "sdpa+warm", "compile+warm", "ort"]
DEPTHS = {"tiny": [2, 2, 2, 2], "small": [3, 4, 6, 3]}
SIDE = 224
WARM_UP_CALLS = 3
FEWEST_CALLS = 5
# Share of the machine that other processes may use during a measurement.
QUIET = 0.05
LONGEST_WAIT = 180.0
ATTEMPTS = 3
# Above the largest activation, so that the allocator never returns one to the system.
KEEP_BYTES = str(1 << 30)
MARK = "MEASURED "
ROOT = Path(__file__).resolve().parents[2]


# The machine


def busy_seconds():
    """CPU seconds used by all processes since the machine started; None where it is not told."""
    try:
        with open("/proc/stat") as stat:
            fields = [int(field) for field in stat.readline().split()[1:9]]
    except OSError:
        return None
    idle, waiting = fields[3], fields[4]
    return (sum(fields) - idle - waiting) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    """CPU seconds of this process and of the children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


class Watch:
    """Measures which share of the machine other processes use from now on."""

    def __init__(self):
        self.busy, self.own, self.start = busy_seconds(), own_seconds(), time.monotonic()

    def others(self):
        if self.busy is None:
            return 0.0
        wall = max(time.monotonic() - self.start, 1e-3)
        foreign = (busy_seconds() - self.busy) - (own_seconds() - self.own)
        return max(0.0, foreign / (wall * os.cpu_count()))


def wait_until_quiet():
    deadline = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < deadline:
        watch = Watch()
        time.sleep(1.0)
        if watch.others() < QUIET:
            return


# One measurement, in a process of its own


def peer_model(variant):
    import torch
    from transformers import PvtConfig, PvtForImageClassification

    torch.manual_seed(0)
    config = PvtConfig(depths=DEPTHS[variant], num_labels=1000, image_size=SIDE, return_dict=False)
    return PvtForImageClassification(config).eval()


def use_fused_attention(model):
    """Gives every attention layer a forward pass with scaled_dot_product_attention."""
    from torch.nn.functional import scaled_dot_product_attention

    def forward(layer, tokens, height, width, output_attentions=False):
        batch, count, channels = tokens.shape

        def heads(x):
            split = (batch, -1, layer.num_attention_heads, layer.attention_head_size)
            return x.view(split).transpose(1, 2)

        query, source = heads(layer.query(tokens)), tokens
        if layer.sequences_reduction_ratio > 1:
            grid = tokens.transpose(1, 2).reshape(batch, channels, height, width)
            reduced = layer.sequence_reduction(grid).flatten(2).transpose(1, 2)
            source = layer.layer_norm(reduced)
        mixed = scaled_dot_product_attention(query, heads(layer.key(source)), heads(layer.value(source)))
        return (mixed.transpose(1, 2).reshape(batch, count, channels),)

    for module in model.modules():
        if type(module).__name__ == "PvtEfficientSelfAttention":
            module.forward = forward.__get__(module)


def onnx_call(model, images, threads):
    import io

    import onnxruntime
    import torch

    exported = io.BytesIO()
    torch.onnx.export(
        model, (images,), exported, opset_version=17, dynamo=False, input_names=["x"], output_names=["y"]
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        exported.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    feed = {"x": images.numpy()}
    return lambda: session.run(["y"], feed)


def peer_call(kind, variant, images, threads):
    import torch

    model = peer_model(variant)
    if kind == "ort":
        return onnx_call(model, images, threads)
    if kind == "sdpa":
        use_fused_attention(model)
    elif kind == "compile":
        model = torch.compile(model, fullgraph=True, dynamic=False)
    elif kind != "eager":
        raise SystemExit(f"unknown engine {kind}")

    def call():
        with torch.inference_mode():
            return model(images)

    return call


def measure_peer(kind, variant, batch, threads, seconds):
    """Runs in the child: times calls and prints them."""
    import warnings

    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    images = torch.randn(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    call = peer_call(kind, variant, images, threads)
    call()  # compiles, where the engine does
    wait_until_quiet()
    for _ in range(WARM_UP_CALLS):
        call()
    watch, times, start = Watch(), [], time.monotonic()
    while len(times) < FEWEST_CALLS or time.monotonic() - start < seconds:
        before = time.perf_counter()
        call()
        times.append((time.perf_counter() - before) * 1e3)
    print(MARK + json.dumps({"times_ms": times, "others": watch.others()}))


# The parent


def run_child(command, environment):
    """Exit code, output and messages of a command, its peak memory in bytes, the load beside it."""
    watch = Watch()
    with tempfile.TemporaryFile("w+") as messages:
        child = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=messages, text=True
        )
        with child.stdout:
            output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        messages.seek(0)
        # Linux counts kilobytes, macOS bytes.
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return child.returncode, output, messages.read(), peak, watch.others()


def command_for(engine, variant, batch, options):
    kind, _, suffix = engine.partition("+")
    threads = str(options.threads)
    environment = dict(
        os.environ,
        OMP_NUM_THREADS=threads,
        MKL_NUM_THREADS=threads,
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_VERBOSITY="error",
    )
    shape = ["--variant", variant, "--batch", str(batch), "--threads", threads]
    shape += ["--seconds", str(options.seconds)]
    if kind == "pvt":
        return [options.pvt, "bench", *shape, "--json"], environment
    if suffix == "warm":
        environment.update(MALLOC_MMAP_THRESHOLD_=KEEP_BYTES, MALLOC_TRIM_THRESHOLD_=KEEP_BYTES)
    return [sys.executable, __file__, "--child", kind, *shape], environment


def parse(engine, output, others):
    """Times in ms from what a child printed."""
    if engine == "pvt":
        found = json.loads(output)
        times = found.get("times_ms") or [found["median_ms"]]
        return {"times_ms": times, "others": others, "peak_rss_bytes": found.get("peak_rss_bytes")}
    line = next(line for line in output.splitlines() if line.startswith(MARK))
    return json.loads(line[len(MARK) :])


def measure(engine, variant, batch, options):
    """The quietest of a few attempts, or the reason why there is none."""
    best = None
    for _ in range(ATTEMPTS):
        if engine == "pvt":  # the others wait once they are loaded
            wait_until_quiet()
        command, environment = command_for(engine, variant, batch, options)
        try:
            code, output, messages, peak, others = run_child(command, environment)
        except OSError as error:
            return None, str(error)
        if code != 0:
            return None, f"exit code {code}: {' '.join(messages.split()[-30:])}"
        try:
            result = parse(engine, output, others)
        except (ValueError, KeyError, StopIteration) as error:
            return None, f"unexpected output ({type(error).__name__}: {error})"
        result["peak_rss_bytes"] = result.get("peak_rss_bytes") or peak
        if best is None or result["others"] < best["others"]:
            best = result
        if best["others"] < QUIET:
            break
    return best, None


def summary(engine, variant, batch, results):
    times = [t for result in results for t in result["times_ms"]]
    quartiles = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
    return {
        "variant": variant,
        "batch": batch,
        "engine": engine,
        "calls": len(times),
        "median_ms": statistics.median(times),
        "lower_quartile_ms": quartiles[0],
        "upper_quartile_ms": quartiles[2],
        "min_ms": min(times),
        "round_medians_ms": [statistics.median(result["times_ms"]) for result in results],
        "peak_rss_bytes": max(result["peak_rss_bytes"] for result in results),
        "others_share": max(result["others"] for result in results),
    }


def best_peer(rows, row):
    peers = [
        r["median_ms"]
        for r in rows
        if r["engine"] != "pvt" and (r["variant"], r["batch"]) == (row["variant"], row["batch"])
    ]
    return min(peers, default=None)


def table(rows):
    lines = [
        "| variant | batch | engine | median ms | quartiles | min | peak MiB | median / best peer |",
        "| --- | --: | --- | --: | --- | --: | --: | --: |",
    ]
    for row in rows:
        best = best_peer(rows, row)
        ratio = f"{row['median_ms'] / best:.2f}" if best else "-"
        lines.append(
            f"| {row['variant']} | {row['batch']} | {row['engine']} | {row['median_ms']:.1f} "
            f"| {row['lower_quartile_ms']:.1f} - {row['upper_quartile_ms']:.1f} | {row['min_ms']:.1f} "
            f"| {row['peak_rss_bytes'] / 2**20:.0f} | {ratio} |"
        )
    return "\n".join(lines)


def run_all(options):
    cases = [(v, b) for v in options.variants.split(",") for b in map(int, options.batches.split(","))]
    engines = options.engines.split(",")
    results, failed = {}, set()
    # A slow spell of the machine must not fall on one engine alone, so every round has them all.
    for number in range(options.rounds):
        for variant, batch in cases:
            for engine in engines:
                case = (engine, variant, batch)
                if case in failed:
                    continue
                result, reason = measure(engine, variant, batch, options)
                if result is None:
                    failed.add(case)
                    print(f"{variant} batch {batch} {engine}: not measured: {reason}", file=sys.stderr)
                    continue
                results.setdefault(case, []).append(result)
                median = statistics.median(result["times_ms"])
                print(f"round {number + 1} {variant} batch {batch} {engine}: {median:.1f} ms", file=sys.stderr)
    order = [(e, v, b) for v, b in cases for e in engines]
    return [summary(*case, results[case]) for case in order if case in results], failed


def machine():
    from importlib.metadata import PackageNotFoundError, version

    found = {"system": f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}", "cpus": os.cpu_count(), "python": platform.python_version()}
    try:
        with open("/proc/cpuinfo") as info:
            names = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
        found["cpu"] = names[0] if names else platform.processor()
    except OSError:
        found["cpu"] = platform.processor()
    for package in ("torch", "transformers", "onnxruntime"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--variants", default="tiny,small")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measurement")
    parser.add_argument("--pvt", default=str(ROOT / "target" / "release" / "pvt"), help="our program")
    parser.add_argument("--json", help="file for all the numbers")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        measure_peer(options.child, options.variant, options.batch, options.threads, options.seconds)
        return 0
    rows, failed = run_all(options)
    print(table(rows))
    if options.json:
        report = {"machine": machine(), "threads": options.threads, "rounds": options.rounds, "rows": rows}
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

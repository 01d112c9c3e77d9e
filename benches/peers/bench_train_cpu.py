#!/usr/bin/env python3
"""Images per second of training on the CPU: this project and PyTorch eager, turn by turn.

    python bench_train_cpu.py [--data assets/digits] [--batch 64] [--steps 40] [--rounds 5] [--threads 2] [--pvt PATH]
        [--json FILE]

Both train the digits model (64x64 pictures, float32) with AdamW, label smoothing and clipping; PyTorch reads
nothing from disk and augments nothing: it trains on random pictures that are in memory already. Each round runs one after
the other; what counts is the median of the rounds' ratios.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = "MEASURED "
WARM_UP = 5


def peer(args):
    """One run of PyTorch, in a process of its own."""
    import time

    import torch
    import torch.nn.functional as F
    from transformers import PvtConfig, PvtForImageClassification

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    with open(ROOT / "assets/digits/config.json") as file:
        own = json.load(file)
    config = PvtConfig(
        image_size=own["img_size"],
        hidden_sizes=own["embed_dims"],
        depths=own["depths"],
        num_attention_heads=own["num_heads"],
        mlp_ratios=own["mlp_ratios"],
        sequence_reduction_ratios=own["sr_ratios"],
        num_labels=own["num_classes"],
    )
    model = PvtForImageClassification(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    pixels = torch.randn(args.batch, 3, own["img_size"], own["img_size"])
    labels = torch.randint(0, own["num_classes"], (args.batch,))
    times = []
    for step in range(WARM_UP + args.steps):
        begin = time.perf_counter()
        loss = F.cross_entropy(model(pixels).logits, labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step >= WARM_UP:
            times.append(time.perf_counter() - begin)
    print(MARK + json.dumps({"images_per_s": args.batch / statistics.median(times), "torch": torch.__version__}))


def own(args):
    """One run of `pvt train`: the median of the steps in its log."""
    folder = tempfile.mkdtemp()
    try:
        pictures = sum(1 for _ in Path(args.data, "train").rglob("*.png"))
        epochs = -(-(WARM_UP + args.steps) // (pictures // args.batch))
        command = [args.pvt, "train", args.data, "--out", f"{folder}/run", "--config", f"{args.data}/config.json"]
        command += ["--epochs", str(epochs), "--batch", str(args.batch), "--shift", "6", "--target", "cpu"]
        command += ["--threads", str(args.threads)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(f"{folder}/run/log.csv") as file:
            rows = [float(row["images_per_s"]) for row in csv.DictReader(file) if row["images_per_s"]]
        return statistics.median(rows[WARM_UP:])
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=str(ROOT / "assets/digits"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--pvt", default=str(ROOT / "target/release/pvt"))
    parser.add_argument("--json")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args)
    rounds = []
    for number in range(args.rounds):
        ours = own(args)
        command = [sys.executable, __file__, "--peer", *sys.argv[1:]]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        theirs = json.loads(next(line for line in text.splitlines() if line.startswith(MARK))[len(MARK) :])
        rounds.append({"pvt": ours, "pytorch": theirs["images_per_s"], "torch": theirs["torch"]})
        print(f"round {number + 1}: pvt {ours:.0f} images/s, PyTorch {theirs['images_per_s']:.0f}")
    ratio = statistics.median(r["pvt"] / r["pytorch"] for r in rounds)
    print(f"pvt / PyTorch: {ratio:.2f} (median of {len(rounds)} rounds)")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"batch": args.batch, "threads": args.threads, "ratio": ratio, "rounds": rounds}, file, indent=1)
    return None


if __name__ == "__main__":
    main()

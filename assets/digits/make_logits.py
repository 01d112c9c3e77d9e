#!/usr/bin/env python3
"""Logits of the test pictures in float64 by another implementation, Hugging Face transformers.

    python make_logits.py

Reads config.json, model.safetensors and test/ beside it, writes test_logits.safetensors. Needs what
tests/fixtures/reference/requirements.txt lists.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/fixtures/reference"))

import make_reference as ref


def main():
    with open(HERE / "config.json") as file:
        cfg = {**ref.DEFAULTS, **json.load(file)}
    cfg["input_size"] = [cfg["img_size"]] * 2
    weights = {name: value.double() for name, value in load_file(HERE / "model.safetensors").items()}
    model = ref.build_hf(cfg, weights, torch.float64).eval()
    paths = sorted((HERE / "test").glob("*/*.png"))
    pictures = [np.asarray(Image.open(path).convert("RGB"), dtype=np.float64) for path in paths]
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(cfg["preprocess"][key], dtype=torch.float64).view(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        logits = model((pixels - mean) / std).logits
    labels = torch.tensor([cfg["labels"].index(path.parent.name) for path in paths])
    files = json.dumps([str(path.relative_to(HERE)) for path in paths])
    tensors = {"logits": logits.float().contiguous(), "labels": labels}
    save_file(tensors, HERE / "test_logits.safetensors", metadata={"files": files})
    right = (logits.argmax(1) == labels).sum().item()
    print(f"{right} of {len(paths)} pictures: {100 * right / len(paths):.2f} %")


if __name__ == "__main__":
    main()

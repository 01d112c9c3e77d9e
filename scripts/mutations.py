#!/usr/bin/env python3
"""Breaks the kernels on purpose, one line at a time, and demands that a named test fails.

    python3 scripts/mutations.py [WORD]     those whose file or text has WORD; all without

Works on a copy of the tree (`target/mutations`), which keeps its build between runs.
"""

import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "target" / "mutations"

# (file, what stands there once, what is put there, test binary, test that has to fail)
MUTATIONS = [
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
    result = subprocess.run(command, cwd=COPY, capture_output=True, text=True)
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

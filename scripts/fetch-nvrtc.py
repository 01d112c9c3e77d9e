#!/usr/bin/env python3
"""Fetch NVIDIA's run-time compiler into .cache/nvrtc of this repository.

    python3 scripts/fetch-nvrtc.py [--wheel FILE] [--to FOLDER]

Downloads one wheel (about 90 MB) with pip, checks its SHA-256 and unpacks the two libraries that
compile CUDA C++ to PTX, with their licence. No GPU, driver or toolkit is needed, and nothing is
installed. Where it is all there already, nothing happens. --wheel takes a wheel that was brought by
other means, for machines without a network.

exit codes: 0 the libraries are there, 1 they could not be fetched, 2 wrong usage
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENT = "nvidia-cuda-nvrtc-cu12==12.9.86"

# System and machine: SHA-256 of the wheel, members that are wanted.
LINUX = (
    "nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
    "nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.9",
)
WINDOWS = (
    "nvidia/cuda_nvrtc/bin/nvrtc64_120_0.dll",
    "nvidia/cuda_nvrtc/bin/nvrtc-builtins64_129.dll",
)
WHEELS = {
    ("Linux", "x86_64"): ("210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4", LINUX),
    ("Linux", "aarch64"): ("096d4de6bda726415dfaf3198d4f5c522b8e70139c97feef5cd2ca6d4cd9cead", LINUX),
    ("Windows", "AMD64"): ("72972ebdcf504d69462d3bcd67e7b81edd25d0fb85a2c46d3ea3517666636349", WINDOWS),
}
LICENCE = "nvidia_cuda_nvrtc_cu12-12.9.86.dist-info/licenses/License.txt"

# Written last: a folder that has it with this content is complete.
STAMP = "complete.txt"

ROOT = Path(__file__).resolve().parent.parent


class Refused(Exception):
    """Why the libraries could not be fetched, and what to do."""


def stamp(digest, members):
    """What the stamp of a complete folder says."""
    return "\n".join([REQUIREMENT, digest, *(Path(m).name for m in members)]) + "\n"


def is_complete(folder, digest, members):
    """Whether `folder` was filled from the wheel with this digest, and nothing was taken away."""
    try:
        if (folder / STAMP).read_text() != stamp(digest, members):
            return False
    except OSError:
        return False
    return all((folder / Path(member).name).is_file() for member in members)


def download(folder):
    """The wheel for this machine, downloaded by pip into `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip()
        if "No module named pip" in said:
            raise Refused(
                f"{sys.executable} has no pip: install it (python3 -m ensurepip, or the package python3-pip)"
                " or give a wheel by --wheel"
            )
        raise Refused(
            f"pip could not download {REQUIREMENT}:\n{said}\n"
            "check the network and pip's settings, or bring the wheel by other means and give it by --wheel"
        )
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise Refused(f"pip left {len(wheels)} wheels in {folder}, expected one")
    return wheels[0]


def sha256(path):
    """SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def unpack(wheel, digest, members, folder):
    """Checks the wheel and writes its libraries, its licence and the stamp into `folder`."""
    found = sha256(wheel)
    if found != digest:
        raise Refused(f"{wheel.name} has SHA-256 {found}, expected {digest}: it is not used")
    with zipfile.ZipFile(wheel) as archive:
        for member in (*members, LICENCE):
            with archive.open(member) as source, open(folder / Path(member).name, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    (folder / STAMP).write_text(stamp(digest, members))


def fetch(target, wheel):
    """Makes `target` a complete folder. Returns whether anything had to be done."""
    machine = (platform.system(), platform.machine())
    if machine not in WHEELS:
        known = ", ".join(" ".join(pair) for pair in WHEELS)
        raise Refused(f"there is no wheel for {' '.join(machine)}, only for {known}: install a CUDA toolkit 12 or 13")
    digest, members = WHEELS[machine]
    if is_complete(target, digest, members):
        return False

    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the last step is one rename within a file system.
    fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        content = fresh / "content"
        content.mkdir()
        unpack(wheel or download(fresh), digest, members, content)
        if target.exists():
            target.rename(fresh / "old")
        try:
            content.rename(target)
        except OSError:  # another process was faster
            if not is_complete(target, digest, members):
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return True


def main():
    parser = argparse.ArgumentParser(description="Fetch NVIDIA's run-time compiler.")
    parser.add_argument("--wheel", type=Path, help="a wheel that is on this machine already")
    parser.add_argument("--to", type=Path, default=ROOT / ".cache" / "nvrtc", help="default: .cache/nvrtc")
    options = parser.parse_args()
    try:
        done = fetch(options.to, options.wheel)
    except (Refused, OSError, zipfile.BadZipFile, KeyError) as error:
        print(f"fetch-nvrtc: {error}", file=sys.stderr)
        return 1
    print(f"{options.to}: {REQUIREMENT} {'fetched' if done else 'is there already'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Convert a PyTorch checkpoint to safetensors with the standard library alone.

    python3 convert_pth.py INPUT.pth OUTPUT.safetensors [--key NAME] [--cast f32]

Reads what torch.save wrote, both the zip format and the older stream. A checkpoint is a pickle, and
a pickle can name any function to be called while it is read; here only the few names that tensors
are made of are known, and every other one ends the conversion. Names of tensors are kept as they
are. Entries that are not tensors are listed and skipped.

exit codes: 0 converted, 1 the file cannot be converted, 2 wrong usage
"""

import argparse
import io
import json
import math
import os
import pickle
import struct
import sys
import tempfile
import zipfile
from collections import OrderedDict

# Storage class of torch: bytes per element, name in safetensors.
STORAGES = {
    "DoubleStorage": (8, "F64"),
    "FloatStorage": (4, "F32"),
    "HalfStorage": (2, "F16"),
    "BFloat16Storage": (2, "BF16"),
    "LongStorage": (8, "I64"),
    "IntStorage": (4, "I32"),
    "ShortStorage": (2, "I16"),
    "CharStorage": (1, "I8"),
    "ByteStorage": (1, "U8"),
    "BoolStorage": (1, "BOOL"),
    "UntypedStorage": (1, "U8"),
}

# Folders of a checkpoint that are looked into, in this order, unless --key names one.
KEYS = ("state_dict", "model")

# First objects of the older stream.
MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

LARGEST_PICKLE = 64 << 20
MOST_DIMENSIONS = 16


class Refused(Exception):
    """A file that cannot or must not be converted."""


class Dtype:
    """Stands for a storage class such as torch.FloatStorage."""

    __slots__ = ("size", "name")

    def __init__(self, name):
        self.size, self.name = STORAGES[name]


class Storage:
    """A run of elements; `data` is known once the whole file has been read."""

    __slots__ = ("dtype", "count", "data")

    def __init__(self, dtype, count):
        self.dtype, self.count, self.data = dtype, count, None


class Tensor:
    """A view of a storage, strides in elements."""

    __slots__ = ("storage", "offset", "shape", "stride")

    def __init__(self, storage, offset, shape, stride):
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride

    def check(self, name):
        ok = len(self.shape) == len(self.stride) <= MOST_DIMENSIONS
        numbers = (self.offset, *self.shape, *self.stride)
        if not ok or not all(isinstance(n, int) and 0 <= n < 1 << 62 for n in numbers):
            raise Refused(f"tensor {name} has an impossible shape {self.shape} or stride {self.stride}")
        if 0 in self.shape:
            return
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride))
        if last >= self.storage.count:
            raise Refused(f"tensor {name} reaches element {last}, but its storage has {self.storage.count}")
        if math.prod(self.shape) > self.storage.count:
            raise Refused(f"tensor {name} repeats elements of its storage, which no parameter does")

    def bytes(self):
        """The elements in row-major order."""
        size, data = self.storage.dtype.size, memoryview(self.storage.data)
        if 0 in self.shape:
            return b""
        # The longest tail of dimensions that lies in one piece is copied at once.
        run, outer = 1, len(self.shape)
        while outer and (self.stride[outer - 1] == run or self.shape[outer - 1] == 1):
            run *= self.shape[outer - 1]
            outer -= 1
        if outer == 0:
            start = self.offset * size
            return data[start : start + run * size]
        starts = [self.offset]
        for count, stride in zip(self.shape[:outer], self.stride[:outer]):
            starts = [start + i * stride for start in starts for i in range(count)]
        return b"".join(data[start * size : (start + run) * size] for start in starts)


def rebuild_tensor(storage, offset, shape, stride, *_):
    if not isinstance(storage, Storage):
        raise Refused("a tensor without a storage")
    return Tensor(storage, offset, tuple(shape), tuple(stride))


def rebuild_parameter(tensor, *_):
    if not isinstance(tensor, Tensor):
        raise Refused("a parameter without a tensor")
    return tensor


GLOBALS = {
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch.storage", "UntypedStorage"): Dtype("UntypedStorage"),
    **{("torch", name): Dtype(name) for name in STORAGES},
}


class Unpickler(pickle.Unpickler):
    """Reads a pickle that consists of tensors, containers and plain values."""

    def __init__(self, file, load):
        super().__init__(file)
        self.load_storage = load

    def find_class(self, module, name):
        try:
            return GLOBALS[module, name]
        except KeyError:
            raise Refused(
                f"the checkpoint asks for {module}.{name}, which tensors do not need; "
                "it may be harmful, or must be saved again as a state_dict"
            ) from None

    def persistent_load(self, pid):
        try:
            kind, dtype, key, _device, count, *view = pid
        except (TypeError, ValueError):
            kind = None
        if kind != "storage" or not isinstance(dtype, Dtype) or not isinstance(count, int) or count < 0:
            raise Refused(f"the checkpoint refers to something that is not a storage: {pid!r:.80}")
        if any(part is not None for part in view):
            raise Refused("the checkpoint holds views of storages, as torch before 0.4 wrote them")
        return self.load_storage(dtype, str(key), count)


def swap(data, size):
    """The other byte order."""
    swapped = bytearray(len(data))
    for i in range(size):
        swapped[i::size] = data[size - 1 - i :: size]
    return bytes(swapped)


def read_zip(path):
    """The format of torch 1.6 and later: data.pkl, and data/KEY for each storage."""
    whole = os.path.getsize(path)
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if sum(entry.file_size for entry in entries.values()) > whole:
            raise Refused("the entries of the archive declare more bytes than the file has")
        pickles = [name for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise Refused(f"the archive has {len(pickles)} entries data.pkl, a checkpoint has one")
        root = pickles[0][: -len("data.pkl")]

        def read(name):
            if root + name not in entries:
                raise Refused(f"the archive has no entry {root}{name}")
            return archive.read(entries[root + name])

        order = read("byteorder").decode("ascii", "replace") if root + "byteorder" in entries else "little"
        if order not in ("little", "big"):
            raise Refused(f"unknown byte order {order!r}")
        storages = {}

        def load(dtype, key, count):
            if key not in storages:
                storage = Storage(dtype, count)
                storage.data = take(read("data/" + key), storage, key, order)
                storages[key] = storage
            return same(storages[key], dtype, count, key)

        if entries[pickles[0]].file_size > LARGEST_PICKLE:
            raise Refused("data.pkl is too large to hold names and shapes only")
        return Unpickler(io.BytesIO(read("data.pkl")), load).load()


def read_stream(path):
    """The format before torch 1.6: pickles one after the other, then all the storages."""
    storages = {}

    def load(dtype, key, count):
        storages.setdefault(key, Storage(dtype, count))
        return same(storages[key], dtype, count, key)

    def plain(*_):
        raise Refused("a storage where the stream has its header")

    with open(path, "rb") as file:
        if Unpickler(file, plain).load() != MAGIC:
            raise Refused("neither a zip archive nor a stream of torch.save")
        version = Unpickler(file, plain).load()
        if version != PROTOCOL:
            raise Refused(f"protocol {version!r} of the stream is not {PROTOCOL}")
        info = Unpickler(file, plain).load()
        order = "little" if not isinstance(info, dict) or info.get("little_endian", True) else "big"
        content = Unpickler(file, load).load()
        keys = Unpickler(file, plain).load()
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
            raise Refused("the storages at the end of the stream are not those of its tensors")
        left = os.path.getsize(path) - file.tell()
        for key in keys:
            storage = storages[str(key)]
            head = file.read(8)
            count = int.from_bytes(head, order)
            left -= 8 + storage.count * storage.dtype.size
            if len(head) < 8 or count != storage.count or left < 0:
                raise Refused(f"storage {key} has {count} elements, expected {storage.count}, or the file is cut")
            storage.data = take(file.read(count * storage.dtype.size), storage, key, order)
    return content


def same(storage, dtype, count, key):
    if storage.dtype is not dtype or storage.count != count:
        raise Refused(f"storage {key} is described in two ways")
    return storage


def take(data, storage, key, order):
    """The bytes of a storage in little-endian order, as safetensors has them."""
    expected = storage.count * storage.dtype.size
    if len(data) != expected:
        raise Refused(f"storage {key} has {len(data)} bytes, expected {expected}")
    return swap(data, storage.dtype.size) if order == "big" and storage.dtype.size > 1 else data


def choose(content, key):
    """The dictionary of tensors inside a checkpoint."""
    if not isinstance(content, dict):
        raise Refused(f"the checkpoint is a {type(content).__name__}, expected a dictionary of tensors")
    if key is None:
        key = next((k for k in KEYS if isinstance(content.get(k), dict)), None)
    if key is None:
        return content
    if not isinstance(content.get(key), dict):
        names = ", ".join(str(k) for k, v in content.items() if isinstance(v, dict)) or "none"
        raise Refused(f"no dictionary under the key {key!r}; dictionaries there: {names}")
    return content[key]


def encode(tensors, cast):
    """Header and contents of the safetensors file."""
    parts = []
    for name, tensor in tensors.items():
        tensor.check(name)
        dtype, data = tensor.storage.dtype, tensor.bytes()
        if dtype.name == "F64":
            if cast != "f32":
                raise Refused(f"tensor {name} is float64; pass --cast f32 to round it")
            dtype, data = Dtype("FloatStorage"), round_f64(name, data)
        parts.append((-dtype.size, name, dtype.name, list(tensor.shape), data))
    # Widest elements first: then every tensor is aligned to its elements.
    parts.sort(key=lambda part: part[:2])
    header, position = {}, 0
    for _, name, dtype, shape, data in parts:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + len(data)]}
        position += len(data)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [struct.pack("<Q", len(text)), text, *(part[-1] for part in parts)]


def round_f64(name, data):
    values = struct.unpack(f"<{len(data) // 8}d", data)
    try:
        return struct.pack(f"<{len(values)}f", *values)
    except OverflowError:
        raise Refused(f"tensor {name} has values that float32 cannot hold") from None


def write(path, chunks):
    """Writes beside the target and renames, so that there is never half a file."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)), suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
        # mkstemp lets nobody else read; a new file has the rights of the others.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def convert(source, target, key, cast):
    with open(source, "rb") as file:
        zipped = file.read(4) == b"PK\3\4"
    content = read_zip(source) if zipped else read_stream(source)
    entries = choose(content, key)
    tensors = {k: v for k, v in entries.items() if isinstance(k, str) and isinstance(v, Tensor)}
    for name, value in entries.items():
        if name not in tensors:
            print(f"skipped {name!r}: {type(value).__name__}, not a tensor")
    if "__metadata__" in tensors:
        raise Refused("a tensor named __metadata__, which safetensors keeps for itself")
    if not tensors:
        raise Refused("there are no tensors in the checkpoint, or they lie deeper; see --key")
    write(target, encode(tensors, cast))
    print(f"{target}: {len(tensors)} tensors")


def main():
    about, _, rest = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        description=about, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", help="checkpoint: .pth, .pt or .bin")
    parser.add_argument("output", help="safetensors file to write")
    parser.add_argument("--key", help="entry that holds the tensors (default: state_dict or model, if any)")
    parser.add_argument("--cast", choices=["f32"], help="round float64 tensors instead of refusing them")
    arguments = parser.parse_args()
    try:
        convert(arguments.input, arguments.output, arguments.key, arguments.cast)
    except (Refused, OSError, zipfile.BadZipFile) as error:
        reason = str(error)
    except MemoryError:
        reason = "not enough memory"
    except Exception as error:  # A damaged pickle can fail in any way.
        reason = f"damaged or not a checkpoint ({type(error).__name__}: {error})"
    else:
        return 0
    print(f"convert_pth: {arguments.input}: {' '.join(reason.split())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

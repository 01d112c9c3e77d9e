"""Writes the tables of this folder: expected results of PTX arithmetic by exact rational arithmetic.

Each line: operation, operands, results for .rn .rz .rm .rp, all in hexadecimal.
Usage: python reference.py (in this folder). Deterministic.
"""
import math
import random
import struct
from fractions import Fraction as Q

MODES = "nzmp"


class Format:
    def __init__(self, bits, mantissa, nan):
        self.bits, self.mantissa, self.nan = bits, mantissa, nan
        self.field = bits - 1 - mantissa
        self.bias = (1 << (self.field - 1)) - 1
        self.inf = ((1 << self.field) - 1) << mantissa
        self.sign = 1 << (bits - 1)

    def negative(self, x):
        return bool(x & self.sign)

    def is_nan(self, x):
        return x & (self.sign - 1) > self.inf

    def is_inf(self, x):
        return x & (self.sign - 1) == self.inf

    def is_zero(self, x):
        return x & (self.sign - 1) == 0

    def value(self, x):
        size = x & (self.sign - 1)
        field, low = size >> self.mantissa, size & ((1 << self.mantissa) - 1)
        if field:
            low += 1 << self.mantissa
        v = Q(low) * Q(2) ** (max(field, 1) - self.bias - self.mantissa)
        return -v if self.negative(x) else v

    def round(self, v, mode, negative=False, sticky=False):
        """v: exact value; sticky: the magnitude is a little more than |v|; negative: sign of zero."""
        if v != 0:
            negative = v < 0
        v = abs(v)
        if v == 0 and not sticky:
            return self.sign if negative else 0
        low = 1 - self.bias - self.mantissa
        e = low
        if v:
            top = v.numerator.bit_length() - v.denominator.bit_length()
            if Q(2) ** top > v:
                top -= 1
            e = max(low, top - self.mantissa)
        units = v / Q(2) ** e
        kept = math.floor(units)
        rest = units - kept
        inexact = rest != 0 or sticky
        half = rest > Q(1, 2) or rest == Q(1, 2) and (sticky or kept & 1)
        kept += {"n": half, "z": False, "m": negative and inexact, "p": not negative and inexact}[mode]
        size = self.inf if kept * Q(2) ** e >= Q(2) ** (self.bias + 1) else 0
        if size:
            up = {"n": True, "z": False, "m": negative, "p": not negative}[mode]
            size = self.inf if up else self.inf - 1
        else:
            if kept >> (self.mantissa + 1):
                kept, e = kept >> 1, e + 1
            size = ((e - low) << self.mantissa) + kept
        return size | (self.sign if negative else 0)


F64, F32, F16, BF16 = (Format(64, 52, 2**63 - 1), Format(32, 23, 2**31 - 1), Format(16, 10, 0x7FFF), Format(16, 7, 0x7FFF))
TF32 = Format(19, 10, 0x3FFFF)


def add(f, a, b, mode):
    if f.is_nan(a) or f.is_nan(b) or f.is_inf(a) and f.is_inf(b) and a != b:
        return f.nan
    if f.is_inf(a) or f.is_inf(b):
        return a if f.is_inf(a) else b
    na, nb = f.negative(a), f.negative(b)
    both = f.is_zero(a) and f.is_zero(b) and na == nb
    return f.round(f.value(a) + f.value(b), mode, na if both else mode == "m")


def sub(f, a, b, mode):
    return add(f, a, b ^ f.sign, mode)


def mul(f, a, b, mode):
    s = (a ^ b) & f.sign
    if f.is_nan(a) or f.is_nan(b) or f.is_inf(a) and f.is_zero(b) or f.is_zero(a) and f.is_inf(b):
        return f.nan
    if f.is_inf(a) or f.is_inf(b):
        return f.inf | s
    return f.round(f.value(a) * f.value(b), mode, bool(s))


def fma(f, a, b, c, mode):
    s = (a ^ b) & f.sign
    if f.is_nan(a) or f.is_nan(b) or f.is_nan(c) or f.is_inf(a) and f.is_zero(b) or f.is_zero(a) and f.is_inf(b):
        return f.nan
    if f.is_inf(a) or f.is_inf(b):
        return f.nan if f.is_inf(c) and c & f.sign != s else f.inf | s
    if f.is_inf(c):
        return c
    p = f.value(a) * f.value(b)
    both = p == 0 and f.is_zero(c) and bool(s) == f.negative(c)
    return f.round(p + f.value(c), mode, bool(s) if both else mode == "m")


def div(f, a, b, mode):
    s = (a ^ b) & f.sign
    if f.is_nan(a) or f.is_nan(b) or f.is_inf(a) and f.is_inf(b) or f.is_zero(a) and f.is_zero(b):
        return f.nan
    if f.is_inf(a) or f.is_zero(b):
        return f.inf | s
    if f.is_inf(b):
        return s
    return f.round(f.value(a) / f.value(b), mode, bool(s))


def sqrt(f, a, mode):
    if f.is_nan(a) or f.negative(a) and not f.is_zero(a):
        return f.nan
    if f.is_zero(a) or f.is_inf(a):
        return a
    v = f.value(a) * Q(2) ** 2400
    root = math.isqrt(v.numerator)
    assert v.denominator == 1
    return f.round(Q(root) / Q(2) ** 1200, mode, sticky=root * root != v.numerator)


def convert(f, to, a, mode):
    if f.is_nan(a):
        return to.nan
    if f.is_inf(a):
        return to.inf | (to.sign if f.negative(a) else 0)
    return to.round(f.value(a), mode, f.negative(a))


def edges(f):
    one = f.bias << f.mantissa
    least = 1 << f.mantissa
    some = [0, 1, 2, least - 1, least, least + 1, one - 1, one, one + 1, one + least, one + least // 2, f.inf - 1, f.inf - 2, f.inf, f.nan, f.inf + 1]
    return some + [x | f.sign for x in some]


def sample(f, r):
    kind = r.random()
    if kind < 0.15:
        return r.choice(edges(f))
    if kind < 0.6:
        # Exponents near one another, few mantissa bits now and then.
        field = f.bias + r.randint(-f.mantissa - 3, f.mantissa + 3)
        x = max(0, field) << f.mantissa
        low = r.getrandbits(f.mantissa)
        if r.random() < 0.3:
            low &= ~((1 << r.randint(0, f.mantissa)) - 1)
        x |= low
        return min(x, f.inf - 1) | (f.sign if r.random() < 0.5 else 0)
    if kind < 0.75:
        return r.getrandbits(f.mantissa + 2) | (f.sign if r.random() < 0.5 else 0)
    return r.getrandbits(f.bits)


def lines(name, f, count, operation, operands, r, modes=MODES):
    seen = []
    for i in range(count):
        args = [sample(f, r) for _ in range(operands)]
        if operands == 3 and i % 3 == 0:
            # Cancellation, and ties broken by a distant term.
            args[2] = mul(f, args[0], args[1], r.choice(MODES)) ^ (f.sign if i % 2 else 0)
        if operands == 3 and i % 3 == 1:
            args = tie(f, r)
        if operands == 2 and i % 4 == 0:
            args[1] = (args[0] ^ f.sign) ^ r.choice([0, 0, 1, 2, 3])
        if operands == 1 and i < len(edges(f)):
            args = [edges(f)[i]]
        results = [operation(f, *args, m) for m in modes]
        seen.append(" ".join([name] + [f"{x:x}" for x in args + results]))
    return seen


def tie(f, r):
    """A product in the middle of two values, and a term far below it."""
    while True:
        a, b = ((f.bias + r.randint(-3, 3)) << f.mantissa | r.getrandbits(f.mantissa) for _ in range(2))
        drop = f.mantissa // 2
        a, b = a >> drop << drop, b >> drop << drop
        v = f.value(a) * f.value(b)
        if v.numerator.bit_length() == f.mantissa + 2:
            c = r.choice([0, 1, 2, 3, f.sign | 1, r.randint(1, f.bias // 4) << f.mantissa])
            return [a, b ^ r.choice([0, f.sign]), c ^ r.choice([0, f.sign])]


def arithmetic(f, count, modes, r):
    out = []
    for name, operation, operands in [("add", add, 2), ("sub", sub, 2), ("mul", mul, 2), ("fma", fma, 3), ("div", div, 2), ("sqrt", sqrt, 1)]:
        if f.bits == 16 and name in ("div", "sqrt"):
            continue
        out += lines(name, f, count * (2 if name == "fma" else 1), operation, operands, r, modes)
    return out


def conversions(r):
    out = []
    for name, f, to in [("f64_f32", F64, F32), ("f64_f16", F64, F16), ("f64_bf16", F64, BF16), ("f32_f16", F32, F16), ("f32_bf16", F32, BF16), ("f32_tf32", F32, TF32)]:
        for i in range(160):
            if i % 4 == 0:
                # The neighbourhood of a value, a middle and a limit of the narrow format.
                a = convert(to, f, r.choice(edges(to) + [r.getrandbits(to.bits)]), "n")
                a += r.choice([0, 0, 1, -1, 1 << (f.mantissa - to.mantissa - 1)]) + r.choice([0, 0, 1, -1])
                a &= 2 * f.sign - 1
            elif i % 4 == 1:
                a = (f.bias + r.randint(-to.bias - to.mantissa - 4, to.bias + 3)) << f.mantissa | r.getrandbits(f.mantissa)
                a = max(0, a) | (f.sign if r.random() < 0.5 else 0)
            else:
                a = sample(f, r)
            out.append(" ".join([name] + [f"{x:x}" for x in [a] + [convert(f, to, a, m) for m in MODES]]))
    for name, f in [("f32", F32), ("f64", F64), ("f16", F16), ("bf16", BF16)]:
        for bits in (64, 32, 16, 8):
            for signed in (True, False):
                for i in range(40 if bits == 64 else 12):
                    a = r.getrandbits(r.randint(1, bits))
                    if i < 8:
                        a = [0, 1, 2**bits - 1, 2 ** (bits - 1), 2 ** (bits - 1) - 1, 2 ** (bits - 1) + 1, 2 ** (bits // 2) + 1, 2**bits - 2][i]
                    elif i % 3 == 0:
                        # A middle of the format and its neighbours.
                        a = (2 * r.getrandbits(f.mantissa) + 2 ** (f.mantissa + 1) + 1) << r.randint(0, 62 - f.mantissa)
                        a = (a + r.choice([-1, 0, 1])) % 2**bits
                    v = a - 2**bits if signed and a >> (bits - 1) else a
                    out.append(" ".join([f"{'s' if signed else 'u'}{bits}_{f_name(f)}"] + [f"{x:x}" for x in [a] + [f.round(Q(v), m) for m in MODES]]))
    for name, f in [("f32", F32), ("f64", F64)]:
        for bits in (64, 32, 16, 8):
            for signed in (True, False):
                for i in range(60):
                    if i < 32:
                        a = edges(f)[i]
                    elif i < 50:
                        a = f.round(Q(r.randint(-40, 40), r.choice([1, 2, 4])), "n")
                        if r.random() < 0.3:
                            a += r.choice([1, -1])
                    else:
                        # Around the limits of the integer type.
                        limit = 2 ** (bits - signed) * r.choice([1, -1]) + r.choice([-1, 0, 1])
                        a = f.round(Q(limit) + Q(r.randint(-3, 3), 2), "n") + r.choice([-1, 0, 1])
                    a &= 2 * f.sign - 1
                    out.append(" ".join([f"{name}_{'s' if signed else 'u'}{bits}"] + [f"{x:x}" for x in [a] + [to_integer(f, a, bits, signed, m) for m in MODES]]))
    return out


def f_name(f):
    return {id(F64): "f64", id(F32): "f32", id(F16): "f16", id(BF16): "bf16"}[id(f)]


def to_integer(f, a, bits, signed, mode):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if f.is_nan(a):
        return 0 if f is not F64 and bits < 64 else 2 ** (bits - 1)
    if f.is_inf(a):
        return (low if f.negative(a) else high) % 2**bits
    v = f.value(a)
    n = {"n": round, "z": math.trunc, "m": math.floor, "p": math.ceil}[mode](v)
    return min(max(n, low), high) % 2**bits


def write(name, out):
    with open(name, "w") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    assert F32.value(0x3F800001) == Q(1) + Q(1, 2**23)
    for x in (0.1, -1e-40, 3.3e38, 5e-46, -7e-46):
        assert F32.round(Q(x), "n", x < 0) == struct.unpack("<I", struct.pack("<f", x))[0]
    write("f32.txt", arithmetic(F32, 250, MODES, random.Random(1)))
    write("f64.txt", arithmetic(F64, 250, MODES, random.Random(2)))
    write("f16.txt", arithmetic(F16, 500, "n", random.Random(3)))
    write("bf16.txt", arithmetic(BF16, 500, "n", random.Random(4)))
    write("convert.txt", conversions(random.Random(5)))

"""Write the answers that a noise generator in another language must give.

Run ``python tests/vectors/make_vectors.py``; a test compares the committed files with what the code gives.

Every file is text: one record per line, fields separated by single spaces, ``#`` starts a comment line.
Floats are the hexadecimal digits of their bits (8 for f32, 4 for f16). A ``CRC`` is the CRC-32 of zlib and
PNG (polynomial 0xEDB88320) over the little-endian bytes of all values in C order. ``BITS`` of a draw are all
of its values where it has 40 or fewer, else the first 4 and the last 20.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from samplegraph.runtime.noise import Rng, TorchGenerator, draw, philox_normals
from samplegraph.runtime.noise.cephes import log, sincos
from samplegraph.runtime.noise.fma import fma
from samplegraph.runtime.noise.philox import philox4x32

Floats = npt.NDArray[np.floating[Any]]
Record = Iterable[object]

TYPES: dict[str, type[np.float32] | type[np.float16]] = {"f32": np.float32, "f16": np.float16}
SEEDS = (0, 1, 42, 2**32 - 1, 2**32 + 7, 2**63, 2**64 - 1)
MIXED = (3, 16, 1, 1, 17, 15, 100, 2, 40, 5, 1000, 14, 16, 1)


def crc(values: Floats) -> str:
    """CRC-32 of the little-endian bytes, 8 hexadecimal digits."""
    return f"{zlib.crc32(values.astype(values.dtype.newbyteorder('<'), copy=False).tobytes()):08x}"


def bits(values: Floats) -> list[str]:
    """All values of a short draw, the first 4 and last 20 of a long one, as hexadecimal digits."""
    flat = values.reshape(-1)
    shown = flat if flat.size <= 40 else np.concatenate((flat[:4], flat[-20:]))
    width = shown.dtype.itemsize
    return [f"{each:0{2 * width}x}" for each in shown.view(f"u{width}").tolist()]


def math_records() -> Iterator[Record]:
    """Single operations, with arguments that tell right from nearly right."""
    one, tiny, tie = 1.0, 2.0**-80, 1.0 + 2.0**-12
    triples = [(tie, tie, 0.0), (tie, tie, tiny), (tie, tie, -tiny), (-tie, tie, tiny), (-tie, tie, -tiny)]
    triples += [(tie, 2.0**-149, -(2.0**-149)), (2.0**-75, 2.0**-75, 0.0), (2.0**-75, 1.5 * 2.0**-75, 0.0)]
    triples += [(one + 2.0**-23, one - 2.0**-23, -one), (2.0**64, 2.0**63, 2.0**103), (2.0**64, 2.0**64, 0.0)]
    for triple in triples:
        a, b, c = (np.array([each], np.float32) for each in triple)
        yield "fma", *bits(np.concatenate((a, b, c, fma(a, b, c))))
    steps = [1, 2, 3, 5, 100, 65537, 4913933, 4913934, 11863283, 11863284, 2**23, 2**24 - 2, 2**24 - 1, 2**24]
    for step in steps:
        u = np.array([step], np.float32) * np.float32(2.0**-24)
        yield "log", *bits(np.concatenate((u, log(u))))
    steps = [
        0,
        1,
        77,
        2097151,
        2097152,
        2097153,
        4194303,
        4194304,
        4194305,
        6291456,
        8388607,
        8388608,
        8388609,
    ]
    steps += [10485760, 12582909, 12582911, 12582912, 12582913, 12582915, 14680064, 16777214, 16777215]
    for step in steps:
        theta = np.array([step], np.float32) * np.float32(2.0**-24) * np.float32(2 * np.pi)
        yield "sincos", *bits(np.concatenate((theta, *sincos(theta))))


def torch_records() -> Iterator[Record]:
    """Draws of `TorchGenerator`; lines with one stream number come from one generator, in order."""
    streams: list[tuple[int, list[tuple[str, int]]]] = []
    streams += [(1234 + size, [("f32", size)]) for size in range(1, 41)]
    streams += [(1234 + size, [("f16", size)]) for size in range(1, 41)]
    streams += [(seed, [("f32", 20), ("f32", 100), ("f32", 1000)]) for seed in SEEDS]
    streams += [(seed, [("f16", 20), ("f16", 100), ("f16", 1000)]) for seed in SEEDS]
    streams += [(7, [("f32", size) for size in MIXED]), (7, [("f16", size) for size in MIXED])]
    streams += [(7, [(("f32", "f16")[i % 2], size) for i, size in enumerate(MIXED)])]
    streams += [(2024, [("f32", 16384), ("f32", 1), ("f32", 99999), ("f32", 1)])]
    for number, (seed, draws) in enumerate(streams):
        generator = TorchGenerator(seed)
        for kind, size in draws:
            values = generator.normal((size,), TYPES[kind])
            yield number, seed, kind, size, crc(values), *bits(values)


def philox_records() -> Iterator[Record]:
    """The cipher on Random123's known-answer inputs, and draws."""
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)
    for words in ((0,) * 6, (0xFFFFFFFF,) * 6, pi, (1, 2, 3, 0, 4, 5)):
        c0, c1, c2, c3, k0, k1 = (np.array([word], np.uint32) for word in words)
        output = philox4x32((c0, c1, c2, c3), (k0, k1))
        yield "block", *(f"{word:08x}" for word in (*words, *(int(each[0]) for each in output)))
    places = [(seed, 0, 0, 12) for seed in SEEDS] + [
        (7, 0, 0, size) for size in (1, 2, 3, 4, 5, 40, 100, 1000)
    ]
    places += [
        (7, sample, number, 6) for sample in (0, 1, 255, 2**32 - 1) for number in (0, 1, 50, 2**32 - 1)
    ]
    for seed, sample, number, size in places:
        values = philox_normals([(seed, sample)], range(number, number + 1), size)
        for kind, dtype in TYPES.items():
            typed: Floats = values.astype(dtype)
            yield "draw", seed, sample, number, kind, size, crc(typed), *bits(typed)


def draw_records() -> Iterator[Record]:
    """Batches made by `draw`: what a program is fed."""
    rngs: tuple[Rng, ...] = ("torch", "philox")
    shapes = [(1,), (7,), (16, 2), (5, 5), (4, 8, 8), (1, 16, 16)]
    for rng in rngs:
        for shape in shapes:
            for kind, dtype in TYPES.items():
                for seed, samples, slices in (
                    (0, 1, 0),
                    (3, 1, 2),
                    (3, 4, 3),
                    ([3], 1, 2),
                    ([9, 3, 2**40], 3, 3),
                ):
                    noise, steps = draw(
                        seed, samples=samples, sample_shape=shape, slices=slices, rng=rng, dtype=dtype
                    )
                    seeds = f"one:{seed}" if isinstance(seed, int) else "each:" + ",".join(map(str, seed))
                    size = "x".join(map(str, shape))
                    yield rng, seeds, samples, size, slices, kind, crc(noise), crc(steps)


def uniform_records() -> Iterator[Record]:
    """Batches of uniforms, as programs over tokens are fed."""
    sources: list[tuple[int | list[int], int]] = [(seed, 2) for seed in SEEDS] + [([9, 3, 2**40], 3)]
    for seed, samples in sources:
        for shape, slices in (((1,), 0), ((7,), 2), ((9, 16), 1), ((3, 5, 5), 3)):
            noise, steps = draw(seed, samples=samples, sample_shape=shape, slices=slices, noise_kind="uniform")
            seeds = f"one:{seed}" if isinstance(seed, int) else "each:" + ",".join(map(str, seed))
            yield seeds, samples, "x".join(map(str, shape)), slices, crc(steps), crc(noise), *bits(noise)


def contents() -> dict[str, str]:
    """File name -> text."""
    files = {
        "noise_math.txt": (
            "fma A B C RESULT | log U RESULT | sincos THETA SINE COSINE, all bits of f32",
            math_records(),
        ),
        "noise_torch.txt": (
            "STREAM SEED TYPE SIZE CRC BITS...: lines with one STREAM come from one generator, in order",
            torch_records(),
        ),
        "noise_philox.txt": (
            "block C0 C1 C2 C3 K0 K1 W0 W1 W2 W3 | draw SEED SAMPLE SLICE TYPE SIZE CRC BITS...",
            philox_records(),
        ),
        "noise_draw.txt": (
            "RNG one:SEED|each:SEED,SEED,... SAMPLES SHAPE SLICES TYPE CRC_OF_NOISE CRC_OF_STEP_NOISE",
            draw_records(),
        ),
        "noise_uniform.txt": (
            "one:SEED|each:SEED,SEED,... SAMPLES SHAPE SLICES CRC_OF_STEP_NOISE CRC_OF_NOISE BITS_OF_NOISE..., all f32",
            uniform_records(),
        ),
    }
    return {
        name: "\n".join([f"# {heading}", *(" ".join(map(str, record)) for record in records), ""])
        for name, (heading, records) in files.items()
    }


if __name__ == "__main__":
    for name, text in contents().items():
        Path(__file__).with_name(name).write_text(text, encoding="ascii", newline="\n")

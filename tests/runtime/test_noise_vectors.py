"""The committed test vectors for other languages are what the code gives now."""

from __future__ import annotations

import importlib.util
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "vectors"
NAMES = ["noise_draw.txt", "noise_math.txt", "noise_philox.txt", "noise_torch.txt", "noise_uniform.txt"]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_vectors", FOLDER / "make_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_committed_vectors_are_current(maker: ModuleType, name: str) -> None:
    committed = (FOLDER / name).read_text(encoding="ascii").splitlines()
    current = maker.contents()[name].splitlines()
    different = [i for i, (a, b) in enumerate(zip(committed, current, strict=False), 1) if a != b]
    assert len(committed) == len(current)
    assert not different, f"{name}: run tests/vectors/make_vectors.py if this is meant; lines {different[:5]}"


def test_every_file_is_compared(maker: ModuleType) -> None:
    assert sorted(maker.contents()) == NAMES
    assert sorted(path.name for path in FOLDER.glob("noise_*.txt")) == NAMES


def test_a_reader_that_knows_only_the_format() -> None:
    """The first draws of 40 or fewer values: bits parse, and their CRC is the one in the file."""
    lines = [line.split(" ") for line in (FOLDER / "noise_torch.txt").read_text().splitlines()]
    draws = [line for line in lines if line[0] != "#" and int(line[3]) <= 40]
    assert len(draws) > 80
    for _, _, kind, size, crc, *bits in draws:
        words = np.array([int(word, 16) for word in bits], "<u4" if kind == "f32" else "<u2")
        assert len(words) == int(size)
        assert f"{zlib.crc32(words.tobytes()):08x}" == crc

"""``name=value`` parsing and the picture's grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samplegraph.export.cli.picture import columns_for, grid
from samplegraph.export.cli.values import parse_seed, parse_settings, parse_value
from samplegraph.runtime import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("0.5", 0.5),
        ("1e-3", 1e-3),
        ("-inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("null", None),
        ("none", None),
        ("karras", "karras"),
        ("v_prediction", "v_prediction"),
        ("1_0", "1_0"),
        ("0,1,2", [0, 1, 2]),
        ("0, 1.5 ,x", [0, 1.5, "x"]),
        ("3,", [3]),
        ("[1, [2, 3]]", [1, [2, 3]]),
        ("[]", []),
        ('{"a": 1}', {"a": 1}),
        ('"0,1"', "0,1"),
        (" 7 ", 7),
    ],
)
def test_values(text: str, value: Any) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(("text", "word"), [("", "has no value"), ("[1,", "is not JSON"), ("1,,2", "empty entry")])
def test_values_that_cannot_be_read(text: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        parse_value(text, "x")


def test_settings() -> None:
    assert parse_settings(["a=1", "b = x=y", "c=1,2"]) == {"a": 1, "b": "x=y", "c": [1, 2]}
    assert parse_settings([]) == {}
    for bad in (["a"], ["=1"], ["a=1", "a=1"]):
        with pytest.raises(InputError):
            parse_settings(bad)


@pytest.mark.parametrize(("text", "seed"), [("0", 0), ("0,1,2", [0, 1, 2]), ("7,", [7]), ("[1,2]", [1, 2])])
def test_seeds(text: str, seed: int | list[int]) -> None:
    assert parse_seed(text) == seed


@pytest.mark.parametrize("text", ["", "x", "1.5", "true", "null", "1,x", "{}", '"1"'])
def test_seeds_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="seed"):
        parse_seed(text)


def test_arrays_from_files(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "a.npy", array)
    assert np.array_equal(parse_value(f"@{tmp_path}/a.npy"), array)
    np.savez(tmp_path / "b.npz", a=array)
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-8])
    (tmp_path / "header.npy").write_bytes(whole[:12] + b"(((" + whole[15:])
    (tmp_path / "huge.npy").write_bytes(whole.replace(b"(2, 3)", b"(99999999999999, 3)"))
    (tmp_path / "empty.npy").write_bytes(b"")
    for name in ("b.npz", "cut.npy", "header.npy", "huge.npy", "empty.npy", "missing.npy", "."):
        with pytest.raises(InputError, match="x=@"):
            parse_value(f"@{tmp_path}/{name}", "x")


@pytest.mark.parametrize(
    ("count", "columns"),
    [(1, 1), (3, 3), (5, 5), (6, 3), (8, 4), (9, 3), (10, 5), (12, 4), (16, 4), (100, 10)],
)
def test_grids_are_tidy(count: int, columns: int) -> None:
    assert columns_for(count) == columns


def test_small_samples_are_scaled_up_by_a_whole_number() -> None:
    ramp = np.linspace(-1, 1, 16 * 16).reshape(1, 1, 16, 16)
    picture = grid(ramp)
    assert picture.shape == (128, 128, 1)
    assert np.array_equal(picture[::8, ::8, 0], np.rint((ramp[0, 0] + 1) * 127.5))
    assert np.array_equal(picture, picture[::8, ::8].repeat(8, 0).repeat(8, 1))


def test_every_sample_has_its_place() -> None:
    colours = np.linspace(-1, 1, 7).reshape(7, 1, 1, 1) * np.ones((7, 3, 64, 32))
    picture = grid(colours)
    columns = columns_for(7)
    gap = (picture.shape[1] - columns * 64) // (columns + 1)
    for i in range(7):
        top, left = gap + (i // columns) * (128 + gap), gap + (i % columns) * (64 + gap)
        tile = picture[top : top + 128, left : left + 64]
        assert np.all(tile == np.rint((colours[i, 0, 0, 0] + 1) * 127.5))
    assert np.all(picture[:gap] == 255)


@pytest.mark.parametrize(("count", "side"), [(1, 512), (100, 16), (1000, 16), (9, 1024), (2, 2500)])
def test_pictures_stay_within_bounds(count: int, side: int) -> None:
    height, width, _ = grid(np.zeros((count, 1, side, side), np.float16)).shape
    assert max(height, width) <= max(2048, (columns_for(count) + 1) * side) * 1.2


def test_values_beyond_the_range_are_clipped() -> None:
    picture = grid(np.array([-5.0, 5.0]).reshape(1, 1, 1, 2))
    assert (picture[0, 0, 0], picture[0, -1, 0]) == (0, 255)

"""The interface of `draw`: shapes, types, and what it says about unusable arguments."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from samplegraph.runtime.noise import RNGS, NoiseError, Rng, TorchGenerator, draw

GOOD: dict[str, Any] = {"seed": 0, "samples": 2, "sample_shape": (3, 4), "slices": 1}


def call(**changes: Any) -> tuple[np.ndarray, np.ndarray]:
    arguments = {**GOOD, **changes}
    return draw(arguments.pop("seed"), **arguments)


@pytest.mark.parametrize("rng", RNGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, "float32", np.dtype(np.float16)])
@pytest.mark.parametrize("slices", [0, 1, 5])
def test_shapes_and_types(rng: Rng, dtype: Any, slices: int) -> None:
    noise, step_noise = call(rng=rng, dtype=dtype, slices=slices)
    assert noise.shape == (2, 3, 4)
    assert step_noise.shape == (slices, 2, 3, 4)
    for each in (noise, step_noise):
        assert each.dtype == np.dtype(dtype)
        assert each.flags.c_contiguous
        assert each.flags.writeable


@pytest.mark.parametrize("rng", RNGS)
@pytest.mark.parametrize("seeds", [7, [7, 8]])
def test_same_arguments_same_bits(rng: Rng, seeds: Any) -> None:
    for a, b in zip(call(seed=seeds, rng=rng), call(seed=seeds, rng=rng), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rng", RNGS)
def test_initial_noise_does_not_depend_on_the_number_of_slices(rng: Rng) -> None:
    np.testing.assert_array_equal(call(rng=rng, slices=0)[0], call(rng=rng, slices=4)[0])


@pytest.mark.parametrize("rng", RNGS)
def test_sample_with_its_own_seed_does_not_depend_on_the_batch(rng: Rng) -> None:
    noise, step_noise = call(seed=[4, 5, 6], samples=3, rng=rng)
    alone, alone_steps = call(seed=[5], samples=1, rng=rng)
    one, one_steps = call(seed=5, samples=1, rng=rng)
    np.testing.assert_array_equal(noise[1], alone[0])
    np.testing.assert_array_equal(step_noise[:, 1], alone_steps[:, 0])
    np.testing.assert_array_equal(alone, one)
    np.testing.assert_array_equal(alone_steps, one_steps)


@pytest.mark.parametrize("rng", RNGS)
def test_integers_of_numpy(rng: Rng) -> None:
    plain = call(seed=5, rng=rng)[0]
    for seed in (np.int64(5), np.uint64(5), np.uint8(5), np.int32(5)):
        np.testing.assert_array_equal(call(seed=seed, rng=rng)[0], plain)
    listed = call(seed=[5, 6], rng=rng)[0]
    for seeds in (np.array([5, 6]), np.array([5, 6], np.uint64), (5, np.int16(6)), range(5, 7)):
        np.testing.assert_array_equal(call(seed=seeds, rng=rng)[0], listed)
    sized = call(seed=5, samples=np.int64(2), sample_shape=[np.int32(3), 4], slices=np.uint8(1), rng=rng)[0]
    np.testing.assert_array_equal(sized, plain)


BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"seed": -1},
        r"seed=-1: allowed is an int from 0 to 2\*\*64 - 1 = 18446744073709551615; use seed % 2\*\*64",
    ),
    ({"seed": 2**64}, r"seed=18446744073709551616: .*; use seed % 2\*\*64$"),
    ({"seed": True}, "seed=True: .*; pass an int, not bool"),
    ({"seed": np.True_}, r"seed=(np.)?True_?: .*; pass an int, not bool"),
    ({"seed": 1.0}, "seed=1.0: .*; pass an int, not float"),
    ({"seed": np.float32(1)}, r"seed=(np.float32\()?1.0\)?: .*; pass an int, not float32"),
    ({"seed": "1"}, "seed='1': .*; pass an int, not str"),
    ({"seed": None}, "seed=None: .*; pass an int, not NoneType"),
    ({"seed": np.array(3)}, r"seed=array\(3\): .*; pass an int, not ndarray"),
    ({"seed": np.array([[3, 4]])}, "seed=array.*; pass an int, not ndarray"),
    ({"seed": [1, -2]}, r"seed\[1\]=-2: "),
    ({"seed": [1, False]}, r"seed\[1\]=False: "),
    ({"seed": [1, [2]]}, r"seed\[1\]=\[2\]: "),
    ({"seed": np.array([1.0, 2.0])}, r"seed\[0\]=(np.float64\()?1.0\)?: "),
    ({"seed": [1]}, r"seed=\[1\]: allowed is one int, or a list of samples=2 ints; give 2 seeds, not 1"),
    ({"seed": []}, r"seed=\[\]: .*; give 2 seeds, not 0"),
    ({"seed": list(range(1000))}, r"seed=\[0, 1, .*\.\.\.: .*; give 2 seeds, not 1000"),
    ({"samples": 0}, "samples=0: allowed is an int >= 1; pass 1 or more"),
    ({"samples": 2.0}, r"samples=2\.0: allowed is an int >= 1"),
    ({"samples": True}, "samples=True: allowed is an int >= 1"),
    ({"slices": -1}, "slices=-1: allowed is an int >= 0"),
    ({"slices": None}, "slices=None: allowed is an int >= 0"),
    ({"sample_shape": ()}, r"sample_shape=\(\): allowed is one axis or more; use \(1,\)"),
    ({"sample_shape": (3, 0)}, r"sample_shape=\(3, 0\): allowed is a sequence of ints >= 1"),
    ({"sample_shape": (-1, 4)}, r"sample_shape=\(-1, 4\): .*; give every axis a fixed size"),
    ({"sample_shape": (3.0, 4)}, r"sample_shape=\(3.0, 4\): "),
    ({"sample_shape": ("height", 4)}, r"sample_shape=\('height', 4\): "),
    ({"sample_shape": 12}, "sample_shape=12: .*; pass a tuple"),
    ({"sample_shape": "12"}, "sample_shape='12': .*; pass a tuple"),
    ({"rng": "numpy"}, "rng='numpy': allowed is 'torch' or 'philox'; use rng='torch'"),
    ({"rng": None}, "rng=None: allowed is 'torch' or 'philox'"),
    ({"rng": ["torch"]}, r"rng=\['torch'\]: allowed is 'torch' or 'philox'"),
    ({"dtype": np.float64}, "dtype=<class 'numpy.float64'>: allowed is numpy.float32 or numpy.float16; draw"),
    ({"dtype": "bfloat16"}, "dtype='bfloat16': allowed is numpy.float32"),
    ({"dtype": int}, "dtype=<class 'int'>: allowed is numpy.float32"),
]


@pytest.mark.parametrize("rng", RNGS)
@pytest.mark.parametrize(("changes", "message"), BAD)
def test_unusable_arguments(changes: dict[str, Any], message: str, rng: Rng) -> None:
    with pytest.raises(NoiseError, match=r"^" + message) as caught:
        call(**{"rng": rng, **changes})
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)
    assert caught.value.argument.split("[")[0] == next(iter(changes))


def test_generator_checks_its_arguments() -> None:
    with pytest.raises(NoiseError, match=r"^seed=-1: "):
        TorchGenerator(-1)
    for shape in ((-1,), (2.0,), 5, None):
        with pytest.raises(NoiseError, match=r"^shape="):
            TorchGenerator(0).normal(shape)  # type: ignore[arg-type]
    with pytest.raises(NoiseError, match=r"^dtype="):
        TorchGenerator(0).normal((2,), np.float64)
    with pytest.raises(NoiseError, match=r"^count=-1: "):
        TorchGenerator(0).normals(-1, (2,))


def test_needs_numpy_alone() -> None:
    code = (
        "import sys, samplegraph.runtime.noise\n"
        "print(sorted({'torch', 'scipy', 'onnx', 'onnxruntime', 'diffusers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

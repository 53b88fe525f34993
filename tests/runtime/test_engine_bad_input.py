"""Every argument error is one line that names the argument, before ONNX Runtime sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samplegraph.runtime import Engine, InputError
from samplegraph.runtime.manifest import GuidancePlan, Tensor

Toy = Callable[..., Path]
NAN, INF = float("nan"), float("inf")
NOISE = np.zeros((3, 1, 4, 4))
STEPS = np.zeros((2, 3, 1, 4, 4))
OK: dict[str, Any] = {"seed": 0, "class_labels": 1}
OWN: dict[str, Any] = {"noise": NOISE, "step_noise": STEPS, "class_labels": 1}


class Foreign:
    """An array type that cannot be turned into numpy's."""

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise RuntimeError("Can't call numpy() on a tensor\nthat requires grad")


CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"seed": 0}, ["class_labels is missing", "int64", "0..10"]),
    ({"seed": 0, "class_labels": None}, ["class_labels is missing"]),
    ({**OK, "class_label": 1}, ["'class_label'", "did you mean 'class_labels'"]),
    ({**OK, "sample": 1}, ["'sample'", "takes class_labels, guidance_scale"]),
    ({**OK, "class_labels": 42}, ["class_labels=42 is out of range", "0..10"]),
    ({**OK, "class_labels": [0, 1, -1]}, ["class_labels=-1 at [2]", "0..10"]),
    ({**OK, "class_labels": 1.0}, ["class_labels=1.0 is float64", "int64", "whole numbers"]),
    ({**OK, "class_labels": [1.5, 2]}, ["class_labels=[1.5, 2.0] is float64"]),
    ({**OK, "class_labels": True}, ["class_labels=True is bool"]),
    ({**OK, "class_labels": "three"}, ["class_labels='three' is text"]),
    ({**OK, "class_labels": 2**70}, ["class_labels=1180591620717411303424", "int64"]),
    (
        {**OK, "class_labels": np.array([2**63], np.uint64)},
        ["class_labels=9223372036854775808 does not fit int64"],
    ),
    ({**OK, "class_labels": [[1], [2, 3]]}, ["class_labels is not an array", "int64", "(M,)"]),
    ({**OK, "class_labels": [[1, 2]]}, ["class_labels has shape (1, 2)", "(M,)"]),
    ({**OK, "class_labels": []}, ["class_labels is empty"]),
    ({**OK, "class_labels": Foreign()}, ["class_labels is not an array", "requires grad"]),
    ({**OK, "class_labels": {"a": 1}}, ["class_labels", "object"]),
    ({**OK, "guidance_scale": NAN}, ["guidance_scale=nan is not finite"]),
    ({**OK, "guidance_scale": -INF}, ["guidance_scale=-inf is not finite"]),
    ({**OK, "guidance_scale": 1e300}, ["guidance_scale", "not finite in float32"]),
    ({**OK, "guidance_scale": [1.0, 2.0]}, ["guidance_scale has shape (2,)", "single number"]),
    ({**OK, "guidance_scale": True}, ["guidance_scale=True is bool"]),
    ({**OK, "guidance_scale": 2 + 1j}, ["guidance_scale=(2+1j) is complex128"]),
    ({"class_labels": 1}, ["seed is missing", "noise and step_noise"]),
    ({**OK, "seed": -1}, ["seed=-1"]),
    ({**OK, "seed": 1.5}, ["seed=1.5"]),
    ({**OK, "seed": True}, ["seed=True"]),
    ({**OK, "seed": "0"}, ["seed='0'"]),
    ({**OK, "seed": [0, -1]}, ["seed[1]=-1"]),
    ({**OK, "seed": [0, 1], "class_labels": [1, 2, 3]}, ["class_labels has 3 rows", "seed has 2 rows"]),
    ({**OK, "seed": [0], "samples": 3}, ["seed has 1 row,", "samples=3"]),
    ({**OK, "samples": 0}, ["samples=0", "at least 1"]),
    ({**OK, "samples": 2.0}, ["samples=2.0"]),
    ({**OK, "samples": 10**13}, ["samples=10000000000000 cannot be drawn"]),
    ({**OK, "rng": "numpy"}, ["rng='numpy'", "torch"]),
    ({**OWN, "seed": 0}, ["seed=0 and noise are both given"]),
    ({**OK, "step_noise": STEPS}, ["seed=0 and step_noise are both given"]),
    ({"noise": NOISE, "class_labels": 1}, ["step_noise is missing", "(2, M, 1, 4, 4)"]),
    ({"step_noise": STEPS, "class_labels": 1}, ["seed is missing"]),
    ({**OWN, "noise": NOISE[:2]}, ["step_noise has 3 rows", "noise has 2 rows"]),
    ({**OWN, "noise": NOISE[0]}, ["noise has shape (1, 4, 4)", "(M, 1, 4, 4)"]),
    ({**OWN, "noise": NOISE[..., :3]}, ["noise has shape (3, 1, 4, 3)"]),
    ({**OWN, "noise": NOISE.astype(str)}, ["noise of shape (3, 1, 4, 4) is text"]),
    ({**OWN, "noise": np.where(np.arange(4) == 2, NAN, NOISE)}, ["noise=nan at [0, 0, 0, 2]"]),
    ({**OWN, "step_noise": STEPS[:1]}, ["step_noise has shape (1, 3, 1, 4, 4)", "(2, M, 1, 4, 4)"]),
    ({**OWN, "step_noise": STEPS + INF}, ["step_noise=inf at [0, 0, 0, 0, 0]"]),
    ({**OWN, "class_labels": [1, 2]}, ["class_labels has 2 rows", "noise has 3 rows"]),
]


@pytest.mark.parametrize("batch", [1, 2, "batch"])
@pytest.mark.parametrize(("arguments", "words"), CASES, ids=[str(i) for i in range(len(CASES))])
def test_bad_argument(toy: Toy, batch: int | str, arguments: dict[str, Any], words: list[str]) -> None:
    engine = Engine(toy(batch=batch, slices=2))
    engine._session = None  # type: ignore[assignment]  # nothing may reach it
    with pytest.raises(InputError) as caught:
        engine(**arguments)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 300
    assert text.startswith(words[0])
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "seed is missing; give seed=0 (or one per sample), or your own step_noise"),
        ({"seed": 0, "noise": NOISE}, "noise is given, but toy-ddim-3 draws none before its steps; leave it out"),
        ({**OWN}, "noise is given, but toy-ddim-3 draws none before its steps; leave it out"),
        ({"seed": 0, "step_noise": STEPS}, "seed=0 and step_noise are both given; give a seed, or the noise arrays"),
        ({"step_noise": STEPS[:1]}, "step_noise has shape (1, 3, 1, 4, 4); allowed is (2, M, 1, 4, 4)"),
        ({"step_noise": STEPS[:, :2]}, "init_sample has 3 rows, step_noise has 2 rows"),
    ],
)
def test_an_inversion_that_draws(toy: Toy, arguments: dict[str, Any], text: str) -> None:
    engine = Engine(toy(slices=2, start="init_sample"))
    with pytest.raises(InputError) as caught:
        engine(**{"init_sample": NOISE, "class_labels": 1, **arguments})
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("start", ["noise", "init_sample"])
def test_slices_that_the_manifest_does_not_count(toy: Toy, start: str) -> None:
    path = toy(slices=2, start=start)
    path.write_bytes(path.read_bytes().replace(b'"slices": 2', b'"slices": 0'))
    with pytest.raises(InputError, match=r"damaged \(ValueError: step_noise and noise.slices contradict each other\)"):
        Engine(path)


def test_step_noise_for_a_deterministic_graph(toy: Toy) -> None:
    with pytest.raises(InputError, match="step_noise is given, but toy-ddim-3 draws none"):
        Engine(toy())(**OWN)


def test_a_missing_scale_without_default(toy: Toy) -> None:
    scale = Tensor("guidance_scale", "float32", (), "guidance_scale")
    with pytest.raises(InputError, match="guidance_scale is missing; give float32 values, a single number"):
        Engine(toy(conditions=(scale,)))(seed=0)


def test_a_scale_that_is_baked_in_is_named_so(toy: Toy) -> None:
    with pytest.raises(InputError, match=r"guidance_scale=3 .*no guidance"):
        Engine(toy(conditions=()))(seed=0, guidance_scale=3)
    plan = GuidancePlan("per_step", None, ("class_labels",), (1.0, 2.0, 3.0))
    with pytest.raises(InputError, match=r"guidance_scale=3 .*has one per step baked in; leave it out"):
        Engine(toy(conditions=(), guidance=plan))(seed=0, guidance_scale=3)


def test_floats_for_half_precision_have_to_fit(toy: Toy) -> None:
    half = Tensor("prompt", "float16", ("B", 2), "condition")
    engine = Engine(toy(conditions=(half,)))
    assert engine(seed=0, prompt=[1.0, 2.0]).shape == (1, 1, 4, 4)
    with pytest.raises(InputError, match=r"prompt=70000.0 at \[0, 1\] is not finite in float16"):
        engine(seed=0, prompt=[1.0, 70000.0])


def test_numbers_for_a_bool(toy: Toy) -> None:
    engine = Engine(toy(conditions=(Tensor("flag", "bool", ("B",), "condition"),)))
    with pytest.raises(InputError, match="flag=1 is int64; allowed is bool; give true or false"):
        engine(seed=0, flag=1)


def test_int32_has_its_own_limits(toy: Toy) -> None:
    engine = Engine(toy(conditions=(Tensor("k", "int32", ("B",), "condition"),)))
    with pytest.raises(InputError, match=r"k=2147483648 does not fit int32; allowed -2147483648..2147483647"):
        engine(seed=0, k=2**31)


@pytest.mark.parametrize(
    ("minimum", "maximum", "text"), [(0, None, "at least 0"), (None, 1, "at most 1"), (0, 0.5, "0..0.5")]
)
def test_one_sided_ranges(toy: Toy, minimum: float | None, maximum: float | None, text: str) -> None:
    bounded = Tensor("w", "float32", ("B",), "condition", minimum=minimum, maximum=maximum)
    engine = Engine(toy(conditions=(bounded,)))
    with pytest.raises(InputError, match=f"out of range; allowed {text}"):
        engine(seed=0, w=[0.25, -7.0 if minimum == 0 else 7.0])


def test_symbolic_axes_that_two_inputs_share_are_equal(toy: Toy) -> None:
    words = [Tensor(name, "float32", ("B", "words"), "condition") for name in ("prompt", "negative_prompt")]
    engine = Engine(toy(conditions=words))
    engine(seed=0, prompt=np.ones((1, 5)), negative_prompt=np.ones((1, 5)))
    with pytest.raises(InputError, match="negative_prompt has 4 along 'words', prompt has 5"):
        engine(seed=0, prompt=np.ones((1, 5)), negative_prompt=np.ones((1, 4)))

"""What an engine computes: batches, seeds, given noise, defaults. The toy graph is described in conftest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from samplegraph.runtime import Engine
from samplegraph.runtime.manifest import Tensor
from samplegraph.runtime.noise import draw

Toy = Callable[..., Path]
SHAPE = (1, 4, 4)
SCALE = 2.0
PROMPT = Tensor("prompt", "float32", ("B", 2, 3), "condition")


def expected(noise: np.ndarray, step_noise: np.ndarray, labels: object, scale: float = SCALE) -> np.ndarray:
    """The toy graph in numpy."""
    total = 0.5 * noise.astype(np.float64)
    for k, one in enumerate(step_noise):
        total = total + (k + 1) * one
    per_row = 10 * (np.asarray(labels, dtype=np.float64) + scale)
    return total + per_row.reshape(-1, *[1] * (noise.ndim - 1))


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 4, 5, "batch"])
@pytest.mark.parametrize("slices", [0, 3])
@pytest.mark.parametrize("rng", ["torch", "philox"])
def test_one_seed_is_drawn_for_the_whole_batch_and_then_split(
    toy: Toy, batch: int | str, slices: int, rng: str
) -> None:
    labels = [3, 1, 4, 1, 5]
    engine = Engine(toy(batch=batch, slices=slices))
    noise, step_noise = draw(7, samples=5, sample_shape=SHAPE, slices=slices, rng=rng)  # type: ignore[arg-type]
    assert close(engine(seed=7, class_labels=labels, rng=rng), expected(noise, step_noise, labels))  # type: ignore[arg-type]


@pytest.mark.parametrize("batch", [1, 3, "batch"])
@pytest.mark.parametrize("rng", ["torch", "philox"])
def test_a_sample_of_a_seed_list_does_not_depend_on_its_batch(toy: Toy, batch: int | str, rng: str) -> None:
    engine = Engine(toy(batch=batch, slices=2))
    together = engine(seed=[5, 6, 7, 8], class_labels=[0, 1, 2, 3], rng=rng)  # type: ignore[arg-type]
    for i, seed in enumerate([5, 6, 7, 8]):
        alone = engine(seed=[seed], class_labels=i, rng=rng)  # type: ignore[arg-type]
        assert np.array_equal(together[i : i + 1], alone)


def test_an_engine_says_what_it_is(toy: Toy) -> None:
    engine = Engine(toy(slices=1))
    takes = "noise, step_noise, class_labels, guidance_scale"
    assert repr(engine) == f"<Engine {engine.manifest.name}: {takes} -> sample, by CPUExecutionProvider>"


@pytest.mark.parametrize("batch", [1, 2, 7, "batch"])
def test_given_noise_is_used_as_it_is(toy: Toy, batch: int | str) -> None:
    values = np.random.default_rng(0)
    noise, step_noise = values.normal(size=(3, *SHAPE)), values.normal(size=(2, 3, *SHAPE))
    engine = Engine(toy(batch=batch, slices=2))
    drawn = engine(noise=noise, step_noise=step_noise, class_labels=4)
    assert drawn.dtype == np.float32
    assert close(drawn, expected(noise, step_noise, [4, 4, 4]))


def test_a_graph_without_step_noise_takes_an_empty_one(toy: Toy) -> None:
    noise, step_noise = draw(0, samples=2, sample_shape=SHAPE, slices=0)
    drawn = Engine(toy())(noise=noise, step_noise=step_noise, class_labels=1)
    assert close(drawn, expected(noise, step_noise, [1, 1]))


@pytest.mark.parametrize(
    ("given", "used"), [({}, SCALE), ({"guidance_scale": 7}, 7.0), ({"guidance_scale": -0.5}, -0.5)]
)
def test_the_guidance_scale_has_the_default_of_the_manifest(
    toy: Toy, given: dict[str, float], used: float
) -> None:
    noise, step_noise = draw(0, samples=1, sample_shape=SHAPE, slices=0)
    assert close(Engine(toy())(seed=0, class_labels=1, **given), expected(noise, step_noise, [1], used))


@pytest.mark.parametrize(
    ("arguments", "samples"),
    [
        ({"seed": 0, "class_labels": 3}, 1),
        ({"seed": 0, "class_labels": [3]}, 1),
        ({"seed": 0, "class_labels": (3, 4, 5)}, 3),
        ({"seed": 0, "class_labels": np.array([3, 4], dtype=np.uint8)}, 2),
        ({"seed": 0, "class_labels": [3], "samples": 4}, 4),
        ({"seed": [1, 2, 3], "class_labels": 3}, 3),
        ({"seed": range(3), "class_labels": 3}, 3),
        ({"seed": np.arange(3), "class_labels": [3]}, 3),
        ({"seed": np.int64(3), "class_labels": [3, 4], "samples": np.int64(2)}, 2),
        ({"noise": np.zeros((6, *SHAPE)), "class_labels": 3}, 6),
        ({"noise": np.zeros((2, *SHAPE), dtype=int).tolist(), "class_labels": [3, 4]}, 2),
    ],
)
def test_the_number_of_samples_follows_from_what_is_given(
    toy: Toy, arguments: dict[str, object], samples: int
) -> None:
    assert Engine(toy(batch=4))(**arguments).shape == (samples, *SHAPE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given", [np.ones((2, 3)), np.ones((1, 2, 3)), np.ones((2, 3)).tolist(), [[1, 1, 1]] * 2]
)
def test_one_row_of_a_condition_is_used_for_all_samples(toy: Toy, given: object) -> None:
    engine = Engine(toy(batch=2, conditions=(PROMPT,)))
    drawn = engine(seed=0, samples=3, prompt=given)
    noise, step_noise = draw(0, samples=3, sample_shape=SHAPE, slices=0)
    assert close(drawn, expected(noise, step_noise, [6.0] * 3, 0.0))


def test_rows_of_a_condition_stay_with_their_samples_when_the_batch_is_split(toy: Toy) -> None:
    prompt = np.arange(18, dtype=np.float64).reshape(3, 2, 3) / 100
    engine = Engine(toy(batch=2, conditions=(PROMPT,)))
    noise, step_noise = draw([4, 5, 6], samples=3, sample_shape=SHAPE, slices=0)
    drawn = engine(seed=[4, 5, 6], prompt=prompt)
    assert close(drawn, expected(noise, step_noise, prompt.sum(axis=(1, 2)), 0.0))


def test_a_condition_with_a_default_may_be_left_out(toy: Toy) -> None:
    negative = Tensor("negative_prompt", "float32", ("B", 2), "negative", default=0.25)
    flag = Tensor("flag", "bool", ("B",), "condition")
    engine = Engine(toy(batch=2, conditions=(negative, flag)))
    noise, step_noise = draw(0, samples=3, sample_shape=SHAPE, slices=0)
    assert close(engine(seed=0, flag=[True, False, True]), expected(noise, step_noise, [1.5, 0.5, 1.5], 0.0))


@pytest.mark.parametrize(("batch", "calls"), [(1, 5), (2, 3), (5, 1), (8, 1), ("batch", 1)])
def test_progress_is_told_after_each_call(toy: Toy, batch: int | str, calls: int) -> None:
    told: list[tuple[int, int]] = []
    Engine(toy(batch=batch))(
        seed=0, class_labels=[0] * 5, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(i + 1, calls) for i in range(calls)]


def test_the_same_seed_gives_the_same_bits_from_several_threads(toy: Toy) -> None:
    engine = Engine(toy(slices=1), threads=1)
    results: dict[int, np.ndarray] = {}

    def work(index: int) -> None:
        for _ in range(20):
            results[index] = engine(seed=index % 2, class_labels=index % 2)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(results[0], results[2])
    assert np.array_equal(results[1], results[3])
    assert not np.array_equal(results[0], results[1])


def test_the_engine_describes_itself(toy: Toy) -> None:
    engine = Engine(toy(slices=1), providers=["cpu"])
    assert [t.name for t in engine.inputs] == ["noise", "step_noise", "class_labels", "guidance_scale"]
    assert engine.manifest.name == "toy-ddim-3"
    assert engine.providers == ("CPUExecutionProvider",)
    assert Engine(engine.path, providers=[("CPUExecutionProvider", {})]).providers == engine.providers


def test_what_reaches_onnx_runtime_has_the_dtypes_and_ranks_of_the_manifest(toy: Toy) -> None:
    engine = Engine(toy(batch=2, slices=1))
    seen: dict[str, np.ndarray] = {}

    class Session:
        def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            seen.update(feed)
            return [feed["noise"]]

    engine._session._session = Session()
    engine(seed=0, class_labels=[1, 2, 3])
    assert list(seen) == [t.name for t in engine.inputs]
    for tensor in engine.inputs:
        assert seen[tensor.name].shape == tensor.shape
        assert seen[tensor.name].dtype == tensor.dtype
        assert seen[tensor.name].flags.c_contiguous


def test_the_callers_arrays_are_left_alone(toy: Toy) -> None:
    noise = np.asfortranarray(np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32))
    labels = np.array([1, 2, 3])
    noise.setflags(write=False)
    labels.setflags(write=False)
    drawn = Engine(toy(batch=2))(noise=noise, class_labels=labels)
    assert drawn.flags.writeable
    assert close(drawn, expected(noise, np.zeros((0, 1)), labels))

"""The C++ runtime against the Python runtime on one ONNX Runtime library: every scheduler, bit for bit."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from binding import NativeEngine, draw

from samplegraph.export import Captures, compile
from samplegraph.export.cli.export import make_scheduler
from samplegraph.models import Sampler
from samplegraph.models.load import load_model
from samplegraph.runtime import Engine
from samplegraph.runtime.noise import draw as python_draw
from samplegraph.schedulers import Scheduler, names
from samplegraph.schedulers.errors import OptionError

#: The others are marked slow.
QUICK = ("ddim", "ddpm", "dpm_multistep", "euler", "euler_ancestral", "heun")
SCHEDULERS = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names()]
Export = Callable[..., Path]


def smallest(name: str, network: Any, low: int = 8) -> Scheduler:
    """The scheduler with the smallest number of steps of at least ``low`` that it allows."""
    for steps in range(low, low + 50):
        try:
            return make_scheduler(name, None, steps, {}, network)
        except OptionError as error:
            reason = error
    raise reason


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """``export(scheduler, batch=..., low=...)`` -> a graph over the digits model, which is captured once."""
    network, captures, folder = load_model("digits"), Captures(), tmp_path_factory.mktemp("digits")

    def write(name: str, *, batch: int | str = 1, low: int = 8) -> Path:
        path = folder / f"{name}-{batch}-{low}.onnx"
        if not path.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sampler = Sampler(network, smallest(name, network, low), "input")
                compile(sampler, batch=batch, captures=captures).save(path)
        return path

    return write


@pytest.mark.parametrize("name", SCHEDULERS)
def test_noise_and_sample_of_a_scheduler(library: ctypes.CDLL, onnxruntime: Path, export: Export, name: str) -> None:
    path = export(name)
    python = Engine(path)
    shape, slices = python.manifest.sample_shape, python.manifest.noise.slices
    for seed in (0, [0, 1]):
        drawn = draw(library, seed, samples=2, sample_shape=shape, slices=slices)
        known = python_draw(seed, samples=2, sample_shape=shape, slices=slices)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(drawn, known, strict=True))
    with NativeEngine(library, path, onnxruntime) as native:
        ours = native(seed=0, class_labels=[3, 1])
    theirs = python(seed=0, class_labels=[3, 1])
    assert np.isfinite(theirs).all()
    assert ours.dtype == theirs.dtype
    assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("batch", [4, "dynamic"])
def test_other_batches_seeds_and_scales(
    library: ctypes.CDLL, onnxruntime: Path, export: Export, batch: int | str
) -> None:
    path = export("euler_ancestral", batch=batch)
    python = Engine(path)
    arguments: list[dict[str, Any]] = [
        {"seed": [5, 2**40, 7], "class_labels": [0, 1, 2]},
        {"seed": 9, "samples": 5, "class_labels": 10, "guidance_scale": 1.5, "rng": "philox"},
        {"noise": np.ones((2, *python.manifest.sample_shape)), "class_labels": np.array([1, 2], np.uint8)},
    ]
    arguments[2]["step_noise"] = np.full((python.manifest.noise.slices, 2, *python.manifest.sample_shape), 0.5)
    with NativeEngine(library, path, onnxruntime) as native:
        for each in arguments:
            assert native(**each).tobytes() == python(**each).tobytes()


def test_progress_and_cancel(library: ctypes.CDLL, onnxruntime: Path, export: Export) -> None:
    told: list[tuple[int, int]] = []
    with NativeEngine(library, export("ddim"), onnxruntime) as native:
        native(seed=0, class_labels=[1, 2, 3], progress=lambda *each: told.append(each))
        with pytest.raises(Exception, match="cancelled after 2 of 3 calls"):
            native(seed=0, class_labels=[1, 2, 3], progress=lambda done, _: done == 2)
    assert told == [(1, 3), (2, 3), (3, 3)]

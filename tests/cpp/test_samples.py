"""The C++ runtime against the Python runtime on one ONNX Runtime library: every scheduler, bit for bit."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from binding import NativeEngine, SamplegraphError, draw
from both import inputs

from samplegraph.export import Captures, compile
from samplegraph.export.cli.export import make_scheduler
from samplegraph.models import Sampler
from samplegraph.models.demo import demo_model, demo_source
from samplegraph.runtime import Engine, InputError
from samplegraph.runtime.noise import draw as python_draw
from samplegraph.schedulers import Scheduler, names
from samplegraph.schedulers.errors import OptionError

#: The others are marked slow.
QUICK = ("ddim", "euler_ancestral", "heun", "vq_diffusion")
SCHEDULERS = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names()]
#: So that 8 steps have jumps back in them.
OPTIONS: dict[str, dict[str, Any]] = {"repaint": {"jump_length": 2, "jump_n_sample": 2, "single_draw": True}}
#: Draws in its steps alone.
OPTIONS["dpm_multistep_inverse"] = {"algorithm_type": "sde-dpmsolver++", "use_flow_sigmas": True}
Export = Callable[..., Path]


def smallest(name: str, network: Any, low: int = 8) -> Scheduler:
    """The scheduler with the smallest number of steps of at least ``low`` that it allows."""
    for steps in range(low, low + 50):
        try:
            return make_scheduler(name, None, steps, OPTIONS.get(name, {}), network)
        except OptionError as error:
            reason = error
    raise reason


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """``export(scheduler, batch=..., low=..., strength=...)`` -> a graph over the demo model, captured once."""
    models: dict[str, tuple[Any, Captures]] = {}
    folder = tmp_path_factory.mktemp("graphs")

    def write(name: str, *, batch: int | str = 1, low: int = 8, **start: Any) -> Path:
        path = folder / f"{name}-{batch}-{low}-{'-'.join(start)}.onnx"
        if not path.exists():
            source = demo_source(name)
            if source not in models:
                models[source] = demo_model(name), Captures()
            network, captures = models[source]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sampler = Sampler(network, smallest(name, network, low), "input", **start)
                compile(sampler, batch=batch, captures=captures).save(path)
        return path

    return write


@pytest.mark.parametrize("name", SCHEDULERS)
def test_noise_and_sample_of_a_scheduler(library: ctypes.CDLL, onnxruntime: Path, export: Export, name: str) -> None:
    path = export(name)
    python = Engine(path)
    noise, plan = python.manifest.drawn, python.manifest.noise
    given = inputs(python.manifest, 2)
    if noise is not None:
        given["seed"] = 0
        one = noise.shape[1:] if noise.role == "noise" else noise.shape[2:]
        shape: dict[str, Any] = {"sample_shape": one, "slices": plan.slices, "noise_kind": plan.kind}
        for seed in (0, [0, 1]):
            drawn = draw(library, seed, samples=2, **shape)
            known = python_draw(seed, samples=2, **shape)
            assert all(a.tobytes() == b.tobytes() for a, b in zip(drawn, known, strict=True))
    with NativeEngine(library, path, onnxruntime) as native:
        ours = native(**given)
    theirs = python(**given)
    assert np.isfinite(theirs).all()
    assert ours.dtype == theirs.dtype
    assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("start", [{"strength": 0.5}, {"inpaint": True}, {"inpaint": True, "begin": 2}], ids=str)
def test_samples_that_start_from_one(
    library: ctypes.CDLL, onnxruntime: Path, export: Export, run_cli: Callable[..., Any], start: dict[str, Any]
) -> None:
    path = export("ddpm", batch=2, low=4, **start)
    python = Engine(path)
    given = inputs(python.manifest, 3)
    theirs = python(seed=0, **given)
    with NativeEngine(library, path, onnxruntime) as native:
        assert native(seed=0, **given).tobytes() == theirs.tobytes()
    settings = []
    for name, value in given.items():
        np.save(path.parent / f"{name}.npy", value)
        settings += ["--set", f"{name}=@{path.parent / name}.npy"]
    done = run_cli(path, "--seed", "0", *settings, "--output", path.with_suffix(".npy"))
    assert done.returncode == 0, done.stderr
    assert np.load(path.with_suffix(".npy")).tobytes() == theirs.tobytes()


def test_an_inversion_takes_no_noise(
    library: ctypes.CDLL, onnxruntime: Path, export: Export, run_cli: Callable[..., Any]
) -> None:
    path = export("ddim_inverse", low=4)
    python = Engine(path)
    given = inputs(python.manifest, 2)
    np.save(path.with_suffix(".in.npy"), given["init_sample"])
    with NativeEngine(library, path, onnxruntime) as native:
        assert native(**given).tobytes() == python(**given).tobytes()
        for extra in ({"seed": 0}, {"seed": [0, 1]}, {"noise": given["init_sample"]}):
            with pytest.raises(InputError, match="draws no noise") as expected:
                python(**given, **extra)
            with pytest.raises(SamplegraphError) as found:
                native(**given, **extra)
            assert str(found.value) == str(expected.value)
    settings = ["--set", f"init_sample=@{path.with_suffix('.in.npy')}", "--set", "class_labels=1"]
    for arguments, code in (([], 0), (["--seed", "0"], 2)):
        done = run_cli(path, *settings, *arguments, "--output", path.with_suffix(".npy"))
        assert done.returncode == code, done.stderr
    assert run_cli(path, *settings, "--bench", "1").returncode == 0


def test_an_inversion_that_draws(
    library: ctypes.CDLL, onnxruntime: Path, export: Export, run_cli: Callable[..., Any]
) -> None:
    path = export("dpm_multistep_inverse", batch=2, low=4)
    python = Engine(path)
    given = inputs(python.manifest, 3)
    shape = given["init_sample"].shape
    own = np.random.default_rng(1).standard_normal((4, *shape), np.float32)
    with NativeEngine(library, path, onnxruntime) as native:
        for source in ({"seed": 0}, {"seed": [1, 2, 3]}, {"seed": 0, "rng": "philox"}, {"step_noise": own}):
            assert native(**source, **given).tobytes() == python(**source, **given).tobytes()
        first, others = draw(library, 0, samples=3, sample_shape=shape[1:], slices=3)
        slices = np.concatenate([first[None], others])
        assert native(step_noise=slices, **given).tobytes() == native(seed=0, **given).tobytes()
        native.warm_up()
    settings: list[str] = []
    for name, value in {**given, "step_noise": own}.items():
        np.save(path.parent / f"{name}.npy", value)
        settings += ["--set", f"{name}=@{path.parent / name}.npy"]
    seeded = settings[:-2]
    for words, source in ((seeded, {"seed": 0}), (settings, {"step_noise": own})):
        done = run_cli(path, *words, "--output", path.with_suffix(".npy"))
        assert done.returncode == 0, done.stderr
        assert np.load(path.with_suffix(".npy")).tobytes() == python(**source, **given).tobytes()
    assert run_cli(path, *seeded, "--bench", "1").returncode == 0


@pytest.mark.parametrize("name", ["vq_diffusion", pytest.param("repaint", marks=pytest.mark.slow)])
def test_describe_of_tokens_and_inpainting(run_cli: Callable[..., Any], export: Export, name: str) -> None:
    done = run_cli(export(name), "--describe")
    assert done.returncode == 0, done.stderr
    words = {"vq_diffusion": ("uniform in [0, 1), 7 slices", "int64 (1, "), "repaint": ("image ", "mask ", ", 0..1")}
    for each in words[name]:
        assert each in done.stdout


def test_uniforms_come_from_torchs_generator_alone(library: ctypes.CDLL, onnxruntime: Path, export: Export) -> None:
    path = export("vq_diffusion")
    with pytest.raises(InputError) as python:
        Engine(path)(seed=0, rng="philox", class_labels=1)
    with NativeEngine(library, path, onnxruntime) as native, pytest.raises(SamplegraphError) as cpp:
        native(seed=0, rng="philox", class_labels=1)
    assert str(cpp.value) == str(python.value)


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

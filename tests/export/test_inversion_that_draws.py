"""An inversion whose steps draw: every layout gives diffusers' numbers from the same generator, and eager's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from reference import Smooth
from torch import nn

from samplegraph.export import Captures, Program, compile
from samplegraph.export.cli import main
from samplegraph.export.offline.optimise import optimize
from samplegraph.export.sampling.coefficients import further_table
from samplegraph.export.verification.rebuild import rebuild
from samplegraph.export.verification.verify import verify
from samplegraph.models import Sampler
from samplegraph.runtime import Engine
from samplegraph.runtime.noise import draw
from samplegraph.runtime.tables import plan_file, tables_json
from samplegraph.schedulers import create, from_config

pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # diffusers' own
Export = Callable[..., tuple[Sampler, Program]]
LAYOUTS = ("unrolled", "chunked:2", "step", "repeated:3", "loop")
CONFIG = {"algorithm_type": "sde-dpmsolver++", "use_flow_sigmas": True, "prediction_type": "flow_prediction"}
#: Ascending sigmas make NaN of ``sde-``, in diffusers too.
OPTIONS = {"algorithm_type": "sde-dpmsolver++", "use_flow_sigmas": True}
STEPS, SHAPE = 5, (2, 3, 4, 4)
SMOOTH, CAPTURED = Smooth(), Captures()


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


@pytest.fixture
def export(denoisers: dict[str, nn.Module], captures: Captures) -> Callable[..., tuple[Sampler, Program]]:
    """``export(layout, steps)`` -> an inverting sampler and its program."""

    def make(layout: str, steps: int = STEPS) -> tuple[Sampler, Program]:
        sampler = Sampler(denoisers["tiny"], create("dpm_multistep_inverse", steps, **OPTIONS), None)
        return sampler, compile(sampler, conditions={"class_labels": [1]}, layout=layout, captures=captures)

    return make


def diffusers_loop(seed: int | list[int]) -> np.ndarray:
    """With one generator, or one per sample, whose first draw is that of the first step."""
    scheduler = diffusers.DPMSolverMultistepInverseScheduler(**CONFIG)
    scheduler.set_timesteps(STEPS)
    made = [torch.Generator().manual_seed(each) for each in (seed if isinstance(seed, list) else [seed])]
    generator, sample = made if isinstance(seed, list) else made[0], torch.from_numpy(image(*SHAPE))
    for t in scheduler.timesteps:
        sample = scheduler.step(SMOOTH(sample, t.expand(SHAPE[0])), t, sample, generator=generator).prev_sample
    return np.asarray(sample)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_seed_gives_what_diffusers_gives(layout: str, tmp_path: Path) -> None:
    scheduler = from_config({"_class_name": "DPMSolverMultistepInverseScheduler", **CONFIG}, STEPS)
    form = {"sample_shape": (1, *SHAPE[1:]), "batch": "dynamic", "layout": layout, "captures": CAPTURED}
    engine = Engine(compile(Sampler(SMOOTH, scheduler), **form).save(tmp_path / "x.onnx"))
    for seed in (3, [7, 8]):
        found, expected = engine(seed, init_sample=image(*SHAPE)), diffusers_loop(seed)
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_equals_eager(layout: str, export: Export, tmp_path: Path) -> None:
    sampler, program = export(layout)
    assert program.verify().error <= 1e-5
    engine = Engine(path := program.save(tmp_path / "x.onnx"))
    assert verify(path, *rebuild(engine.manifest, sampler.model), seed=3).error <= 1e-5
    sample = image(3, *engine.manifest.sample_shape)
    for rng in ("torch", "philox"):
        first, others = draw(5, samples=3, sample_shape=sample.shape[1:], slices=STEPS - 1, rng=rng)
        slices = np.concatenate([first[None], others])
        found = engine(5, init_sample=sample, class_labels=[0, 1, 2], rng=rng)
        own = engine(step_noise=slices, init_sample=sample, class_labels=[0, 1, 2])
        assert np.array_equal(found, own)
        with torch.no_grad():
            expected = sampler(
                step_noise=torch.from_numpy(slices),
                init_sample=torch.from_numpy(sample),
                class_labels=torch.tensor([0, 1, 2]),
            ).numpy()
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_another_number_of_steps_draws_as_many_slices(export: Export, tmp_path: Path) -> None:
    engine = Engine(path := export("step")[1].save(tmp_path / "x.onnx"))
    known, (sampler, shorter) = engine.manifest.recurrence, export("step", 3)
    assert known is not None
    plan_file(path).write_text(tables_json(known, [further_table(sampler, known)]))
    given = {"init_sample": image(2, *engine.manifest.sample_shape), "class_labels": 1}
    expected = Engine(shorter.save(tmp_path / "shorter.onnx"))(seed=2, **given)
    assert np.array_equal(engine(seed=2, steps=3, **given), expected)


def test_offline_and_from_the_command_line(export: Export, tmp_path: Path) -> None:
    path = export("unrolled")[1].save(tmp_path / "x.onnx")
    sample = image(2, *Engine(path).manifest.sample_shape)
    given = {"init_sample": sample, "class_labels": 1}
    expected = Engine(path)(seed=0, **given)
    found = Engine(optimize(path))(seed=0, **given)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    slices = np.zeros((STEPS, *sample.shape), np.float32)
    for name, array in (("x", sample), ("slices", slices)):
        np.save(tmp_path / f"{name}.npy", array)
    out = tmp_path / "out.npy"
    command = ["run", str(path), "--set", f"init_sample=@{tmp_path}/x.npy", "--set", "class_labels=1", "-o", str(out)]
    assert main(command) == 0
    assert np.array_equal(np.load(out), expected)
    assert main([*command, "--set", f"step_noise=@{tmp_path}/slices.npy"]) == 0
    assert np.array_equal(np.load(out), Engine(path)(step_noise=slices, **given))

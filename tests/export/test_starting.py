"""Graphs that start from a clean sample, keep part of one, or lead one back to its noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from samplegraph.export import Captures, compile, compiler
from samplegraph.export.verification.examples import example_inputs, run_eager
from samplegraph.export.verification.rebuild import rebuild
from samplegraph.export.verification.verify import verify
from samplegraph.models import Sampler
from samplegraph.runtime import Engine, InputError, read_manifest
from samplegraph.schedulers import OptionError, create, names, scheduler_class

STARTING = [name for name in names() if not scheduler_class(name).no_start]
TASKS: dict[str, dict[str, Any]] = {
    "image_to_image": {"strength": 0.5},
    "inpaint": {"inpaint": True, "begin": 1},
}


@pytest.mark.parametrize("name", STARTING)
def test_graph_equals_eager(
    name: str, captures: Captures, denoiser_of: Callable[[str], nn.Module], tmp_path: Path
) -> None:
    options = {"skip_prk_steps": True} if name == "pndm" else {}
    kind, start = list(TASKS.items())[STARTING.index(name) % 2]
    sampler = Sampler(denoiser_of(name), create(name, 4, **options), None, **start)
    program = compile(sampler, conditions={"class_labels": [1]}, captures=captures)
    errors = program.verify().errors
    path = program.save(tmp_path / "x.onnx")
    manifest = read_manifest(path)
    taken = 4 - manifest.scheduler.begin
    assert (manifest.task, taken) == (kind, 2 if kind == "image_to_image" else 3)
    assert len(errors) == taken == len(manifest.tables.coefficients or errors)
    assert max(errors) <= 1e-5
    again, sig = rebuild(manifest, sampler.model)
    assert (again.task.kind, again.task.begin) == (sampler.task.kind, sampler.task.begin)
    assert verify(path, again, sig, seed=3).error <= 1e-5


@pytest.mark.parametrize("start", [{"strength": 0.5}, {"inpaint": True}, {"inpaint": True, "strength": 0.5}], ids=str)
def test_lowered_equals_traced(
    start: dict[str, Any], captures: Captures, denoisers: dict[str, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = Sampler(denoisers["tiny"], create("dpm_multistep", 4), **start)

    def refuse(*_: object) -> None:
        raise TypeError

    for route in ("lower_sampler", "trace_sampler"):
        with monkeypatch.context() as patch:
            patch.setattr(compiler, "trace_sampler" if route == "lower_sampler" else "lower_sampler", refuse)
            assert max(compile(sampler, batch="dynamic", captures=captures).verify().errors) <= 1e-5


def test_what_the_mask_says(captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path) -> None:
    """1 everywhere is the run without a mask, 0 the clean sample, and a border between them keeps its side."""
    sampler = Sampler(denoisers["tiny"], create("euler", 4), None, inpaint=True)
    program = compile(sampler, conditions={"class_labels": [1]}, captures=captures)
    engine = Engine(program.save(tmp_path / "x.onnx"))
    inputs = {k: v.numpy() for k, v in example_inputs(sampler, program.signature, 0).items()}
    mask = np.zeros_like(inputs["mask"])
    assert mask.shape[1] == 1
    assert np.array_equal(engine(**{**inputs, "mask": mask}), inputs["init_sample"])
    free = Sampler(denoisers["tiny"], create("euler", 4), None)
    inputs.pop("mask")
    image = inputs.pop("init_sample")
    expected = run_eager(free, {k: torch.from_numpy(v) for k, v in inputs.items()})
    found = engine(**inputs, init_sample=image, mask=mask + 1)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    mask[..., :3] = 1
    found = engine(**inputs, init_sample=image, mask=mask)
    assert np.array_equal(found[..., 3:], image[..., 3:])
    assert not np.isclose(found[..., :3], image[..., :3]).any()


BAD = {
    "mask of another size": ({"mask": np.ones((1, 1, 3, 3))}, r"mask has shape \(1, 1, 3, 3\)"),
    "mask with channels": ({"mask": np.ones((1, 5, 8, 8))}, r"mask has shape \(1, 5, 8, 8\)"),
    "mask above 1": ({"mask": np.full((1, 1, 8, 8), 1.5)}, "mask"),
    "mask below 0": ({"mask": np.full((1, 1, 8, 8), -0.1)}, "mask"),
    "mask not a number": ({"mask": np.full((1, 1, 8, 8), np.nan)}, "mask"),
    "sample of another size": ({"init_sample": np.zeros((1, 1, 3, 3))}, r"init_sample has shape \(1, 1, 3, 3\)"),
    "no sample": ({"init_sample": None}, "init_sample is missing"),
    "no mask": ({"mask": None}, "mask is missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_masks_and_samples(
    case: str, captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path
) -> None:
    wrong, said = BAD[case]
    sampler = Sampler(denoisers["tiny"], create("ddim", 2), None, inpaint=True)
    program = compile(sampler, conditions={"class_labels": [1]}, captures=captures)
    shape = program.signature.sample_shape
    good = {"init_sample": np.zeros((1, *shape)), "mask": np.ones((1, 1, *shape[1:]))}
    given = {k: v.astype(np.float32) for k, v in {**good, **wrong}.items() if v is not None}
    with pytest.raises(InputError, match=said):
        Engine(program.save(tmp_path / "x.onnx"))(seed=0, class_labels=1, **given)
    tensors = {k: torch.from_numpy(v) for k, v in given.items()}
    with pytest.raises(OptionError, match=said):
        sampler(torch.zeros(1, *shape), class_labels=torch.tensor([1]), **tensors)

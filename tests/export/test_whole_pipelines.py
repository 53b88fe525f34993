"""Whole pipelines as one graph: prompts in, picture out, against diffusers' own on the same prompts and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import onnx
import pytest
import torch
import whole_pipelines
from tiny_pipelines import STEPS
from whole_pipelines import NEGATIVE, PROMPT, token_ids

from samplegraph.export import Program, compile
from samplegraph.export.signature import signature
from samplegraph.export.storage.weights import SMALL, tensor_of
from samplegraph.models import Back, Front, Sampler, load_model, load_parts, scheduler_for
from samplegraph.runtime import Engine, read_manifest

#: Largest difference of a picture in [0, 1]; a tenth of what is asked for, as tiny networks hardly heed the prompt.
BAR = 1e-5
_GUIDED = {"guidance_scale": 7.5}
_NEGATIVE = {**_GUIDED, "negative_prompt": NEGATIVE}
_SHORT = {"max_sequence_length": 10, "clean_caption": False, "use_resolution_binning": False}


@dataclass(frozen=True)
class Case:
    """A pipeline of ``whole_pipelines``, how it is called, and what its graph is given besides ids.

    Args:
        lengths: of the ids of each tokenizer.
        call: arguments of the pipeline.
        inputs: of the graph.
        shape: of the latents, where it is not the usual one.
        instruction: in front of the prompt.
    """

    lengths: tuple[int, ...]
    call: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    instruction: str = ""


CASES = {
    "stable_diffusion": Case((12,), _NEGATIVE, _GUIDED),
    "stable_diffusion_xl": Case((12, 12), _NEGATIVE, {**_GUIDED, "time_ids": [[16, 16, 0, 0, 16, 16]]}),
    "stable_diffusion_3": Case((12, 12, 10), {**_NEGATIVE, "max_sequence_length": 10}, _GUIDED),
    "flux": Case(
        (12, 10),
        {"guidance_scale": 3.5, "max_sequence_length": 10, "height": 16, "width": 24},
        {"guidance": [3.5]},
        (4, 8, 12),
    ),
    "pixart_sigma": Case((10,), {**_NEGATIVE, **_SHORT, "height": 16, "width": 16}, _GUIDED),
    "sana": Case(
        (312,),
        {**_NEGATIVE, "height": 32, "width": 32, "use_resolution_binning": False, "clean_caption": False}
        | {"complex_human_instruction": ["draw it well: "]},
        _GUIDED,
        (4, 16, 16),
        "draw it well: ",
    ),
    "dit": Case((), {**_GUIDED, "class_labels": [3]}, {**_GUIDED, "class_labels": [3]}),
    "ldm": Case(()),
}
#: Left to `make test-all`.
SLOW = tuple(kind for kind in CASES if kind != "stable_diffusion")


def picture(pipeline: Any, case: Case) -> np.ndarray[Any, Any]:
    """What diffusers draws: (1, 3, H, W) in [0, 1]."""
    pipeline.set_progress_bar_config(disable=True)
    prompt = {"prompt": PROMPT} if case.lengths else {}
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        found = pipeline(
            **prompt, **case.call, num_inference_steps=STEPS, generator=generator, output_type="np", return_dict=False
        )[0]
    return np.moveaxis(np.asarray(found), -1, 1)


def inputs_of(pipeline: Any, case: Case) -> dict[str, Any]:
    """What the graph is given for the same prompts."""
    given = {**token_ids(pipeline, case.instruction + PROMPT, case.lengths), **case.inputs}
    if "negative_prompt" in case.call:
        given |= token_ids(pipeline, NEGATIVE, case.lengths, "negative_")
    return {name: np.asarray(value) for name, value in given.items()}


def whole_sampler(folder: Path, include: Sequence[str], case: Case, **own: Any) -> Sampler:
    """The sampler of the pipeline in ``folder``, with its own scheduler."""
    model = load_model(folder)
    parts = load_parts(folder, include, sample_shape=model.spec.sample_shape)
    scheduler = scheduler_for(model, STEPS, sample_shape=case.shape)
    scale = "input" if "guidance_scale" in case.inputs else None
    return Sampler(model, scheduler, scale, pre=parts.pre, post=parts.post, **own)


@pytest.mark.parametrize("kind", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in CASES])
def test_a_graph_draws_the_pipelines_picture(kind: str, tmp_path: Path) -> None:
    case, pipeline = CASES[kind], getattr(whole_pipelines, kind)()
    pipeline.save_pretrained(tmp_path / kind)
    theirs, given = picture(pipeline, case), inputs_of(pipeline, case)
    sampler = whole_sampler(tmp_path / kind, ["text_encoder", "vae"] if case.lengths else ["vae"], case)
    examples = {name: rows for name, rows in given.items() if name.startswith("input_ids")}
    program = compile(sampler, None if case.shape is None else (1, *case.shape), examples, weights="external")
    path = program.save(tmp_path / "graph.onnx")
    program.verify()
    each_once(program, sampler)

    onnx.checker.check_model(path, full_check=True)
    engine, manifest = Engine(path), read_manifest(path)
    ours = np.asarray(engine(seed=5, rng="torch", **given))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= BAR
    assert theirs.std() > 0.1
    for name, rows in given.items():
        if "input_ids" in name:
            other = np.asarray(engine(seed=5, rng="torch", **{**given, name: np.where(rows > 6, rows - 1, rows)}))
            assert np.abs(other - ours).max() > 4 * BAR, name
    assert (manifest.result.name, manifest.result.minimum, manifest.result.maximum) == ("image", 0.0, 1.0)
    copied = [tmp_path / file for file in manifest.weights.files if not file.startswith(f"{kind}/")]
    absent = [t.name for t in manifest.sampler_inputs if t.role == "negative" and t.default is not None]
    if absent:
        given |= {name: np.full_like(given[name], -1) for name in absent}
        left_out = {name: rows for name, rows in given.items() if name not in absent}
        assert np.array_equal(engine(seed=5, **left_out), engine(seed=5, **given))
    constants = sum(8 * length**2 for length in case.lengths) + 8192  # causal masks of both branches, rotations
    assert sum(file.stat().st_size for file in copied) <= constants, "weights are read from the pipeline's own files"


def each_once(program: Program, sampler: Sampler) -> None:
    """Text encoders and decoder are in the graph once, whatever the number of steps and of branches."""
    (part,) = program.parts
    stages = [stage.module for stage in (*sampler.pre, sampler.post) if isinstance(stage, Front | Back)]
    shapes = {tuple(each.shape) for stage in stages for each in stage.parameters()}
    shapes |= {shape[::-1] for shape in shapes if len(shape) == 2}
    held = [value for value in part.stage_weights if tuple(value.shape or ()) in shapes]
    large = [value for value in held if tensor_of(value).nbytes >= SMALL]
    assert {len(value.uses()) for value in large} == {1}
    embeddings = sum(isinstance(each, torch.nn.Embedding) for stage in stages for each in stage.modules())
    assert len(large) >= 1 + embeddings


@pytest.mark.slow
def test_a_picture_in_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Image to image, against diffusers' pipeline for it without its draw around the encoder's mean."""
    whole = whole_pipelines.stable_diffusion()
    whole.scheduler = diffusers.DDIMScheduler.from_config(whole.scheduler.config, clip_sample=False)
    whole.save_pretrained(tmp_path / "sd")
    pipeline = diffusers.StableDiffusionImg2ImgPipeline(**whole.components, requires_safety_checker=False)
    file = import_module(type(pipeline).__module__)
    monkeypatch.setattr(file, "retrieve_latents", lambda read, generator: read.latent_dist.mode())
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    case = replace(CASES["stable_diffusion"], call={**_NEGATIVE, "image": image, "strength": 0.7})
    theirs, given = picture(pipeline, case), inputs_of(pipeline, case)
    sampler = whole_sampler(tmp_path / "sd", ["text_encoder", "vae_encoder", "vae"], case, strength=0.7)
    program = compile(sampler, conditions={"input_ids": given["input_ids"]})
    engine = Engine(program.save(tmp_path / "graph.onnx"))
    ours = np.asarray(engine(seed=5, rng="torch", init_image=image.numpy(), **given))
    assert np.abs(ours - theirs).max() <= BAR
    assert np.abs(theirs - image.numpy()).max() > 0.1


def test_no_negative_prompt(tmp_path: Path) -> None:
    """XL has zeros for it; its graph takes prompts alone then."""
    pipeline, own = whole_pipelines.stable_diffusion_xl(), CASES["stable_diffusion_xl"]
    pipeline.save_pretrained(tmp_path / "xl")
    case = replace(own, call=_GUIDED)
    theirs, given = picture(pipeline, case), inputs_of(pipeline, case)
    sampler = whole_sampler(tmp_path / "xl", ["text_encoder", "vae"], case)
    tensors = {name: torch.as_tensor(value) for name, value in given.items()}
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        ours = sampler(noise, **tensors).numpy()
        other = sampler(noise, **tensors, **token_ids(pipeline, NEGATIVE, case.lengths, "negative_")).numpy()
    assert np.abs(ours - theirs).max() <= BAR
    assert np.abs(ours - other).max() > 10 * BAR
    examples = {name: tensors[name] for name in ("input_ids", "input_ids_2")}
    found = signature(sampler, None, examples, None).edge.inputs
    defaults = {t.name: t.default for t in found if t.name.startswith("negative_")}
    assert defaults == {"negative_input_ids": -1.0, "negative_input_ids_2": -1.0}

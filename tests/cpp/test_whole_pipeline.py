"""Stable Diffusion, token ids in and picture out, by ``samplegraph-run``: the picture that diffusers draws."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import whole_pipelines
from PIL import Image
from tiny_pipelines import STEPS
from whole_pipelines import NEGATIVE, PROMPT, token_ids

from samplegraph.export import compile
from samplegraph.models import Sampler, load_model, load_parts, scheduler_for

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.slow
def test_the_pipelines_picture(tmp_path: Path, run_cli: Run) -> None:
    pipeline = whole_pipelines.stable_diffusion()
    pipeline.save_pretrained(tmp_path / "sd")
    pipeline.set_progress_bar_config(disable=True)
    generator, arguments = torch.Generator().manual_seed(5), {"negative_prompt": NEGATIVE, "guidance_scale": 7.5}
    theirs = pipeline(PROMPT, num_inference_steps=STEPS, generator=generator, output_type="np", **arguments).images

    model, parts = load_model(tmp_path / "sd"), load_parts(tmp_path / "sd", ["text_encoder", "vae"])
    sampler = Sampler(model, scheduler_for(model, STEPS), pre=parts.pre, post=parts.post)
    ids = token_ids(pipeline, PROMPT, (12,))
    path = compile(sampler, conditions=ids).save(tmp_path / "graph.onnx")
    options = ["--seed", "5", "--rng", "torch", "--guidance-scale", "7.5"]
    for name, rows in {**ids, **token_ids(pipeline, NEGATIVE, (12,), "negative_")}.items():
        np.save(tmp_path / f"{name}.npy", rows.numpy())
        options += ["--set", f"{name}=@{tmp_path / name}.npy"]
    for output in ("image.npy", "image.png"):
        done = run_cli(path, *options, "--output", tmp_path / output)
        assert done.returncode == 0, done.stderr

    ours = np.moveaxis(np.load(tmp_path / "image.npy"), 1, -1)
    assert np.abs(ours - theirs).max() <= 1e-5
    drawn = np.asarray(Image.open(tmp_path / "image.png"))
    assert drawn.shape == (drawn.shape[0], drawn.shape[0], 3)
    scale = drawn.shape[0] // ours.shape[1]  # small pictures are drawn larger
    assert np.abs(drawn[::scale, ::scale].astype(float) / 255 - theirs[0]).max() <= 1 / 255

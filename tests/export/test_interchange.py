"""Each adapter: a pipeline run by diffusers, its loop and its seed, against the graph made from its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_pipelines import CASES, save

from samplegraph.export import compile
from samplegraph.models import Sampler, load_model, scheduler_for
from samplegraph.runtime import Engine

#: Largest error relative to the largest value of diffusers' result.
BAR = 1e-4


#: Left to `make test-all`: other forms of adapters that the rest shows.
SLOW = ("sd2", "lcm", "pixart_alpha")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in CASES])
def test_the_graph_of_a_folder_gives_what_its_pipeline_gives(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    pipeline = save(case, tmp_path / name)
    with torch.no_grad():
        theirs = case.run(pipeline, torch.Generator().manual_seed(5)).numpy()
    model = load_model(tmp_path / name)
    sampler = Sampler(model, scheduler_for(model, case.steps, sample_shape=case.shape), case.guidance_scale)
    conditions = {k: v for k, v in case.inputs.items() if k in {c.name for c in sampler.spec.conditions}}
    shape = None if case.shape is None else (1, *case.shape)
    path = compile(sampler, shape, conditions).save(tmp_path / "out" / "graph.onnx")
    ours = case.finish(np.asarray(Engine(path)(seed=5, rng="torch", **case.inputs)))
    assert ours.shape == theirs.shape
    assert np.abs(theirs).max() > 0.05
    assert np.abs(ours - theirs).max() <= BAR * np.abs(theirs).max()

"""``batch="dynamic"``: samplers that are traced take any number of rows too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import TinyDiT, seeded

from samplegraph.export import Captures, compile
from samplegraph.export.verification.examples import example_inputs, run_eager
from samplegraph.models import Sampler
from samplegraph.runtime import Engine
from samplegraph.schedulers import create

CAPTURES, NETWORK = Captures(), seeded(TinyDiT())


CASES = [("repaint", 10), ("ipndm", 4), ("euler_ancestral", 2), ("score_sde_ve", 2)]


@pytest.mark.parametrize(("name", "steps"), CASES)
def test_five_rows_under_guidance(name: str, steps: int, tmp_path: Path) -> None:
    sampler = Sampler(NETWORK, create(name, steps))
    program = compile(sampler, batch="dynamic", captures=CAPTURES)
    assert str(program.model.graph.inputs[0].shape[0]) == "batch"  # type: ignore[index]
    inputs = example_inputs(sampler, compile(sampler, batch=5, captures=CAPTURES).signature, seed=1)
    expected = run_eager(sampler, inputs)
    found = Engine(program.save(tmp_path / "x.onnx"))(**{k: v.numpy() for k, v in inputs.items()})
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()

"""Small terms and factors near 1 survive the optimiser; neutral ones do not."""

from __future__ import annotations

import pytest
from text_models import model

from samplegraph.export.denoiser.optimise import optimise


@pytest.mark.parametrize(
    ("node", "left"),
    [
        ("Add(x, c)", {"1e-15": 1, "1e-8": 1, "0": 0, "0.5": 1}),
        ("Sub(x, c)", {"1e-9": 1, "0": 0}),
        ("Mul(c, x)", {"1.000005": 1, "1": 0}),
        ("Div(x, c)", {"0.999995": 1, "1": 0}),
    ],
)
def test_constants_that_do_something_stay(node: str, left: dict[str, int]) -> None:
    for number, count in left.items():
        text = f"c = Constant <value = float {{{number}}}> ()\nz = {node}\ny = Tanh(z)"
        m = model("(float[4] x) => (float[4] y)", text)
        optimise(m, 2)
        assert len(m.graph) == 1 + count, number
        assert [value.name for value in m.graph.inputs] == ["x"]
        for each in m.graph:
            for value in each.inputs:
                assert value is m.graph.inputs[0] or value.producer() or value.const_value is not None

"""The pass that keeps a symbolic batch visible."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from text_models import model

from samplegraph.export.static_reshape import StaticReshapePass

SIGNATURE = '(float["rows",4,6] x) => (float["rows",{out}] y)'


def target(m: ir.Model) -> list[int] | None:
    StaticReshapePass()(m)
    reshape = next(n for n in m.graph if n.op_type == "Reshape")
    value = reshape.inputs[1]
    assert value is not None
    return None if value.const_value is None else value.const_value.numpy().tolist()


def test_the_shape_of_another_value() -> None:
    m = model(SIGNATURE.format(out="4,6"), "s = Shape(x)\nz = Tanh(x)\ny = Reshape(z, s)")
    assert target(m) == [0, 4, 6]


def test_a_constant_with_minus_one_in_front() -> None:
    m = model(SIGNATURE.format(out="24"), "s = Constant <value_ints = [-1, 24]> ()\ny = Reshape(x, s)")
    ir.passes.common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(m)
    assert target(m) == [0, 24]


@pytest.mark.parametrize("numbers", ["[0, 24]", "[-1, 12]"])
def test_what_is_left_alone(numbers: str) -> None:
    out = numbers.strip("[]").split(", ")[1]
    m = model(
        SIGNATURE.format(out=out).replace('"rows",' + out, f'"other",{out}'),
        f"s = Constant <value_ints = {numbers}> ()\ny = Reshape(x, s)",
    )
    ir.passes.common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(m)
    assert np.array_equal(target(m), [int(n) for n in numbers.strip("[]").split(",")])

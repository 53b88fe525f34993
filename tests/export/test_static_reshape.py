"""The pass that keeps a symbolic batch visible."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from text_models import model

from samplegraph.export.passes.static_reshape import StaticReshapePass

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


def test_a_target_put_together_from_a_shape() -> None:
    """What the exporter writes for attention's keys: rows and heads merged, and parted again."""
    body = """
        last = Constant <value_ints = [-1]> ()
        before = Constant <value_ints = [-2]> ()
        end = Constant <value_ints = [9223372036854775807]> ()
        start = Constant <value_ints = [-9223372036854775808]> ()
        s = Shape(x)
        n = Slice(s, last, end)
        m = Slice(s, before, last)
        rest = Slice(s, start, before)
        merged = Concat <axis = 0> (last, m, n)
        a = Reshape(x, merged)
        b = Transpose <perm = [0, 2, 1]> (a)
        parted = Concat <axis = 0> (rest, n, m)
        y = Reshape(b, parted)
    """
    m = model('(float["rows",3,4,6] x) => (float["rows",3,6,4] y)', body)
    ir.passes.common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(m)
    assert target(m) == [-1, 4, 6]
    targets = [n.inputs[1].const_value for n in m.graph if n.op_type == "Reshape" and n.inputs[1] is not None]
    assert [t.numpy().tolist() for t in targets if t is not None] == [[-1, 4, 6], [-1, 3, 6, 4]]
    assert str(m.graph.outputs[0].shape) == "[rows,3,6,4]"

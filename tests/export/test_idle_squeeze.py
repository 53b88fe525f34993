"""The pass that drops squeezes of axes that are not 1."""

from __future__ import annotations

import onnx_ir as ir
import pytest
from text_models import model

from samplegraph.export.passes.idle_squeeze import IdleSqueezePass


@pytest.mark.parametrize(("axis", "left"), [(1, 0), (2, 1), (-1, 0), (-2, 1)])
def test_a_squeeze_stays_where_there_is_something_to_squeeze(axis: int, left: int) -> None:
    text = "a = Constant <value_ints = [2]> ()\nz = Squeeze(x, a)\ny = Tanh(z)"
    m = model('(float["rows",4,1,6] x) => (float["rows",4,6] y)', text)
    squeeze = next(node for node in m.graph if node.op_type == "Squeeze")
    squeeze.replace_input_with(1, ir.Value(name="b", const_value=ir.tensor([axis])))  # which no checker lets pass
    IdleSqueezePass()(m)
    assert sum(node.op_type == "Squeeze" for node in m.graph) == left
    tanh = next(node for node in m.graph if node.op_type == "Tanh")
    assert tanh.inputs[0] is not None
    assert tanh.inputs[0].name == ("z" if left else "x")


def test_an_axis_of_unknown_length_is_left_alone() -> None:
    m = model('(float["rows",4] x) => (float[4] y)', "a = Constant <value_ints = [0]> ()\ny = Squeeze(x, a)")
    assert not IdleSqueezePass()(m).modified

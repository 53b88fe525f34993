"""The passes that rearrange a denoiser without changing its numbers, on graphs in ONNX text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from text_models import model

from samplegraph.export.passes.picks import PicksPass
from samplegraph.export.passes.split_linear import SplitLinearPass
from samplegraph.export.passes.tensor_layout import LayoutPass

LIFT = ir.passes.common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)
UNUSED = ir.passes.common.RemoveUnusedNodesPass()


def after(signature: str, body: str, *passes: ir.passes.InPlacePass, rows: int = 2) -> tuple[Counter[str], ir.Model]:
    """Operators left and the graph after ``passes``; checks that it gives the same numbers as before."""
    m = model(signature, body)
    feed = {}
    for value in m.graph.inputs:
        shape = [n if isinstance(n, int) else rows for n in value.shape or ()]
        feed[value.name] = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = _run(m, feed)
    LIFT(m)
    for each in passes:
        each(m)
        UNUSED(m)
    found = _run(m, feed)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6)
    return Counter(n.op_type for n in m.graph), m


def _run(m: ir.Model, feed: dict[str, np.ndarray]) -> Sequence[np.ndarray]:
    session = ort.InferenceSession(ir.serde.serialize_model(m).SerializeToString())
    out: Sequence[np.ndarray] = session.run(None, feed)
    return out


SWAP = """
    three = Constant <value_ints = [-1, 4, 6]> ()
    flat = Reshape(x, three)
    swapped = Transpose <perm = [0, 2, 1]> (flat)
    four = Constant <value_ints = {target}> ()
    y = Reshape <allowzero = 1> (swapped, four)
"""


def test_swapped_through_a_merged_axis() -> None:
    ops, m = after("(float[2,3,4,6] x) => (float[2,3,6,4] y)", SWAP.format(target=[2, 3, 6, 4]), LayoutPass())
    assert ops == {"Transpose": 1}
    assert m.graph[0].attributes["perm"].as_ints() == (0, 1, 3, 2)


def test_swapped_under_a_symbolic_batch() -> None:
    ops, _ = after(
        '(float["rows",3,4,6] x) => (float["rows",3,6,4] y)', SWAP.format(target=[-1, 3, 6, 4]), LayoutPass(), rows=5
    )
    assert ops == {"Transpose": 1}


def test_axes_that_are_parted_otherwise_stay() -> None:
    ops, _ = after("(float[2,3,4,6] x) => (float[3,2,6,4] y)", SWAP.format(target=[3, 2, 6, 4]), LayoutPass())
    assert ops["Reshape"] == 2


@pytest.mark.parametrize(("target", "plain"), [([2, 3, 4], True), ([0, 3, 4], False)])
def test_allowzero_goes_where_it_says_nothing(target: list[int], plain: bool) -> None:
    size = 2 if plain else 0
    body = f"s = Constant <value_ints = {target}> ()\ny = Reshape <allowzero = 1> (x, s)"
    m = model(f"(float[{size},12] x) => (float[{size},3,4] y)", body)
    LIFT(m)
    LayoutPass()(m)
    assert ("allowzero" not in m.graph[-1].attributes) == plain


def test_two_transposes_are_one() -> None:
    body = "a = Transpose <perm = [0, 2, 1]> (x)\ny = Transpose <perm = [1, 2, 0]> (a)"
    ops, m = after("(float[2,3,4] x) => (float[4,3,2] y)", body, LayoutPass())
    assert ops == {"Transpose": 1}
    assert m.graph[0].attributes["perm"].as_ints() == (2, 1, 0)


QKV = """
    w = Constant <value = float[2,12] {1,2,3,4,5,6,7,8,9,10,11,12, -1,1,2,-2,3,-3,4,-4,5,-5,6,-6}> ()
    bias = Constant <value = float[12] {1,2,3,4,5,6,7,8,9,10,11,12}> ()
    product = MatMul(sample, w)
    linear = Add(product, bias)
    parts = Constant <value_ints = [0, 0, 3, 2, 2]> ()
    parted = Reshape(linear, parts)
    moved = Transpose <perm = [2, 0, 3, 1, 4]> (parted)
"""
GATHERED = """
    i0 = Constant <value = int64 {0}> ()
    i1 = Constant <value = int64 {1}> ()
    i2 = Constant <value = int64 {2}> ()
    q = Gather(moved, i0)
    k = Gather(moved, i1)
    v = Gather(moved, i2)
"""
SLICED = """
    axis = Constant <value_ints = [0]> ()
    one = Constant <value_ints = [1]> ()
    two = Constant <value_ints = [2]> ()
    three = Constant <value_ints = [3]> ()
    q0 = Slice(moved, axis, one, axis)
    k0 = Slice(moved, one, two, axis)
    v0 = Slice(moved, two, three, axis)
    q = Squeeze(q0, axis)
    k = Squeeze(k0, axis)
    v = Squeeze(v0, axis)
"""
SPLIT = """
    axis = Constant <value_ints = [0]> ()
    q0, k0, v0 = Split <axis = 0, num_outputs = 3> (moved)
    q = Squeeze(q0, axis)
    k = Squeeze(k0, axis)
    v = Squeeze(v0, axis)
"""
HEADS = "qk = Mul(q, k)\noutput = Add(qk, v)"


@pytest.mark.parametrize("rows", ["3", '"rows"'])
@pytest.mark.parametrize("picked", [GATHERED, SLICED, SPLIT], ids=["gather", "slice", "split"])
def test_q_k_and_v_become_layers_of_their_own(picked: str, rows: str) -> None:
    signature = f"(float[{rows},5,2] sample, float[{rows}] timestep) => (float[{rows},2,5,2] output)"
    ops, m = after(signature, QKV + picked + HEADS, PicksPass(), LayoutPass(), SplitLinearPass(), rows=3)
    assert ops == {"MatMul": 3, "Add": 4, "Reshape": 3, "Transpose": 3, "Mul": 1}
    weights = [v.shape for v in m.graph.initializers.values() if v.shape is not None and len(v.shape) == 2]
    assert weights == [(2, 4)] * 3


def test_an_entry_that_nobody_reads_keeps_the_transpose() -> None:
    signature = "(float[3,5,2] sample, float[3] timestep) => (float[3,2,5,2] output)"
    ops, _ = after(signature, QKV + GATHERED.replace("v = ", "u = ") + "output = Mul(q, k)", UNUSED, PicksPass())
    assert ops["Split"] == 0
    assert ops["Gather"] == 2


GATED = """
    w = Constant <value = float[2,4] {1,2,3,4, -1,1,2,-2}> ()
    product = MatMul(%s, w)
    a, b = Split <axis = -1, num_outputs = 2> (product)
    g = Tanh(b)
    gated = Mul(a, g)
    output = Add(sample, gated)
"""
TWO = "(float[3,2] sample, float[3] timestep, float[3,2] c) => (float[3,2] output)"


def test_both_halves_of_a_gated_layer() -> None:
    ops, _ = after(TWO, GATED % "sample", SplitLinearPass())
    assert ops == {"MatMul": 2, "Tanh": 1, "Mul": 1, "Add": 1}


def test_a_layer_of_the_conditions_stays_whole() -> None:
    ops, _ = after(TWO, GATED % "c", SplitLinearPass())
    assert ops["MatMul"] == ops["Split"] == 1


def test_a_layer_with_another_reader_stays_whole() -> None:
    body = GATED % "sample" + "total = ReduceSum <keepdims = 1> (product)\nmore = Mul(gated, total)\n"
    ops, _ = after(TWO.replace(") => (", ") => (float[1,1] total, "), body, SplitLinearPass())
    assert ops["MatMul"] == ops["Split"] == 1

"""What both branches of guidance share is evaluated once: denoisers in ONNX text, called twice under guidance."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from text_models import model

from samplegraph.export.graph.builder import CALL, DOMAIN, Builder
from samplegraph.export.link import Target, link
from samplegraph.export.partial.specialise import Specialised
from samplegraph.export.passes.pipeline import tidy_denoiser, tidy_linked

TIMES = (900.0, 100.0)
WIDTH = 4
HEAD = """
    w = Constant <value = float[4,4] {1,2,3,4, -1,1,2,-2, 2,0,1,-3, 1,1,-1,2}> ()
    axes = Constant <value_ints = [1]> ()
    scale = Constant <value = float {0.001}> ()
    t = Unsqueeze(timestep, axes)
    waves = Mul(t, scale)
"""
#: Two products and a shift by the timestep before the condition enters.
BODY = (
    HEAD
    + """
    a = MatMul(sample, w)
    b = Add(a, waves)
    shape = Constant <value_ints = [%s, 2, 2]> ()
    parted = Reshape(b, shape)
    moved = Transpose <perm = [0, 2, 1]> (parted)
    flat = Constant <value_ints = [%s, 4]> ()
    joined = Reshape(moved, flat)
    d = MatMul(joined, w)
    mixed = Add(d, c)
    e = MatMul(mixed, w)
    output = Tanh(e)
"""
)


def guided(body: str, batch: int | str, cast: bool = False) -> tuple[ir.Model, Specialised, ir.Model]:
    """``x <- uncond + cond`` of the denoiser at both of ``TIMES``, its sample ``Concat(x, x)``."""
    rows: int | str = 2 * batch if isinstance(batch, int) else "rows"
    axis = str(rows) if isinstance(rows, int) else f'"{rows}"'
    kind = "float16" if cast else "float"
    signature = f"({kind}[{axis},4] sample, float[{axis}] timestep, float[{axis},4] c) => (float[{axis},4] output)"
    denoiser = model(signature, body)
    tidy_denoiser(denoiser)
    b = Builder("h")
    x = first = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([batch, WIDTH]))
    c = ir.Value(name="c", type=first.type, shape=ir.Shape([rows, WIDTH]))
    for point in range(len(TIMES)):
        seen = b.one("Concat", [x, x], {"axis": 0})
        if cast:
            seen = b.one("Cast", [seen], {"to": int(ir.DataType.FLOAT16)})
        output = b.one(CALL, [seen, c], {"point": point}, domain=DOMAIN)
        halves = b.op("Split", [output], {"axis": 0, "num_outputs": 2}, num_outputs=2)
        x = b.one("Add", halves)
        x.shape, x.type = first.shape, first.type
    out = b.one("Identity", [x])
    out.name, out.type, out.shape = "result", first.type, first.shape
    graph = ir.Graph([first, c], [out], nodes=b.nodes, opset_imports={"": 20, DOMAIN: 1}, name="g")
    whole = ir.Model(graph, ir_version=10)
    count = 2 * batch if isinstance(batch, int) else 1
    times = [np.full(count, t, dtype=np.float32) for t in TIMES]
    (group,) = link(whole, lambda point: Target(denoiser, times[point], count))
    tidy_linked(whole)
    return whole, group.parts, denoiser


def agree(whole: ir.Model, denoiser: ir.Model, batch: int) -> None:
    """The linked graph is clean, and gives what the denoiser gives on the doubled batch."""
    proto = ir.serde.serialize_model(whole)
    onnx.checker.check_model(proto)
    onnx.shape_inference.infer_shapes(proto, strict_mode=True)
    generator = np.random.default_rng(0)
    x, c = (generator.standard_normal((n, WIDTH)).astype(np.float32) for n in (batch, 2 * batch))
    found = ort.InferenceSession(proto.SerializeToString()).run(None, {"x": x, "c": c})[0]
    step = ort.InferenceSession(ir.serde.serialize_model(denoiser).SerializeToString())
    kind = np.float16 if step.get_inputs()[0].type == "tensor(float16)" else np.float32
    for t in TIMES:
        feed = {"sample": np.concatenate([x, x]).astype(kind), "timestep": np.full(2 * batch, t, np.float32), "c": c}
        takes = {each.name for each in step.get_inputs()}
        both = step.run(None, {k: v for k, v in feed.items() if k in takes})[0]
        x = both[:batch] + both[batch:]
    np.testing.assert_allclose(found, x, rtol=2e-3 if kind == np.float16 else 1e-6, atol=1e-6)


def counts(whole: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in whole.graph)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("target", ["rows", "0", "-1"])
def test_until_the_condition_enters(batch: int, target: str) -> None:
    first = str(2 * batch) if target == "rows" else target
    whole, parts, denoiser = guided(BODY % (first, first), batch)
    assert parts.counts["on one branch"] == 6
    # one row is broadcast to the condition's two; more rows are put together before it
    assert counts(whole)["Concat"] == (0 if batch == 1 else len(TIMES))
    agree(whole, denoiser, batch)


def test_symbolic_batch() -> None:
    whole, parts, denoiser = guided(BODY % (0, 0), "batch")
    assert parts.counts["on one branch"] == 6
    for batch in (1, 3):
        agree(whole, denoiser, batch)


def test_through_a_cast() -> None:
    body = (BODY % (0, 0)).replace("MatMul(sample, w)", "MatMul(wide, w)")
    whole, parts, denoiser = guided(f"wide = Cast <to = 1> (sample)\n{body}", 2, cast=True)
    assert parts.counts["on one branch"] == 7
    agree(whole, denoiser, 2)


@pytest.mark.parametrize(
    "mixing",
    [
        "m = ReduceMean <keepdims = 1> (a, first)\nb = Sub(a, m)",
        "b = Softmax <axis = 0> (a)",
        "m = CumSum(a, zero)\nb = Tanh(m)",
        "m = Transpose <perm = [1, 0]> (a)\nn = Tanh(m)\nb = Transpose <perm = [1, 0]> (n)",
        "m = Constant <value = float[4,1] {1,2,3,4}> ()\nb = Mul(a, m)",
        "m = Reshape(a, backwards)\nn = Tanh(m)\nb = Reshape(n, there)",
        "m = Slice(a, one, four, first)\nb = Concat <axis = 0> (sample, m)\nrest = Identity(m)",
    ],
    ids=["mean", "softmax", "cumsum", "transpose", "rows of a constant", "reshape", "concat"],
)
def test_rows_that_mix_or_differ_stay_double(mixing: str) -> None:
    body = (
        HEAD
        + f"""
        first = Constant <value_ints = [0]> ()
        one = Constant <value_ints = [1]> ()
        four = Constant <value_ints = [4]> ()
        zero = Constant <value = int64 {{0}}> ()
        backwards = Constant <value_ints = [2, 8]> ()
        there = Constant <value_ints = [4, 4]> ()
        a = MatMul(sample, w)
        {mixing}
        back = Constant <value_ints = [-1, 4]> ()
        top = Slice(b, first, four, first)
        d = MatMul(top, w)
        output = Add(d, c)
    """
    )
    whole, parts, denoiser = guided(body, 2)
    assert parts.counts["on one branch"] == 1  # the first product
    agree(whole, denoiser, 2)


def test_a_condition_at_the_first_layer_leaves_nothing() -> None:
    whole, parts, denoiser = guided(HEAD + "a = Add(sample, c)\nb = MatMul(a, w)\noutput = Mul(b, waves)", 3)
    assert "on one branch" not in parts.counts
    agree(whole, denoiser, 3)


def test_what_does_not_pay_is_left() -> None:
    whole, parts, denoiser = guided("a = Tanh(sample)\noutput = Add(a, c)", 3)
    assert "on one branch" not in parts.counts
    agree(whole, denoiser, 3)


def test_a_condition_that_is_not_used() -> None:
    whole, parts, denoiser = guided(HEAD + "a = MatMul(sample, w)\nb = MatMul(a, w)\noutput = Mul(b, waves)", 3)
    assert parts.counts["on one branch"] == 3
    agree(whole, denoiser, 3)


def test_a_subgraph_reads_both_branches() -> None:
    body = (
        HEAD
        + """
        a = MatMul(sample, w)
        b = MatMul(a, w)
        all = Constant <value_ints = [0, 1]> ()
        zero = Constant <value = float {0.0}> ()
        total = ReduceSum <keepdims = 0> (c, all)
        positive = Greater(total, zero)
        output = If (positive) <
            then_branch = g1 () => (float[6,4] y) { y = Add(b, c) },
            else_branch = g2 () => (float[6,4] z) { z = Sub(b, c) }
        >
    """
    )
    whole, parts, denoiser = guided(body, 3)
    assert parts.counts["on one branch"] == 2
    agree(whole, denoiser, 3)

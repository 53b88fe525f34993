"""Specialisation and linking, on denoisers in ONNX text called three times in a row."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from text_models import model

from samplegraph.export.graph.builder import CALL, DOMAIN, Builder
from samplegraph.export.link import Target, link
from samplegraph.export.partial import fold
from samplegraph.export.partial.specialise import Specialised
from samplegraph.export.passes.pipeline import tidy_denoiser, tidy_linked

TIMES = (900.0, 500.0, 100.0)
INPUTS = "(float[2,4] sample, float[2] timestep, float[2,3] c) => (float[2,4] output)"
EMBED = """
    axes = Constant <value_ints = [1]> ()
    scale = Constant <value = float {0.001}> ()
    t = Unsqueeze(timestep, axes)
    small = Mul(t, scale)
    waves = Sin(small)
"""


def linked(body: str, inputs: str = INPUTS) -> tuple[ir.Model, Specialised, ir.Model]:
    """The denoiser applied three times to its own output, as one graph; and the denoiser."""
    denoiser = model(inputs, body)
    tidy_denoiser(denoiser)
    b = Builder("h")
    copies = [ir.Value(name=v.name, type=v.type, shape=v.shape) for v in denoiser.graph.inputs]
    sample, *conditions = copies[0], *copies[2:]
    x = sample
    for point in range(len(TIMES)):
        x = b.one(CALL, [x, *conditions], {"point": point}, domain=DOMAIN)
    out = b.one("Identity", [x])
    out.name, out.type, out.shape = "result", sample.type, sample.shape
    graph = ir.Graph([sample, *conditions], [out], nodes=b.nodes, opset_imports={"": 20, DOMAIN: 1}, name="g")
    whole = ir.Model(graph, ir_version=10)
    rows = denoiser.graph.inputs[0].shape[0]  # type: ignore[index]
    count = rows if isinstance(rows, int) else 1
    times = [np.full(count, t, dtype=np.float32) for t in TIMES]
    (group,) = link(whole, lambda point: Target(denoiser, times[point], count))
    tidy_linked(whole)
    return whole, group.parts, denoiser


def agree(whole: ir.Model, denoiser: ir.Model, rows: int = 2) -> None:
    """The linked graph gives what the denoiser gives when it is called in a loop."""
    generator = np.random.default_rng(0)
    sample, c = (generator.standard_normal((rows, n)).astype(np.float32) for n in (4, 3))
    takes = {v.name for v in denoiser.graph.inputs}
    conditions = {"c": c} if "c" in takes else {}
    step = _session(denoiser)
    x = sample
    for t in TIMES:
        feed = {"sample": x, "timestep": np.full(rows, t, np.float32), **conditions}
        x = step.run(None, feed)[0]
    found = _session(whole).run(None, {"sample": sample, **conditions})[0]
    np.testing.assert_allclose(found, x, rtol=1e-6, atol=1e-6)


def _session(m: ir.Model) -> ort.InferenceSession:
    return ort.InferenceSession(ir.serde.serialize_model(m).SerializeToString())


def test_the_timestep_path_becomes_constants() -> None:
    whole, parts, denoiser = linked(EMBED + "output = Add(sample, waves)", INPUTS.replace(", float[2,3] c", ""))
    assert Counter(n.op_type for n in whole.graph) == {"Add": 3}
    assert parts.counts["folded"] == 3
    agree(whole, denoiser)


def test_equal_rows_are_stored_once() -> None:
    whole, _, _ = linked(EMBED + "output = Add(sample, waves)", INPUTS.replace(", float[2,3] c", ""))
    stored = [v.const_value.numpy().shape for v in whole.graph.initializers.values() if v.const_value is not None]
    assert stored == [(1, 1)] * 3


def test_conditions_are_hoisted() -> None:
    body = "w = Constant <value = float[3,4] {1,2,3,4, 5,6,7,8, 9,1,2,3}> ()\nk = MatMul(c, w)\noutput = Add(sample, k)"
    whole, parts, denoiser = linked(body)
    assert Counter(n.op_type for n in whole.graph) == {"MatMul": 1, "Add": 3}
    assert parts.counts["hoisted"] == 1
    agree(whole, denoiser)


MODULATION = (
    EMBED
    + """
    w = Constant <value = float[3,4] {1,2,3,4, 5,6,7,8, 9,1,2,3}> ()
    mixed = Add(c, waves)
    k = MatMul(mixed, w)
    output = Add(sample, k)
"""
)


def test_timestep_and_conditions_share_one_product_for_all_sites() -> None:
    whole, parts, denoiser = linked(MODULATION)
    ops = Counter(n.op_type for n in whole.graph)
    assert ops["MatMul"] == 1
    assert ops["Split"] == 1
    assert parts.counts["batched"] == 2
    agree(whole, denoiser)


def test_a_transposed_product_is_not_batched() -> None:
    body = EMBED + """
        mixed = Add(c, waves)
        w = Constant <value = float[2,4] {1,2,3,4, 5,6,7,8}> ()
        k = Gemm <transA = 1> (mixed, w)
        zero = Constant <value_ints = [0]> ()
        total = ReduceMean <keepdims = 1> (k, zero)
        output = Add(sample, total)
    """
    whole, _, denoiser = linked(body)
    assert Counter(n.op_type for n in whole.graph)["Gemm"] == len(TIMES)
    agree(whole, denoiser)


def test_symbolic_rows() -> None:
    inputs = '(float["rows",4] sample, float["rows"] timestep, float["rows",3] c) => (float["rows",4] output)'
    whole, parts, denoiser = linked(MODULATION, inputs)
    assert parts.counts["batched"] == 2
    for rows in (1, 3):
        agree(whole, denoiser, rows)


def test_rows_that_mix_are_not_batched() -> None:
    body = (
        EMBED
        + """
        mixed = Add(c, waves)
        pads = Constant <value_ints = [0, 0, 0, 1]> ()
        wide = Pad(mixed, pads)
        zero = Constant <value_ints = [0]> ()
        total = ReduceMean <keepdims = 1> (wide, zero)
        output = Add(sample, total)
    """
    )
    whole, parts, denoiser = linked(body)
    assert parts.counts["in front per site"] == 2 * len(TIMES)
    assert Counter(n.op_type for n in whole.graph)["ReduceMean"] == len(TIMES)
    agree(whole, denoiser)


def test_an_expansion_over_budget_is_recomputed(monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        EMBED
        + """
        shape = Constant <value_ints = [2, 4]> ()
        wide = Expand(waves, shape)
        output = Mul(sample, wide)
    """
    )
    inputs = INPUTS.replace(", float[2,3] c", "")
    whole, _, _ = linked(body, inputs)
    assert "Expand" not in Counter(n.op_type for n in whole.graph)
    monkeypatch.setattr(fold, "FOLD_BUDGET", 16)
    whole, _, denoiser = linked(body, inputs)
    assert Counter(n.op_type for n in whole.graph)["Expand"] == len(TIMES)
    agree(whole, denoiser)


def test_subgraphs_are_copied_to_each_site() -> None:
    body = """
        zero = Constant <value = float {0.0}> ()
        axes = Constant <value_ints = [0, 1]> ()
        sum = ReduceSum <keepdims = 0> (sample, axes)
        positive = Greater(sum, zero)
        output = If (positive) <
            then_branch = g1 () => (float[2,4] y) { y = Tanh(sample) },
            else_branch = g2 () => (float[2,4] z) { d = Sin(sample) z = Neg(d) }
        >
    """
    whole, _, denoiser = linked(body, INPUTS.replace(", float[2,3] c", ""))
    assert Counter(n.op_type for n in whole.graph)["If"] == len(TIMES)
    agree(whole, denoiser)


def test_the_timestep_itself_is_a_constant() -> None:
    body = """
        axes = Constant <value_ints = [1]> ()
        wide = Unsqueeze(timestep, axes)
        scale = Constant <value = float {0.001}> ()
        flat = ReduceMean <keepdims = 0> (sample, axes)
        mixed = Mul(flat, timestep)
        small = Mul(mixed, scale)
        tall = Unsqueeze(small, axes)
        output = Add(sample, tall)
    """
    whole, _, denoiser = linked(body, INPUTS.replace(", float[2,3] c", ""))
    agree(whole, denoiser)


@pytest.mark.parametrize("reduce", ["ReduceSum", "ReduceMean"])
def test_a_timestep_value_that_depends_on_the_number_of_rows(reduce: str) -> None:
    """Under a symbolic batch a shape and a sum over rows cannot be folded; a mean can."""
    body = EMBED + f"""
        first = Constant <value_ints = [0]> ()
        total = {reduce} <keepdims = 1> (waves, first)
        rows = Shape(timestep)
        width = Constant <value_ints = [4]> ()
        target = Concat <axis = 0> (rows, width)
        flat = Reshape(sample, target)
        output = Add(flat, total)
    """
    inputs = '(float["rows",4] sample, float["rows"] timestep) => (float["rows",4] output)'
    whole, _, denoiser = linked(body, inputs)
    for rows in (1, 3):
        agree(whole, denoiser, rows)

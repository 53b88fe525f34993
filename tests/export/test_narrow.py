"""Narrowing and the written-out roundings, on denoisers in ONNX text."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from text_models import model

from samplegraph.export.errors import ExportError
from samplegraph.export.graph.bindings import analyse
from samplegraph.export.passes.pipeline import tidy_denoiser
from samplegraph.export.precision.keep import kept_nodes
from samplegraph.export.precision.narrow import narrow
from samplegraph.export.precision.narrow_weights import NarrowWeights
from samplegraph.export.precision.rounded import rounded

INPUTS = "(float[2,4] sample, float[2] timestep, float[2,3] c) => (float[2,4] output)"
HALF, BRAIN, FLOAT = ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.FLOAT


def narrowed(body: str, kind: ir.DataType = HALF, keep: tuple[str, ...] = (), inputs: str = INPUTS) -> ir.Model:
    denoiser = model(inputs, body)
    tidy_denoiser(denoiser)
    graph = denoiser.graph
    narrow(denoiser, NarrowWeights(kind), kept_nodes(graph, analyse(graph, graph.inputs[0], graph.inputs[1]), keep))
    onnx.checker.check_model(ir.serde.serialize_model(denoiser), full_check=True)
    return denoiser


def kinds(found: ir.Model) -> list[tuple[str, ir.DataType | None]]:
    return [(node.op_type, node.outputs[0].dtype) for node in found.graph]


def run(proto: onnx.ModelProto, sample: list[float]) -> np.ndarray:
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.array([sample] * 2, np.float32)
    feed = {"sample": x, "timestep": np.ones(2, np.float32), "c": np.ones((2, 3), np.float32)}
    result: np.ndarray = session.run(None, {i.name: feed[i.name] for i in session.get_inputs()})[0]
    return result


def test_one_cast_in_and_one_out() -> None:
    found = narrowed("a = Tanh(sample)\nb = Mul(sample, a)\noutput = Add(b, a)")
    assert kinds(found) == [("Cast", HALF), ("Tanh", HALF), ("Mul", HALF), ("Add", HALF), ("Cast", FLOAT)]


def test_an_operator_that_lacks_the_type_stays_float32() -> None:
    """Einsum takes float16 and no bfloat16."""
    body = 'a = Tanh(sample)\nb = Einsum <equation = "ij->ij"> (a)\noutput = Tanh(b)'
    assert ("Einsum", HALF) in kinds(narrowed(body))
    found = kinds(narrowed(body, BRAIN))
    assert ("Einsum", FLOAT) in found
    assert [kind for op, kind in found if op == "Tanh"] == [BRAIN, BRAIN]


def test_inputs_of_a_fixed_type_stay_float32() -> None:
    """The scales of Resize are float32 whatever it resizes."""
    body = "scales = Constant <value_floats = [1.0, 1.0]> ()\nr = Resize(sample, , scales)\noutput = Tanh(r)"
    found = narrowed(body)
    assert ("Resize", HALF) in kinds(found)
    assert next(v for v in found.graph.initializers.values() if v.name == "scales").dtype == FLOAT


def test_what_depends_on_the_timestep_alone_stays_float32() -> None:
    body = "axes = Constant <value_ints = [1]> ()\nt = Unsqueeze(timestep, axes)\nw = Sin(t)\noutput = Add(sample, w)"
    found = kinds(narrowed(body))
    assert ("Sin", FLOAT) in found
    assert ("Add", HALF) in found


def test_norms_that_are_written_out_stay_float32_up_to_where_they_scale() -> None:
    body = """
        eps = Constant <value = float {0.000001}> ()
        axes = Constant <value_ints = [1]> ()
        a = Tanh(sample)
        s = Mul(a, a)
        m = ReduceMean(s, axes)
        e = Add(m, eps)
        r = Sqrt(e)
        output = Div(a, r)
    """
    found = [(op, kind) for op, kind in kinds(narrowed(body)) if op != "Cast"]
    assert found == [
        ("Tanh", HALF),
        ("Mul", FLOAT),
        ("ReduceMean", FLOAT),
        ("Add", FLOAT),
        ("Sqrt", FLOAT),
        ("Div", HALF),
    ]


def test_a_mask_saturates() -> None:
    found = narrowed("low = Constant <value = float {-3.0e38}> ()\noutput = Max(sample, low)")
    mask = next(v for v in found.graph.initializers.values() if v.name == "low").const_value
    assert mask is not None
    assert mask.numpy() == np.float16(-65504)


def test_control_flow_is_refused() -> None:
    body = """
        axes = Constant <value_ints = [0, 1]> ()
        total = ReduceSum <keepdims = 0> (sample, axes)
        zero = Constant <value = float {0}> ()
        up = Greater(total, zero)
        output = If (up) <
            then_branch = yes () => (float[2,4] y) { y = Neg(sample) },
            else_branch = no () => (float[2,4] z) { z = Abs(sample) }
        >
    """
    with pytest.raises(ExportError, match="the model has control flow"):
        narrowed(body)


@pytest.mark.parametrize("kind", [HALF, BRAIN])
def test_every_rounding_is_written_out(kind: ir.DataType) -> None:
    """Against numpy, operation by operation; 300 squared is beyond float16, and ONNX Runtime does not say so."""
    proto = ir.serde.serialize_model(narrowed("s = Sum(sample, sample)\ns2 = Mul(s, sample)\noutput = Sqrt(s2)", kind))
    sample = [300.0, 1.001, 3.3e-4, 0.1]
    x = np.array([sample] * 2, np.float32).astype(kind.numpy())
    with np.errstate(over="ignore"):
        expected = np.sqrt(((x + x) * x).astype(np.float32)).astype(kind.numpy()).astype(np.float32)
    assert np.array_equal(run(rounded(proto), sample), expected)
    if kind == HALF:
        assert np.isinf(expected[0, 0])
        assert np.isfinite(run(proto, sample)).all()

"""Values of all evaluations, cut apart so that a builder finds the kernels of each evaluation alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from networks import TinyDiT, seeded
from text_models import model

from samplegraph.export import Captures, compile
from samplegraph.export.passes.site_products import SiteProductsPass
from samplegraph.models import Sampler
from samplegraph.schedulers import create

#: Two values of three sites are read in turn; the sample, which is cut as well, changes with each.
SITES = (
    "(float[2,1,4] x, float[6,1,4] c, float[6,1,2] e) => (float[2,1,6] y)",
    """r = Relu(c)
a0, a1, a2 = Split <axis = 0, num_outputs = 3> (r)
b0, b1, b2 = Split <axis = 0, num_outputs = 3> (e)
x1 = Mul(x, a0)
top, low = Split <axis = 0, num_outputs = 2> (x1)
both = Concat <axis = 0> (low, top)
x2 = Add(both, a1)
x3 = Mul(x2, a2)
g = Sum(b0, b1, b2)
y = Concat <axis = 2> (x3, g)""",
)


def rewritten(m: ir.Model) -> list[str]:
    """The operators after the pass; values are as they were."""
    before = ir.to_proto(m)
    SiteProductsPass({"c", "e"})(m)
    after = ir.to_proto(m)
    onnx.checker.check_model(after, full_check=True)
    given = {v.name: np.random.default_rng(0).standard_normal(list(v.shape)) for v in m.graph.inputs}
    fed = {k: v.astype(np.float32) for k, v in given.items()}
    found, expected = (
        ort.InferenceSession(p.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, fed)
        for p in (after, before)
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    return [node.op_type for node in m.graph]


def test_all_that_sites_read_comes_out_of_one_product_each() -> None:
    m = model(*SITES)
    found = rewritten(m)
    assert found.count("MatMul") == 3
    cut = [node for node in m.graph if node.op_type == "Split" and node.attributes["axis"].as_int() == 0]
    assert [node.inputs[0].name for node in cut] == ["x1"]


def test_what_is_made_of_parts_is_cut_by_products_of_its_own() -> None:
    body = """a0, a1 = Split <axis = 0, num_outputs = 2> (c)
later = Concat <axis = 0> (a1, a0)
b0, b1 = Split <axis = 0, num_outputs = 2> (later)
s = Mul(x, a0)
y = Add(s, b0)"""
    assert rewritten(model("(float[3,4] x, float[6,4] c) => (float[3,4] y)", body)).count("MatMul") == 4


@pytest.mark.parametrize(
    ("given", "cut"),
    [
        ("float[6,4] c", "<axis = 0> (c, uneven)"),
        ("float[6,4] other", "<axis = 0, num_outputs = 2> (other)"),
        ("float[3,8] c", "<axis = 1, num_outputs = 2> (c)"),
        ("int64[6,4] c", "<axis = 0, num_outputs = 2> (c)"),
        ("float[6] c", "<axis = 0, num_outputs = 2> (c)"),
    ],
)
def test_other_splits_stay(given: str, cut: str) -> None:
    body = f"uneven = Constant <value_ints = [2, 4]> ()\na0, a1 = Split {cut}\ny = Cast <to = 1> (a0)"
    rows = "[3]" if "[6]" in given else "[2,4]" if "uneven" in cut else "[3,4]"
    m = model(f"({given}) => (float{rows} y)", body)
    before = [node.op_type for node in m.graph]
    assert not SiteProductsPass({"c"})(m).modified
    assert [node.op_type for node in m.graph] == before


def test_a_part_that_is_an_output_stays() -> None:
    body = "a0, y = Split <axis = 0, num_outputs = 2> (c)"
    assert not SiteProductsPass({"c"})(model("(float[6,4] c) => (float[3,4] y)", body)).modified


@pytest.mark.parametrize("batch", [1, "dynamic"])
def test_a_step_more_adds_no_source_of_a_normalisation(
    batch: int | str, captures: Captures, tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx")
    from samplegraph.export.engine import BUILDERS, BuildSettings, plan_engines
    from samplegraph.export.engine.files import engine_of

    counts = []
    for steps in (3, 4):
        sampler = Sampler(seeded(TinyDiT()), create("ddim", steps))
        graph = compile(sampler, batch=batch, captures=captures).save(tmp_path / f"{steps}.onnx")
        (plan,) = plan_engines(graph, BUILDERS["tensorrt-rtx"], ["sm89"], BuildSettings())
        made, _ = engine_of(plan, lambda phase, done, total: None)
        counts.append(bytes(made).count(b"#undef __HAS_FP16"))
    assert counts[0] > 10, "sources do not begin as they did; count them otherwise"
    # The sampler's own kernel between two evaluations reads what that of the step before wrote.
    assert counts[1] - counts[0] <= 1, counts

"""The form that builders are given: fewer operators, the same values."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from networks import TinyDiT, TinyUNet, seeded
from text_models import model
from torch import nn

from samplegraph.export import Captures, compile
from samplegraph.export.engine.engine_form import engine_form
from samplegraph.export.passes.group_normalization import GroupNormalizationPass
from samplegraph.export.passes.modulated_norm import ModulatedNormPass
from samplegraph.export.verification.examples import example_inputs
from samplegraph.models import Sampler
from samplegraph.schedulers import create

GROUPS = (
    "(float[2,4,3,3] x) => (float[2,4,3,3] y)",
    """one = Constant <value_floats = [1.0, {one}]> ()
zero = Constant <value_floats = [0.0, 0.0]> ()
cut = Constant <value_ints = [2, {groups}, -1]> ()
whole = Constant <value_ints = [2, 4, 3, 3]> ()
w = Constant <value = float[{axes}] {{1.0, 2.0, 3.0, 4.0}}> ()
b = Constant <value = float[4,1,1] {{0.5, 0.5, 1.5, 1.5}}> ()
parts = Reshape(x, cut)
normed = InstanceNormalization <epsilon = 0.001> (parts, one, zero)
again = Reshape(normed, whole)
scaled = Mul({order})
y = Add(scaled, b)""",
)
NORM = (
    "(float[2,5,4] x, float[{rows},1,4] s, float[2,1,4] t) => (float[2,5,4] y)",
    """one = Constant <value_floats = [1.0, 1.0, 1.0, {one}]> ()
normed = LayerNormalization <axis = {axis}, epsilon = 0.001> (x, one)
scaled = Mul(normed, s)
y = Add({order})""",
)


def operators(m: ir.Model, rule: ir.passes.InPlacePass) -> list[str]:
    """What is left after ``rule``, constants and what nothing reads aside; values are as they were."""
    ir.passes.common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(m)
    before = ir.to_proto(m)
    rule(m)
    ir.passes.common.RemoveUnusedNodesPass()(m)
    m.graph.opset_imports[""] = 21
    after = ir.to_proto(m)
    onnx.checker.check_model(after, full_check=True)
    given = {v.name: np.random.default_rng(0).standard_normal(list(v.shape)).astype(np.float32) for v in m.graph.inputs}
    found, expected = (evaluate(proto.SerializeToString(), given)[0] for proto in (after, before))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    return [node.op_type for node in m.graph]


def evaluate(data: bytes | str, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    return list(ort.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, given))


@pytest.mark.parametrize("order", ["again, w", "w, again"])
def test_a_group_norm_is_one_operator(order: str) -> None:
    m = model(GROUPS[0], GROUPS[1].format(one="1.0", groups=2, axes="4,1,1", order=order))
    assert operators(m, GroupNormalizationPass()) == ["GroupNormalization"]
    (node,) = m.graph
    assert node.attributes["num_groups"].as_int() == 2
    assert node.attributes["epsilon"].as_float() == pytest.approx(1e-3)


@pytest.mark.parametrize("change", [{"one": "2.0"}, {"axes": "1,4,1,1"}, {"axes": "1,1,4"}, {"order": "again, again"}])
def test_what_is_no_group_norm_stays(change: dict[str, str]) -> None:
    given = {"one": "1.0", "groups": "2", "axes": "4,1,1", "order": "again, w"} | change
    signature = GROUPS[0] if change != {"axes": "1,1,4"} else GROUPS[0].replace("3,3", "1,4")
    body = GROUPS[1].format(**given)
    body = body.replace("4, 3, 3", "4, 1, 4") if change == {"axes": "1,1,4"} else body
    found = operators(model(signature, body), GroupNormalizationPass())
    assert ("GroupNormalization" in found) == (change == {"axes": "1,4,1,1"})


@pytest.mark.parametrize("order", ["scaled, t", "t, scaled"])
def test_a_modulated_norm_is_one_operator(order: str) -> None:
    m = model(NORM[0].format(rows=2), NORM[1].format(one="1.0", axis=-1, order=order))
    assert operators(m, ModulatedNormPass()) == ["LayerNormalization"]


@pytest.mark.parametrize("change", [{"one": "2.0"}, {"order": "scaled, normed"}])
def test_a_norm_with_a_scale_of_its_own_stays(change: dict[str, str]) -> None:
    given = {"one": "1.0", "axis": "-1", "order": "scaled, t"} | change
    m = model(NORM[0].format(rows=1), NORM[1].format(**given))
    assert operators(m, ModulatedNormPass()) == ["LayerNormalization", "Mul", "Add"]


@pytest.mark.parametrize("network", [TinyUNet, TinyDiT])
@pytest.mark.parametrize("batch", [2, "dynamic"])
def test_sampled_values_stay(network: type[nn.Module], batch: int | str, captures: Captures, tmp_path: Path) -> None:
    sampler = Sampler(seeded(network()), create("ddim", 3))
    program = compile(sampler, batch=batch, captures=captures, weights="external")
    path = program.save(tmp_path / "x.onnx")
    made = tmp_path / "y.onnx"
    made.write_bytes(engine_form(path, program.manifest.inputs))
    onnx.checker.check_model(str(made), full_check=True)
    given = {k: v.numpy() for k, v in example_inputs(sampler, program.signature, seed=5).items()}
    expected, found = (evaluate(str(each), given)[0] for each in (path, made))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    graphs = (onnx.load(each, load_external_data=False).graph for each in (path, made))
    before, after = (Counter(node.op_type for node in graph.node) for graph in graphs)
    assert after["InstanceNormalization"] == 0
    assert after["GroupNormalization"] == before["InstanceNormalization"]
    assert after.total() < before.total()

"""Binding-time analysis on denoisers in ONNX text."""

from __future__ import annotations

from text_models import model

from samplegraph.export.graph.bindings import Binding, Bindings, analyse
from samplegraph.export.partial.cost import costs, work

INPUTS = "(float[2,4] sample, float[2] timestep, float[2,3] c) => (float[2,4] output)"


def bind(body: str, inputs: str = INPUTS) -> tuple[Bindings, dict[str, Binding]]:
    graph = model(inputs, body).graph
    found = analyse(graph, graph.inputs[0], graph.inputs[1])
    return found, {value.name or "": binding for value, binding in found.values.items()}


def test_each_class() -> None:
    found, by_name = bind("""
        w = Constant <value = float[3,4] {1,0,0,0, 0,1,0,0, 0,0,1,0}> ()
        axes = Constant <value_ints = [1]> ()
        t = Unsqueeze(timestep, axes)
        waves = Sin(t)
        k = MatMul(c, w)
        kt = Mul(k, waves)
        h = Add(sample, kt)
        output = Tanh(h)
    """)
    assert by_name["w"] == Binding.NOTHING
    assert by_name["waves"] == Binding.TIMESTEP
    assert by_name["k"] == Binding.CONDITIONS
    assert by_name["kt"] == Binding.TIMESTEP | Binding.CONDITIONS
    assert by_name["h"] == Binding.TIMESTEP | Binding.CONDITIONS | Binding.SAMPLE
    assert found.counts() == {"timestep": 4, "conditions": 1, "timestep+conditions": 1, "sample": 2}


def test_all_outputs_of_a_node_share_its_dependence() -> None:
    _, by_name = bind("""
        a, b = Split <axis = 1, num_outputs = 2> (sample)
        output = Concat <axis = 1> (b, a)
    """)
    assert by_name["a"] == by_name["b"] == Binding.SAMPLE


def test_a_subgraph_depends_on_what_it_reads_from_outside() -> None:
    _, by_name = bind("""
        half = Constant <value = float {0.5}> ()
        first = Constant <value_ints = [0]> ()
        t0 = Gather(timestep, first)
        late = Less(t0, half)
        no = Squeeze(late)
        k = If (no) <
            then_branch = g1 () => (float[2,3] y) { y = Tanh(c) },
            else_branch = g2 () => (float[2,3] z) { z = Identity(c) }
        >
        pads = Constant <value_ints = [0, 0, 0, 1]> ()
        wide = Pad(k, pads)
        output = Add(sample, wide)
    """)
    assert by_name["no"] == Binding.TIMESTEP
    assert by_name["k"] == Binding.TIMESTEP | Binding.CONDITIONS
    assert by_name["output"] & Binding.SAMPLE


def test_costs_count_multiply_adds_twice() -> None:
    found, _ = bind("""
        w = Constant <value = float[3,4] {1,0,0,0, 0,1,0,0, 0,0,1,0}> ()
        k = MatMul(c, w)
        output = Add(sample, k)
    """)
    by_class = costs(found, rows=2)
    assert by_class["conditions"].flops == 2 * 2 * 3 * 4
    assert by_class["sample"].flops == by_class["sample"].bytes // 4 == 8
    assert work(found, 2, 25, ()).saved.flops == 24 * by_class["conditions"].flops

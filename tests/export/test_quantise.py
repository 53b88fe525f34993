"""Weights as int8 numbers with one scale per output channel."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from networks import seeded
from text_models import model
from torch import Tensor, nn

from samplegraph.export import Captures, ExportError, Program, compile
from samplegraph.export.graph.bindings import analyse
from samplegraph.export.graph.builder import initializer
from samplegraph.export.precision.quantise import QuantisedWeights, quantise, quantised
from samplegraph.models import ModelSpec, Sampler
from samplegraph.runtime import Engine
from samplegraph.runtime.precision import prepare_weights
from samplegraph.schedulers import create

#: The large weights of ``Wide`` that depend on the sample, with their axes of output channels.
AXES = {"up.weight": 0, "mix.weight": 1, "down.weight": 1}


class Wide(nn.Module):
    """A convolution, a linear layer and a transposed convolution of 4,096 numbers and more; a time path as large."""

    spec = ModelSpec(name="wide", sample_shape=(4, 8, 8), prediction_type="epsilon")

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Linear(64, 128)
        self.up = nn.Conv2d(4, 128, 3, padding=1)
        self.mix = nn.Linear(128, 128)
        self.small = nn.Conv2d(128, 8, 1)
        self.down = nn.ConvTranspose2d(128, 4, 3, padding=1)

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        h = self.up(sample) + self.time(timestep[:, None].expand(-1, 64) / 1000)[:, :, None, None]
        h = self.mix(h.permute(0, 2, 3, 1).tanh()).permute(0, 3, 1, 2)
        out: Tensor = self.down(h.tanh()) + self.small(h).mean(dim=1, keepdim=True)
        return out


@pytest.fixture(scope="module")
def wide() -> nn.Module:
    return seeded(Wide())


@pytest.fixture(scope="module")
def programs(wide: nn.Module, captures: Captures) -> dict[str, Program]:
    sampler = Sampler(wide, create("ddim", 5))
    return {p: compile(sampler, captures=captures, precision=p) for p in ("fp32", "int8")}


def test_every_channel_keeps_half_a_step() -> None:
    weight = np.random.default_rng(0).standard_normal((3, 40, 5)).astype(np.float32)
    for axis in range(3):
        numbers, scales = quantised(weight, axis)
        shape = [1, 1, 1]
        shape[axis] = -1
        assert numbers.dtype == np.int8
        largest = np.abs(weight).max(axis=tuple(k for k in range(3) if k != axis))
        assert np.allclose(scales, largest / 127, rtol=0.01)
        assert (np.abs(numbers * scales.reshape(shape) - weight) <= 0.501 * scales.reshape(shape)).all()


def test_a_channel_of_zeros_stays_zero() -> None:
    numbers, scales = quantised(np.zeros((2, 4), np.float32), 0)
    assert not (numbers * scales[:, None]).any()
    assert np.isfinite(scales).all()


def test_large_weights_of_the_sample_path_are_int8(programs: dict[str, Program], tmp_path: Path) -> None:
    """Not those of the time path, which is evaluated at compile time, and not small ones."""
    path = programs["int8"].save(tmp_path / "x.onnx")
    onnx.checker.check_model(str(path), full_check=True)
    graph = onnx.load(path).graph
    shapes = {t.name: tuple(t.dims) for t in graph.initializer}
    made = {n.input[0]: n for n in graph.node if n.op_type == "DequantizeLinear"}
    assert len(made) == len(AXES)
    kinds = Counter(t.data_type for t in graph.initializer)
    assert kinds[onnx.TensorProto.INT8] == len(AXES)
    axes = {name: next(a.i for a in node.attribute if a.name == "axis") for name, node in made.items()}
    found = sorted((shapes[name], axis) for name, axis in axes.items())
    assert found == [((128, 4, 3, 3), 0), ((128, 4, 3, 3), 1), ((128, 128), 1)]
    for name, node in made.items():
        assert shapes[node.input[1]] == (shapes[name][axes[name]],)
        assert sum(node.output[0] in n.input for n in graph.node) == 5


@pytest.mark.parametrize(
    ("product", "axis"),
    [
        ("MatMul(sample, w)", 1),
        ("Gemm(sample, w)", 1),
        ("Gemm <transB = 1> (sample, w)", 0),
        ("MatMul(w, sample)", None),
    ],
)
def test_output_channels_of_products(product: str, axis: int | None) -> None:
    """Of a square weight, the axis that the product keeps; none where the weight stands on the left."""
    graph = model(
        "(float[64,64] sample, float[1] timestep) => (float[64,64] output)",
        f"shape = Constant <value_ints = [64, 64]> ()\none = Constant <value_floats = [1.0]> ()\n"
        f"w = Expand(one, shape)\noutput = {product}",
    ).graph
    weight = initializer("w", np.ones((64, 64), np.float32))
    ir.convenience.replace_all_uses_with(next(n for n in graph if n.op_type == "Expand").outputs[0], weight)
    graph.register_initializer(weight)
    whole = ir.Model(graph, ir_version=10)
    quantise(whole, QuantisedWeights(), analyse(graph, graph.inputs[0], graph.inputs[1]), ())
    found = [node.attributes["axis"].as_int() for node in graph if node.op_type == "DequantizeLinear"]
    assert found == ([] if axis is None else [axis])


def test_size_and_error(programs: dict[str, Program]) -> None:
    wide, int8 = programs["fp32"], programs["int8"]
    assert int8.manifest.weights.bytes <= 0.35 * wide.manifest.weights.bytes
    assert int8.manifest.name.endswith("-int8")
    result = int8.verify()
    assert len(result.cosines) == 5
    assert result.cosine >= 0.999
    assert max(result.errors) >= 1e-5


def test_it_computes_what_the_rounded_weights_compute(programs: dict[str, Program], wide: nn.Module) -> None:
    """Against eager over the same weights, rounded in torch: the graph is exact but for them."""
    rounded = seeded(Wide())
    for name, parameter in rounded.named_parameters():
        if name in AXES:
            axis = AXES[name] if name != "mix.weight" else 0
            numbers, scales = quantised(parameter.numpy(), axis)
            shape = [-1 if k == axis else 1 for k in range(parameter.ndim)]
            parameter.data.copy_(parameter.new_tensor(numbers * scales.reshape(shape)))
    program = programs["int8"]
    program.sampler = program.sampler.rewired(rounded)
    try:
        assert max(program.verify(tolerance=1e-5).errors) <= 1e-5
    finally:
        program.sampler = program.sampler.rewired(wide)


def test_weights_become_float32_once_at_load(programs: dict[str, Program], tmp_path: Path) -> None:
    """ONNX Runtime alone would run a copy of every DequantizeLinear for each use."""
    path = programs["int8"].save(tmp_path / "x.onnx")
    left = {}
    for precision in ("fp32", "int8"):
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / f"{precision}.onnx")
        options.log_severity_level = 4
        prepare_weights(precision, ["CPUExecutionProvider"], options)
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        nodes = onnx.load(options.optimized_model_filepath).graph.node
        left[precision] = sum(n.op_type == "DequantizeLinear" for n in nodes)
    assert left == {"fp32": 5 * len(AXES), "int8": 0}
    assert Engine(path)(seed=0).shape == (1, 4, 8, 8)


def test_what_is_kept_is_not_quantised(wide: nn.Module, captures: Captures) -> None:
    sampler = Sampler(wide, create("ddim", 2))
    program = compile(sampler, captures=captures, precision="int8", keep_fp32=["mix", "Conv"])
    assert sum(node.op_type == "DequantizeLinear" for node in program.model.graph) == 1


def test_it_is_not_optimised_offline(programs: dict[str, Program], tmp_path: Path) -> None:
    path = programs["int8"].save(tmp_path / "x.onnx")
    with pytest.raises(ExportError, match="would store its weights as float32"):
        programs["int8"].optimize(path)

"""Small graphs for the C++ unit tests: ``python tests/cpp/graphs.py FOLDER`` writes them.

Each is the toy graph of tests/conftest.py, or that graph damaged in one way; ``parts`` are real exports of a small
network, as one evaluation and as chunks.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from samplegraph.runtime.manifest import METADATA_KEY, Manifest, Tensor


def _toys() -> ModuleType:
    """tests/conftest.py, which is no package."""
    spec = importlib.util.spec_from_file_location("toys", Path(__file__).parents[1] / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["toys"] = module
    spec.loader.exec_module(module)
    return module


TOYS = _toys()
GRAPHS: dict[str, Callable[[], onnx.ModelProto]] = {}


def _graph(name: str) -> Callable[[Callable[[], onnx.ModelProto]], Callable[[], onnx.ModelProto]]:
    def register(make: Callable[[], onnx.ModelProto]) -> Callable[[], onnx.ModelProto]:
        GRAPHS[name] = make
        return make

    return register


def _described(model: onnx.ModelProto, manifest: Manifest) -> onnx.ModelProto:
    helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    return model


for _name, _batch in (("toy-1", 1), ("toy-4", 4), ("toy-any", "batch")):
    GRAPHS[_name] = lambda batch=_batch: TOYS.toy_graph(TOYS.toy_manifest(batch=batch, slices=2))  # type: ignore[misc]


@_graph("nope")
def unknown_operator() -> onnx.ModelProto:
    model: onnx.ModelProto = TOYS.toy_graph(TOYS.toy_manifest())
    model.graph.node[0].op_type = "Nope"
    return model


@_graph("mismatch")
def another_shape_than_the_manifest_says() -> onnx.ModelProto:
    return _described(TOYS.toy_graph(TOYS.toy_manifest(shape=(1, 4, 5))), TOYS.toy_manifest())


@_graph("unnamed")
def an_input_that_the_manifest_does_not_name() -> onnx.ModelProto:
    manifest = TOYS.toy_manifest()
    fewer = tuple(t for t in manifest.inputs if t.name != "class_labels")
    return _described(TOYS.toy_graph(manifest), replace(manifest, inputs=fewer))


@_graph("lost-weights")
def weights_that_are_not_there() -> onnx.ModelProto:
    return _external("w.bin")


@_graph("outside")
def weights_outside_the_folder() -> onnx.ModelProto:
    return _external("../w.bin")


def _external(file: str) -> onnx.ModelProto:
    manifest = TOYS.toy_manifest()
    manifest = replace(manifest, weights=replace(manifest.weights, file=file))
    return TOYS.toy_graph(manifest, external=file)  # type: ignore[no-any-return]


@_graph("gather")
def fails_at_run_time_for_labels_from_5_on() -> onnx.ModelProto:
    model: onnx.ModelProto = TOYS.toy_graph(TOYS.toy_manifest())
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(5, np.float32), "table"))
    model.graph.node.append(helper.make_node("Gather", ["table", "class_labels"], ["looked_up"]))
    model.graph.node.append(helper.make_node("Add", ["before", "looked_up"], ["sample"]))
    model.graph.node[-3].output[0] = "before"
    return model


@_graph("slow")
def takes_long_enough_to_be_cancelled() -> onnx.ModelProto:
    size, count = 512, 150
    manifest = TOYS.toy_manifest(shape=(1, size, size), conditions=())
    weight = np.eye(size, dtype=np.float32)
    names = ["noise", *(f"x{i}" for i in range(1, count)), "sample"]
    nodes = [helper.make_node("MatMul", [a, "w"], [b]) for a, b in pairwise(names)]
    inputs, outputs = (
        [helper.make_tensor_value_info(t.name, TensorProto.FLOAT, t.shape) for t in tensors]
        for tensors in (manifest.inputs, manifest.outputs)
    )
    graph = helper.make_graph(nodes, "slow", inputs, outputs, [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return _described(model, manifest)


@_graph("condition")
def a_condition_with_a_row_of_six() -> onnx.ModelProto:
    prompt = Tensor("prompt", "float32", ("B", 2, 3), "condition")
    return TOYS.toy_graph(TOYS.toy_manifest(conditions=(prompt,)))  # type: ignore[no-any-return]


def parts(folder: Path) -> None:
    """A stochastic multistep sampler of 5 steps, batch 2: ``part-step.onnx``, ``part-chunked.chunk-00.onnx``, -01."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from networks import Unconditional, seeded

    from samplegraph.export import Captures, compile
    from samplegraph.models import Sampler
    from samplegraph.schedulers import create

    model, captures = seeded(Unconditional()), Captures()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for layout in ("step", "chunked:3"):  # no engine takes the address at which the second chunk's draws begin
            sampler = Sampler(model, create("dpm_multistep", 5, algorithm_type="sde-dpmsolver++"))
            program = compile(sampler, batch=2, layout=layout, captures=captures)
            program.save(folder / f"part-{layout.partition(':')[0]}.onnx")


def write(folder: Path) -> None:
    """All of them, as ``<name>.onnx``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in GRAPHS.items():
        (folder / f"{name}.onnx").write_bytes(make().SerializeToString())
    parts(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))

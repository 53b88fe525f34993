"""What tests of Triton repositories share: Triton's own schema, and its rules for a graph."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime
from google.protobuf import text_format
from torch import nn

from samplegraph.export import Captures, compile
from samplegraph.models import Sampler
from samplegraph.schedulers import create

#: Draws in its steps alone.
OPTIONS = {"dpm_multistep_inverse": {"algorithm_type": "sde-dpmsolver++", "use_flow_sigmas": True}}


@cache
def model_config_schema() -> Any:
    """model_config.proto as tritonclient has it; its package needs grpcio, this module of it does not."""
    found = importlib.util.find_spec("tritonclient")
    assert found is not None
    (folder,) = found.submodule_search_locations or ()
    spec = importlib.util.spec_from_file_location("triton_schema", Path(folder) / "grpc" / "model_config_pb2.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def config_of(model: Path, schema: Any) -> Any:
    """The configuration in a model's folder."""
    return text_format.Parse((model / "config.pbtxt").read_text(), schema.ModelConfig())


def check(version: Path, schema: Any) -> Any:
    """The configuration, parsed, once it is found to be what Triton's ONNX Runtime backend accepts for the graph.

    The rules are those of ``CompareDimsSupported`` and ``ValidateInputs`` in
    https://github.com/triton-inference-server/onnxruntime_backend.
    """
    config = config_of(version.parent, schema)
    assert config.name == version.parent.name
    assert config.backend == "onnxruntime"
    session = onnxruntime.InferenceSession(str(version / "model.onnx"))
    for declared, real in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
        assert [each.name for each in declared] == [each.name for each in real]
        for each, tensor in zip(declared, real, strict=True):
            assert schema.DataType.Name(each.data_type) == {
                "tensor(float)": "TYPE_FP32",
                "tensor(int64)": "TYPE_INT64",
            }[tensor.type]
            graph = [axis if isinstance(axis, int) else -1 for axis in tensor.shape]
            dims = list(each.reshape.shape if each.HasField("reshape") else each.dims)
            assert all(axis == -1 or axis >= 1 for axis in each.dims)
            assert each.dims
            if graph:
                assert ([-1, *dims] if config.max_batch_size else dims) == graph
            else:
                assert not config.max_batch_size
                assert dims == [1]
    return config


def compiled(
    folder: Path, scheduler: str, captures: Captures, denoiser: nn.Module, scale: float | None = None, **more: Any
) -> Path:
    made = create(scheduler, 3, **OPTIONS.get(scheduler, {}))
    sampler = Sampler(denoiser, made, **({} if scale is None else {"guidance_scale": scale}))
    program = compile(sampler, captures=captures, **more)
    return program.save(folder / "build" / f"{program.manifest.name}.onnx")

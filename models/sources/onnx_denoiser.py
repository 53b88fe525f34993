"""A denoiser that exists as an ONNX file only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from samplegraph.models.sources.checkpoint import INDEX, Checkpoint, find_checkpoint, read_json
from samplegraph.models.sources.onnx_call import NO_TENSOR, OnnxCall, OnnxInput, onnx_call
from samplegraph.models.sources.onnx_file import read_onnx
from samplegraph.models.sources.onnx_refusals import refuse_invalid
from samplegraph.models.sources.trained import trained_with
from samplegraph.models.spec import CONDITION_DTYPES, TIMESTEP_DTYPES, Condition, ModelSpec, TimestepDtype
from samplegraph.schedulers import OptionError

_SAMPLE_DTYPES = ("float32", "float16")
#: Conditions that are the same in both branches of guidance.
_UNGUIDED = ("time_ids", "timestep_cond", "guidance")


class OnnxDenoiser(nn.Module):
    """The graph at ``path`` as a module; eager calls go to ONNX Runtime on the CPU. It has no parameters.

    Inputs are known by optimum's and diffusers' names (``onnx_call``). A ``config.json`` beside the file and the index
    of a pipeline around it say what the graph leaves open.

    Raises:
        OptionError: no such file, not ONNX, or not a denoiser that can be part of a graph (``read_onnx``).
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        model = read_onnx(path).model
        self.call: OnnxCall = onnx_call(model.graph, f"model={str(path)!r}")
        self.entries = self.call.timestep_entries
        self.spec = _declared(self.call, _around(path), path)
        refuse_invalid(model, path)
        self._session: Any = None

    def forward(self, sample: Tensor, timestep: Tensor, **conditions: Tensor) -> Tensor:
        own = self.call.timestep
        told = timestep if self.entries == "each" else timestep[0] if self.entries == "none" else timestep[:1]
        feeds = {self.call.sample.name: sample.numpy(force=True)}
        feeds[own.name] = told.numpy(force=True).astype(own.dtype)
        feeds |= {name: value.numpy(force=True) for name, value in conditions.items()}
        return torch.from_numpy(self._run(feeds))

    def _run(self, feeds: dict[str, Any]) -> Any:
        try:
            self._session = self._session or _session(self.path)
            return self._session.run([self.call.output.name], feeds)[0]
        except OptionError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())
            raise OptionError(
                f"model={str(self.path)!r}: ONNX Runtime does not run it ({reason[:300]}); export the model anew"
            ) from error


def _session(path: Path) -> Any:
    import onnxruntime

    options, file = onnxruntime.SessionOptions(), read_onnx(path)
    options.log_severity_level = 4  # what is wrong is raised
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(file.folder))
    return onnxruntime.InferenceSession(file.model.SerializeToString(), options, ["CPUExecutionProvider"])


def _around(path: Path) -> Checkpoint:
    """What lies around the file; a checkpoint without a config where nothing does."""
    folder = path.absolute().parent
    if (folder / "config.json").is_file():
        return find_checkpoint(folder)
    for pipeline in (folder, folder.parent):
        if (pipeline / INDEX).is_file():
            return Checkpoint(folder, {}, pipeline, read_json(pipeline / INDEX))
    return Checkpoint(folder, {})


def _declared(call: OnnxCall, around: Checkpoint, path: Path) -> ModelSpec:
    where = f"model={str(path)!r}"
    sample, timestep = call.sample, call.timestep
    _allow(sample, _SAMPLE_DTYPES, where)
    if call.output.dtype not in (sample.dtype, NO_TENSOR):
        told = f"{where}: the output {call.output.name!r} is {call.output.dtype}, the sample {sample.dtype}"
        raise OptionError(f"{told}; export both as {sample.dtype}")
    if timestep.dtype != "float16":
        _allow(timestep, TIMESTEP_DTYPES, where)
    scheduler = around.scheduler_config
    trained = trained_with(scheduler)
    return ModelSpec(
        name=around.name if around.pipeline or path.stem == "model" else path.stem,
        sample_shape=_sample_shape(sample, around),
        prediction_type=trained.prediction_type,
        noise_schedule=trained.noise_schedule,
        timestep_dtype=cast(TimestepDtype, "float32" if timestep.dtype == "float16" else timestep.dtype),
        conditions=tuple(_condition(each, around, where) for each in call.conditions),
        guidance_scale=7.5 if around.pipeline and call.conditions else 1.0,
        learned_variance=_doubles(sample, call.output),
        any_size=any(not isinstance(axis, int) for axis in (sample.shape or ())[2:]),
        scheduler_config=scheduler,
        dtype=sample.dtype,
    )


def _sample_shape(sample: OnnxInput, around: Checkpoint) -> tuple[int, ...] | None:
    """The graph's own axes; what it leaves open is read from the config."""
    axes = list((sample.shape or ())[1:])
    config = around.config
    size = config.get("sample_size")
    sides = list(size) if isinstance(size, list) else [size] * (len(axes) - 1)
    known = [config.get("in_channels"), *sides] if len(sides) == len(axes) - 1 else [None] * len(axes)
    filled = [axis if isinstance(axis, int) else other for axis, other in zip(axes, known, strict=True)]
    numbers = tuple(axis for axis in filled if isinstance(axis, int))
    return numbers if numbers and len(numbers) == len(axes) else None


def _condition(own: OnnxInput, around: Checkpoint, where: str) -> Condition:
    _allow(own, CONDITION_DTYPES, where)
    if own.shape is None or not own.shape:
        raise OptionError(f"{where}: the input {own.name!r} has no batch axis; export it as (B, ...)")
    axes = [axis if isinstance(axis, int) else None for axis in own.shape[1:]]
    opened = bool(axes) and axes[0] is None
    if opened and own.name == "encoder_hidden_states":
        axes[0] = around.part("text_encoder").get("max_position_embeddings")
    length_known = opened and axes[0] is not None
    return Condition(own.name, tuple(axes), own.dtype, guided=own.name not in _UNGUIDED, any_length=length_known)


def _doubles(sample: OnnxInput, output: OnnxInput) -> bool:
    ours, theirs = (each.shape[1] if each.shape and len(each.shape) > 1 else None for each in (sample, output))
    return isinstance(ours, int) and theirs == 2 * ours


def _allow(own: OnnxInput, allowed: tuple[str, ...], where: str) -> None:
    if own.dtype not in allowed:
        raise OptionError(f"{where}: the input {own.name!r} is {own.dtype}; export it as {' or '.join(allowed)}")

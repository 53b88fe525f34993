"""How an ONNX denoiser is called: which of its inputs is the sample, which the timestep, and what its axes say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import onnx

from samplegraph.schedulers import OptionError

#: What optimum's exports of diffusers' models, and hand-made ones, call their inputs.
SAMPLES = ("sample", "hidden_states", "latent_model_input", "latents", "latent", "noisy_sample", "x_t", "x")
TIMESTEPS = ("timestep", "timesteps", "time", "t", "sigma")

#: In place of a dtype where none is told.
NO_TENSOR = "no tensor"

Axis = int | str | None


@dataclass(frozen=True)
class OnnxInput:
    """One input or output: ``shape`` has a name, or None, for an axis that is left open; None where all is open."""

    name: str
    dtype: str
    shape: tuple[Axis, ...] | None


@dataclass(frozen=True)
class OnnxCall:
    """Inputs by meaning, and the first output; others are not read."""

    sample: OnnxInput
    timestep: OnnxInput
    conditions: tuple[OnnxInput, ...]
    output: OnnxInput

    @property
    def timestep_entries(self) -> Literal["none", "one", "each"]:
        """What the timestep holds: a single number without an axis, one entry, or one for each row."""
        shape, batch = self.timestep.shape, self.sample.shape[0] if self.sample.shape else None
        if shape is None or len(shape) > 1:
            raise OptionError(
                f"the timestep input {self.timestep.name!r} has shape {shape}; export it as a number or as (B,)"
            )
        if not shape:
            return "none"
        return "each" if shape[0] == batch and batch not in (None, 1) else "one"


def onnx_call(graph: onnx.GraphProto, where: str) -> OnnxCall:
    """Read off the inputs of ``graph``.

    Raises:
        OptionError: no input is known as the sample or the timestep, or there is no output.
    """
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [_input(value) for value in graph.input if value.name not in stored]
    sample = _first(inputs, SAMPLES, "a sample", where)
    timestep = _first([each for each in inputs if each is not sample], TIMESTEPS, "a timestep", where)
    if not graph.output:
        raise OptionError(f"{where} has no output; a denoiser returns a tensor shaped like its sample")
    rest = tuple(each for each in inputs if each not in (sample, timestep))
    return OnnxCall(sample, timestep, rest, _input(graph.output[0]))


def _first(inputs: Sequence[OnnxInput], known: Sequence[str], what: str, where: str) -> OnnxInput:
    named = {each.name: each for each in inputs}
    for name in known:
        if name in named:
            return named[name]
    raise OptionError(
        f"{where} takes {', '.join(named) or 'nothing'}, none of which is {what}; call that input {known[0]!r}"
    )


def _input(value: onnx.ValueInfoProto) -> OnnxInput:
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else NO_TENSOR
    if not tensor.HasField("shape"):
        return OnnxInput(value.name, dtype, None)
    axes: list[Axis] = []
    for axis in tensor.shape.dim:
        kind = axis.WhichOneof("value")
        axes.append(axis.dim_value if kind == "dim_value" else axis.dim_param or None if kind else None)
    return OnnxInput(value.name, dtype, tuple(axes))

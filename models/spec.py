"""What a denoiser declares about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from samplegraph.schedulers import OptionError
from samplegraph.schedulers.errors import one_of
from samplegraph.schedulers.grids.training import Schedule
from samplegraph.schedulers.prediction import PREDICTION_TYPES

TimestepDtype = Literal["float32", "float64", "int64", "int32"]
TIMESTEP_DTYPES = ("float32", "float64", "int64", "int32")
LOG_PROBS = "log_probs"
CONDITION_DTYPES = ("float32", "float16", "int64", "int32", "bool")


@dataclass(frozen=True)
class Condition:
    """One condition that a model takes besides ``sample`` and ``timestep``.

    Args:
        name: keyword under which the model takes it.
        shape: shape of one row, without the batch axis; None is an axis of any length without a usual one.
        null: value that stands for "no condition" in classifier-free guidance (arXiv:2207.12598); None if the
            caller has to give one as ``negative_<name>``.
        minimum, maximum: allowed values, both included.
        guided: whether guidance's branches differ in it where nobody says which conditions are guided.
        any_length: the first axis of ``shape``, as of tokens, may have another length.

    Raises:
        OptionError: the dtype is not one a graph input can have.
    """

    name: str
    shape: tuple[int | None, ...] = ()
    dtype: str = "float32"
    null: float | int | None = None
    minimum: float | None = None
    maximum: float | None = None
    description: str = ""
    guided: bool = True
    any_length: bool = False

    def __post_init__(self) -> None:
        one_of(f"dtype of condition {self.name!r}", self.dtype, CONDITION_DTYPES)

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether one row may have this shape."""
        own = (None, *self.shape[1:]) if self.any_length else self.shape
        return len(shape) == len(own) and all(b in (None, a) for a, b in zip(shape, own, strict=True))

    @property
    def usual_shape(self) -> tuple[int, ...] | None:
        """The shape of a row where nobody gives one; None where an axis has no usual length."""
        known = tuple(axis for axis in self.shape if axis is not None)
        return known if len(known) == len(self.shape) else None


@dataclass(frozen=True)
class ModelSpec:
    """A denoiser's declaration, carried as its attribute ``spec``. What is None is left to the scheduler.

    Args:
        sample_shape: shape of one sample, without the batch axis.
        prediction_type: what the network was trained to predict.
        noise_schedule: what it was trained with: a ``NoiseSchedule``, ``FlowSchedule`` or ``EDMSchedule``. Over another
            grid it is shown the sample in its own scaling, at its own timestep of the same noise-to-signal ratio.
        timestep_dtype: dtype of the 1-D ``timestep`` it takes.
        guidance_scale: the scale used where a caller gives none.
        token_classes: number of tokens, the mask included, of a model over tokens; its ``prediction_type`` is
            ``log_probs``, the logarithms of p(x0 | x_t), (B, token_classes - 1, ...).
        learned_variance: the output has twice the channels of the sample; the second half speaks of the variance.
            Schedulers that do not ask for it leave it out.
        second_timestep: keyword under which it takes a second ``timestep`` as the first: where the step leads, for a
            scheduler of mean velocities (flow_map), else the first again.
        any_size: the axes of a sample after the first may have other lengths than ``sample_shape`` says.
        dtype: of the sample that the network takes; that of its parameters where None.
        scheduler_config: the diffusers config of the scheduler that the model came with.

    Raises:
        OptionError: an unknown prediction type or timestep dtype, or two conditions of one name.
    """

    name: str = "model"
    sample_shape: tuple[int, ...] | None = None
    prediction_type: str | None = None
    noise_schedule: Schedule | None = None
    timestep_dtype: TimestepDtype = "float32"
    conditions: tuple[Condition, ...] = ()
    guidance_scale: float = 1.0
    learned_variance: bool = False
    token_classes: int | None = None
    second_timestep: str | None = None
    any_size: bool = False
    scheduler_config: Mapping[str, Any] | None = field(default=None, hash=False)
    dtype: str | None = None

    def __post_init__(self) -> None:
        one_of("timestep_dtype", self.timestep_dtype, TIMESTEP_DTYPES)
        if self.prediction_type is not None:
            one_of("prediction_type", self.prediction_type, (*PREDICTION_TYPES, LOG_PROBS))
        names = [c.name for c in self.conditions]
        if len(set(names)) != len(names):
            raise OptionError(f"conditions {names} name one twice; give each condition its own name")

    def condition(self, name: str) -> Condition | None:
        """The declared condition of that name, if any."""
        return next((c for c in self.conditions if c.name == name), None)

    def takes_sample(self, shape: Sequence[int]) -> bool:
        """Whether one sample may have this shape."""
        own = self.sample_shape
        return own is None or tuple(shape) == own or (self.any_size and len(shape) == len(own) and shape[0] == own[0])

    @property
    def guided(self) -> tuple[str, ...] | None:
        """The conditions that guidance's branches differ in; None where that is all of them."""
        names = tuple(c.name for c in self.conditions if c.guided)
        return None if len(names) == len(self.conditions) else names


def spec_of(model: nn.Module) -> ModelSpec:
    """The declaration of ``model``, or an empty one."""
    spec = getattr(model, "spec", None)
    return spec if isinstance(spec, ModelSpec) else ModelSpec(name=type(model).__name__.lower())


def names_of(conditions: Sequence[Condition]) -> list[str]:
    """Names of ``conditions`` in order."""
    return [c.name for c in conditions]

"""What a module in front of the sampler, or behind it, declares about itself as its attribute ``spec``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from samplegraph.models.spec import Condition, names_of
from samplegraph.schedulers import OptionError


@dataclass(frozen=True)
class FrontSpec:
    """A module ``forward(**inputs)`` that gives conditions of the denoiser. What is None is worked out.

    Args:
        inputs: what it takes by keyword, one row per sample. Under classifier-free guidance an input of a front whose
            conditions are guided has a twin ``negative_<name>``, unless it declares a null value or ``guided=False``
            (then both branches read it). Where None: the parameters of ``forward`` without a default, shaped as what a
            later front or the model reads under that name, else as an example that the caller gives.
        gives: names of what it returns, in order: conditions of the model, ``init_sample`` or ``mask`` of an image to
            image or inpainting sampler, or inputs of a later front. Where None: the name of its only input if the model
            or a later front reads that too (a normaliser), else the only condition of the model that nothing else
            gives.
        absent: the value of ``negative_<name>`` where the caller gives none, for inputs that have one.

    Raises:
        OptionError: it takes or gives nothing, or a name twice.
    """

    inputs: tuple[Condition, ...] | None = None
    gives: tuple[str, ...] | None = None
    absent: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for what, names in (("inputs", self.inputs and names_of(self.inputs)), ("gives", self.gives)):
            if names is not None and (not names or len(set(names)) != len(names)):
                raise OptionError(f"{what}={list(names)} of a FrontSpec is empty or names one twice; name each once")


@dataclass(frozen=True)
class BackSpec:
    """A module ``forward(sample)`` that makes the graph's output of the final sample: a decoder, an un-normaliser.

    Args:
        name: of the output.
        minimum, maximum: what its values mean, not what they are cut to: -1 to 1 or 0 to 1 of a picture, which is drawn
            by it. None: as of a sample.

    Raises:
        OptionError: the name is none, or one limit is given without the other.
    """

    name: str = "sample"
    minimum: float | None = None
    maximum: float | None = None
    description: str = "the sample, decoded"

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise OptionError(f"name={self.name!r} of a BackSpec is not allowed; give a word such as image")
        low, high = self.minimum, self.maximum
        if (low is None) != (high is None) or (low is not None and high is not None and low >= high):
            raise OptionError(f"minimum={low!r}, maximum={high!r} of a BackSpec: give both in order, or neither")

"""Modules in front of and behind the sampler, in the same graph: encoders and normalisers, decoders."""

from samplegraph.models.stages.back import Back
from samplegraph.models.stages.front import Front
from samplegraph.models.stages.inlet import Inlet
from samplegraph.models.stages.spec import BackSpec, FrontSpec

__all__ = ["Back", "BackSpec", "Front", "FrontSpec", "Inlet"]

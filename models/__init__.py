"""Denoisers: what a network declares, guidance, and the sampler over it. Imports samplegraph.schedulers only."""

from samplegraph.models.denoiser import Denoiser
from samplegraph.models.load import load_model
from samplegraph.models.parts.include import Parts, load_parts
from samplegraph.models.sampler import Sampler
from samplegraph.models.scheduling import scheduler_for
from samplegraph.models.spec import Condition, ModelSpec
from samplegraph.models.stages import Back, BackSpec, Front, FrontSpec

__all__ = [
    "Back",
    "BackSpec",
    "Condition",
    "Denoiser",
    "Front",
    "FrontSpec",
    "ModelSpec",
    "Parts",
    "Sampler",
    "load_model",
    "load_parts",
    "scheduler_for",
]

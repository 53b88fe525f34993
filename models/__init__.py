"""Denoisers: what a network declares, guidance, and the sampler over it. Imports samplegraph.schedulers only."""

from samplegraph.models.denoiser import Denoiser
from samplegraph.models.sampler import Sampler
from samplegraph.models.spec import Condition, ModelSpec

__all__ = ["Condition", "Denoiser", "ModelSpec", "Sampler"]

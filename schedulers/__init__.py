"""Sampling methods as traceable torch modules over float64 tables. Imports nothing else of samplegraph."""

from samplegraph.schedulers.affine import Affine
from samplegraph.schedulers.base import Scheduler
from samplegraph.schedulers.config import from_config, save_config
from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.find import Found, find
from samplegraph.schedulers.grid import Grid
from samplegraph.schedulers.noise_schedule import NoiseSchedule
from samplegraph.schedulers.plan import NotAffineError, Plan, plan
from samplegraph.schedulers.prediction import Prediction, PredictionOptions
from samplegraph.schedulers.profile import Profile
from samplegraph.schedulers.registry import compatibles, create, names, option_defaults, scheduler_class
from samplegraph.schedulers.starting import first_step, starting_at
from samplegraph.schedulers.training import EDMSchedule, FlowSchedule

__all__ = [
    "Affine",
    "EDMSchedule",
    "FlowSchedule",
    "Found",
    "Grid",
    "NoiseSchedule",
    "NotAffineError",
    "OptionError",
    "Plan",
    "Prediction",
    "PredictionOptions",
    "Profile",
    "Scheduler",
    "compatibles",
    "create",
    "find",
    "first_step",
    "from_config",
    "names",
    "option_defaults",
    "plan",
    "save_config",
    "scheduler_class",
    "starting_at",
]

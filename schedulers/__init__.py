"""Sampling methods as traceable torch modules over float64 tables. Imports nothing else of samplegraph.

Every scheduler is a file here, over the contract in ``base``. What they share lies in folders: ``grids`` has their
tables, ``weights`` their coefficients, ``steps`` what their steps have in common; ``plans`` reads exact coefficients
off a scheduler, ``catalogue`` finds and makes one by name.
"""

from samplegraph.schedulers.base import Scheduler
from samplegraph.schedulers.catalogue.config import from_config, save_config
from samplegraph.schedulers.catalogue.find import Found, find
from samplegraph.schedulers.catalogue.registry import compatibles, create, names, option_defaults, scheduler_class
from samplegraph.schedulers.catalogue.starting import first_step, starting_at
from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.grids.noise_schedule import NoiseSchedule
from samplegraph.schedulers.grids.training import EDMSchedule, FlowSchedule
from samplegraph.schedulers.plans.affine import Affine
from samplegraph.schedulers.plans.plan import NotAffineError, Plan, plan
from samplegraph.schedulers.prediction import Prediction, PredictionOptions
from samplegraph.schedulers.profile import Profile

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

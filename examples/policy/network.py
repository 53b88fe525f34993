"""The action head: a small transformer that denoises 16 planar actions, given what the robot sees.

Diffusion Policy's setting (Chi et al. 2023, arXiv:2303.04137) with the blocks of a diffusion transformer (Peebles & Xie
2022, arXiv:2212.09748): the observation and the timestep scale and shift each layer. Two of them are trained:
``ddim`` predicts x0 under a cosine noise schedule, ``flow`` the velocity of flow matching.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from examples.policy.world import HORIZON, OBSERVATION, OBSTACLES, OWN
from examples.training import load
from examples.transformer import WAVES, Block, waves
from samplegraph.models import Condition, ModelSpec
from samplegraph.schedulers import FlowSchedule, NoiseSchedule

WIDTH = 64
PATCH = 4  # actions in one token
HEADS = 4
BLOCKS = 2
SIGHT = 72
LEAST_NOISE = 0.05  # below, a velocity is taken for that of so much
NOISE_SCHEDULE = NoiseSchedule(num_train_timesteps=100, beta_schedule="squaredcos_cap_v2")
OBSERVED = Condition("observation", (OBSERVATION,), description="what world.observe returns, in the robot's frame")
SPECS = {
    "ddim": ModelSpec(
        name="policy",
        sample_shape=(HORIZON, 2),
        prediction_type="sample",
        noise_schedule=NOISE_SCHEDULE,
        conditions=(OBSERVED,),
    ),
    "flow": ModelSpec(
        name="policy-flow",
        sample_shape=(HORIZON, 2),
        prediction_type="flow_prediction",
        noise_schedule=FlowSchedule(),
        conditions=(OBSERVED,),
    ),
}


class ActionHead(nn.Module):
    """Denoises plans; ``spec`` says for which of the two objectives."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.time = nn.Sequential(nn.Linear(WAVES, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
        self.obstacle = nn.Sequential(nn.Linear(3 + OWN, SIGHT), nn.SiLU(), nn.Linear(SIGHT, SIGHT), nn.SiLU())
        self.seen = nn.Sequential(nn.Linear(SIGHT + OWN, SIGHT), nn.SiLU(), nn.Linear(SIGHT, WIDTH), nn.SiLU())
        self.given = nn.Linear(WIDTH, HORIZON // PATCH * WIDTH)
        self.token = nn.Linear(2 * PATCH, WIDTH)
        self.blocks = nn.ModuleList(Block(WIDTH, HEADS) for _ in range(BLOCKS))
        self.modulations = nn.ModuleList(nn.Linear(WIDTH, 6 * WIDTH) for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 2 * PATCH)
        nn.init.zeros_(self.head.weight)

    def forward(self, sample: Tensor, timestep: Tensor, observation: Tensor) -> Tensor:
        """sample (B, 16, 2), timestep (B,) in [0, T], observation (B, OBSERVATION) -> (B, 16, 2)."""
        seen = self.look(observation)
        embedding = F.silu(self.time(waves(timestep / self.last_timestep)) + seen)
        tokens = HORIZON // PATCH
        x = self.token(sample.reshape(-1, tokens, 2 * PATCH)) + self.given(seen).reshape(-1, tokens, WIDTH)
        for block, modulation in zip(self.blocks, self.modulations, strict=True):
            x = block(x, modulation(embedding))
        out: Tensor = self.head(self.norm(x)).reshape(-1, HORIZON, 2)
        return out

    @property
    def last_timestep(self) -> int:
        """The timestep of pure noise."""
        schedule = self.spec.noise_schedule
        assert isinstance(schedule, NoiseSchedule | FlowSchedule)
        return schedule.num_train_timesteps

    def look(self, observation: Tensor) -> Tensor:
        """The observation, whatever the order of its obstacles: (B, OBSERVATION) -> (B, WIDTH)."""
        own = observation[:, :OWN]
        obstacles = observation[:, OWN:].reshape(-1, OBSTACLES, 3)
        each = torch.cat([obstacles, own[:, None].expand(-1, OBSTACLES, -1)], dim=2)
        out: Tensor = self.seen(torch.cat([self.obstacle(each).sum(dim=1), own], dim=1))
        return out


class VelocityHead(ActionHead):
    """The same, which says where it leads to as a velocity: x = (1 - s) x0 + s eps moves with eps - x0 = (x - x0) / s.

    A plan is simple and noise is not, so that it is the plan that a small network should predict (arXiv:2511.13720).
    """

    def forward(self, sample: Tensor, timestep: Tensor, observation: Tensor) -> Tensor:
        """sample (B, 16, 2), timestep (B,) in [0, 1000], observation (B, OBSERVATION) -> (B, 16, 2)."""
        s = (timestep / self.last_timestep).clamp(min=LEAST_NOISE)
        return (sample - super().forward(sample, timestep, observation)) / s[:, None, None]


HEADS_OF = {"ddim": ActionHead, "flow": VelocityHead}


def untrained(objective: str) -> ActionHead:
    """A new action head: ``ddim`` or ``flow``."""
    return HEADS_OF[objective](SPECS[objective])


def weights_file(objective: str) -> Path:
    """Where the trained weights lie."""
    return Path(__file__).with_name(f"weights-{objective}.safetensors")


def trained(objective: str) -> ActionHead:
    """The trained action head: ``ddim`` or ``flow``.

    Raises:
        FileNotFoundError: its weights are missing.
    """
    model = untrained(objective)
    load(model, weights_file(objective))
    return model


def ddim() -> ActionHead:
    """For ``samplegraph export --model examples.policy.network:ddim``."""
    return trained("ddim")


def flow() -> ActionHead:
    """For ``samplegraph export --model examples.policy.network:flow``."""
    return trained("flow")

"""Training of the action heads; ``python -m examples.policy train`` calls it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from examples.policy.expert import demonstrations
from examples.policy.network import NOISE_SCHEDULE, ActionHead, untrained
from examples.policy.windows import Batch, Windows
from examples.policy.world import Setting, scenes
from examples.training import fit, save

SCENES = 4000  # of either kind
#: Starts anywhere, close to obstacles and goals too: where a policy may find itself and an expert never goes.
ANYWHERE = Setting(distance=(0.2, 1.8), room=0.03, blocked=(0.1, 0.9))
BATCH = 256
#: The parts of the training: share of the steps, highest rate, and how many robots are about to start.
PARTS = ((0.7, 2e-3, 0.0), (0.3, 1e-3, 0.4))


def x0_loss(model: ActionHead, batch: Batch, generator: torch.Generator) -> Tensor:
    """Denoising diffusion (arXiv:2006.11239), predicting x0, weighted by the root of the signal-to-noise ratio."""
    t = torch.randint(NOISE_SCHEDULE.num_train_timesteps, (len(batch.plan),), generator=generator)
    abar = NOISE_SCHEDULE.alphas_cumprod()[t].view(-1, 1, 1)
    eps = torch.randn(batch.plan.shape, generator=generator)
    x0 = model(abar.sqrt() * batch.plan + (1 - abar).sqrt() * eps, t.float(), batch.observation)
    loss: Tensor = ((abar / (1 - abar)).clamp(0.2, 20).sqrt() * (x0 - batch.plan).square()).mean()
    return loss


def velocity_loss(model: ActionHead, batch: Batch, generator: torch.Generator) -> Tensor:
    """Flow matching (arXiv:2210.02747): x = (1 - s) x0 + s eps moves with eps - x0; weighted as ``x0_loss`` is.

    An error of the velocity is one of x0 over s. Without weights all capacity goes to plans that are nearly clean.
    """
    s = torch.rand(len(batch.plan), 1, 1, generator=generator)
    eps = torch.randn(batch.plan.shape, generator=generator)
    velocity = model((1 - s) * batch.plan + s * eps, 1000 * s.flatten(), batch.observation)
    weight = s.square() * ((1 - s) / s).clamp(0.2**0.5, 20**0.5)
    loss: Tensor = (weight * (velocity - (eps - batch.plan)).square()).mean()
    return loss


LOSSES = {"ddim": x0_loss, "flow": velocity_loss}


def train(objective: str, steps: int, seed: int, output: Path) -> None:
    """Demonstrate, train, and write the weights to ``output``; the same seed, the same weights."""
    torch.manual_seed(seed)
    listed = scenes(SCENES, seed) + scenes(SCENES, seed + 1, ANYWHERE)
    windows, model = Windows(demonstrations(listed, seed), seed), untrained(objective)
    loss_of, generator = LOSSES[objective], torch.Generator().manual_seed(seed)
    for share, rate, starting in PARTS:

        def loss(starting: float = starting) -> Tensor:
            return loss_of(model, windows.draw(BATCH, starting), generator)

        average = fit(model, loss, round(share * steps), rate)
        model.load_state_dict(average.state_dict())
    save(model, output, f"{objective}, seed {seed}, {steps} steps")

"""What the digits model is trained towards: first the noise itself, then a version of it that guidance cannot spoil."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from samplegraph.models.digits import data
from samplegraph.models.digits.unet import NOISE_SCHEDULE, NULL_CLASS, DigitsUNet

T = 1000
DROP_LABEL = 0.12
WRONG_LABEL = 0.3
GUIDANCE_SCALE = 2.0


@dataclass(frozen=True)
class Batch:
    """Noisy digits `x` = `alpha` x0 + `sigma` `eps`, (B, 1, 16, 16), at `t` (B,), asked to be `labels` (B,)."""

    x: Tensor
    t: Tensor
    labels: Tensor
    eps: Tensor
    alpha: Tensor
    sigma: Tensor


class Source:
    """Draws training batches: rare ways of writing more often, moved and bent, at evenly spread noise levels."""

    def __init__(self, seed: int) -> None:
        real, self.labels = data.load()
        self.images, self.weights = data.enlarge(real), data.rarity(real, self.labels)
        self.abar = NOISE_SCHEDULE.alphas_cumprod()
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, count: int) -> Batch:
        """One batch with true labels, some of them dropped (arXiv:2207.12598, algorithm 1)."""
        g = self.generator
        pick = torch.multinomial(self.weights, count, replacement=True, generator=g)
        x0 = data.augment(self.images[pick], g)
        # One t from each of `count` equal parts of 0..999: every batch sees all noise levels.
        t = ((torch.arange(count) + torch.rand(count, generator=g)) * (T / count)).long().clamp(max=T - 1)
        labels = torch.where(torch.rand(count, generator=g) < DROP_LABEL, NULL_CLASS, self.labels[pick])
        eps = torch.randn(x0.shape, generator=g)
        alpha, sigma = self.abar[t].sqrt().view(-1, 1, 1, 1), (1 - self.abar[t]).sqrt().view(-1, 1, 1, 1)
        return Batch(alpha * x0 + sigma * eps, t.float(), labels, eps, alpha, sigma)

    def confuse(self, batch: Batch) -> Batch:
        """The same batch with some labels replaced by any digit: a sample on its way is not yet what was asked for."""
        wrong = torch.rand(len(batch.t), generator=self.generator) < WRONG_LABEL
        any_digit = torch.randint(10, batch.labels.shape, generator=self.generator)
        labels = torch.where(wrong & (batch.labels != NULL_CLASS), any_digit, batch.labels)
        return Batch(batch.x, batch.t, labels, batch.eps, batch.alpha, batch.sigma)


@torch.no_grad()
def in_range_target(teacher: DigitsUNet, batch: Batch) -> Tensor:
    """The teacher's eps, changed so that guidance at scale 2 stays within the pixels' range: (B, 1, 16, 16).

    At high noise x0 = u + 2 (c - u), from the unconditional mean u and the class mean c, reaches far outside [-1, 1].
    Samplers that clip x0 but keep eps (diffusers' DDIM default) then push the same pixels the same way at every step,
    and holes fill up. So c becomes the c' whose guided x0 is the clipped one: u + 2 (c' - u) = clip(u + 2 (c - u)).
    Where nothing overshoots, c' = c; and u is left alone.
    """
    x, alpha, sigma = batch.x, batch.alpha, batch.sigma
    u = teacher(x, batch.t, torch.full_like(batch.labels, NULL_CLASS))
    c = teacher(x, batch.t, batch.labels)
    u, c = ((x - sigma * u) / alpha).clamp(-1, 1), ((x - sigma * c) / alpha).clamp(-1, 1)
    guided = (u + GUIDANCE_SCALE * (c - u)).clamp(-1, 1)
    eps: Tensor = (x - alpha * (u + (guided - u) / GUIDANCE_SCALE)) / sigma
    return eps

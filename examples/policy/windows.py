"""Training data: what the robot sees at a tick of a demonstration, and the 16 places that the expert visits next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from examples.policy.expert import Demonstration
from examples.policy.world import HORIZON, REACH

OFF_THE_WAY = 0.03  # deviation, in metres, of the places from which the policy learns to come back
BACK_AFTER = 8  # actions


@dataclass(frozen=True)
class Batch:
    """``observation`` (B, OBSERVATION) and ``plan`` (B, HORIZON, 2), the clean sample."""

    observation: Tensor
    plan: Tensor


class Windows:
    """Every tick of every demonstration."""

    def __init__(self, demonstrations: list[Demonstration], seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        names = ("place", "goal", "obstacles", "next", "start")
        rows: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for each in demonstrations:
            way, ticks = each.way, len(each.way)
            after = np.minimum(np.arange(ticks)[:, None] + np.arange(1, HORIZON + 1), ticks - 1)
            rows["place"].append(way)
            rows["goal"].append(np.broadcast_to(each.scene.goal, way.shape))
            rows["obstacles"].append(np.broadcast_to(each.scene.obstacles, (ticks, *each.scene.obstacles.shape)))
            rows["next"].append(way[after])
            rows["start"].append(np.arange(ticks) == 0)
        self.table = {name: torch.from_numpy(np.concatenate(parts)).float() for name, parts in rows.items()}
        # At the goal itself there is no direction to it.
        far = (self.table["goal"] - self.table["place"]).norm(dim=1) > 0.01
        self.table = {name: column[far] for name, column in self.table.items()}
        self.starts = torch.nonzero(self.table["start"])[:, 0]

    def draw(self, count: int, starting: float) -> Batch:
        """A random batch: some robots stand beside the way, half of the scenes are mirrored.

        A share of them, ``starting``, is about to start: where the ways part, and most is decided.
        """
        g = self.generator
        chosen = torch.randint(len(self.table["place"]), (count,), generator=g)
        first = self.starts[torch.randint(len(self.starts), (count,), generator=g)]
        chosen = torch.where(torch.rand(count, generator=g) < starting, first, chosen)
        row = {name: column[chosen] for name, column in self.table.items()}
        aside = OFF_THE_WAY * torch.randn(count, 2, generator=g)
        apart = (row["place"] + aside)[:, None] - row["obstacles"][..., :2]
        aside = aside * ((apart.norm(dim=2) - row["obstacles"][..., 2]).amin(dim=1, keepdim=True) > 0.01)
        place = row["place"] + aside
        back = (1 - torch.arange(1, HORIZON + 1) / BACK_AFTER).clamp(min=0)[:, None]
        way = row["goal"] - place
        distance = way.norm(dim=1, keepdim=True)
        axis = way / distance
        flip = torch.tensor([1.0, -1.0]) ** torch.randint(2, (count, 1), generator=g)

        def seen(vectors: Tensor) -> Tensor:
            x, y, c, s = vectors[..., 0], vectors[..., 1], axis[:, :1], axis[:, 1:]
            return torch.stack([x * c + y * s, y * c - x * s], dim=2) * flip[:, None]

        obstacles = torch.cat([seen(row["obstacles"][..., :2] - place[:, None]), row["obstacles"][..., 2:]], dim=2)
        plan = seen(row["next"] + aside[:, None] * back - place[:, None]) / REACH
        return Batch(torch.cat([distance, obstacles.flatten(1)], dim=1), plan)

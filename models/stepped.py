"""A network that is told more of a step than its timestep, or whose outputs are weighed by the step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from samplegraph.models.spec import ModelSpec
from samplegraph.schedulers import OptionError, Scheduler
from samplegraph.schedulers.grids.training import told_timesteps

Table = npt.NDArray[np.floating[Any]]


class Stepped(nn.Module):
    """Calls ``network`` with what belongs to a timestep, found in a table: constants wherever the timestep is one.

    Args:
        timesteps: those at which the network is evaluated, (M,).
        keyword: under which it takes a second timestep, empty for none.
        second: that of every point, (M,); None for the first one again.
        weights: (M, n) for a network whose last axis holds n outputs one after another: their mean with these weights
            is taken; None for one output.
    """

    def __init__(
        self, network: nn.Module, timesteps: Table, keyword: str, second: Table | None, weights: Table | None
    ) -> None:
        super().__init__()
        self.network, self.keyword = network, keyword
        self.outputs = 0 if weights is None else weights.shape[1]
        self.timesteps_table: torch.Tensor
        self.second_table: torch.Tensor | None
        self.weights_table: torch.Tensor | None
        tables = {"timesteps": timesteps, "second": second, "weights": weights}
        for name, table in tables.items():
            values = None if table is None else torch.from_numpy(np.asarray(table, dtype=np.float32))
            self.register_buffer(f"{name}_table", values, persistent=False)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, **conditions: torch.Tensor) -> torch.Tensor:
        """As the network's, of (B, ...) for samples (B, ...)."""
        if self.keyword:
            table = self.second_table
            second = timestep if table is None else self._row(table, timestep).to(timestep.dtype)
            conditions = {**conditions, self.keyword: second}
        output = first_tensor(self.network(sample, timestep, **conditions))
        if self.weights_table is None:
            return output
        wanted = (*sample.shape[:-1], self.outputs * sample.shape[-1])
        if tuple(output.shape) != wanted:
            raise OptionError(
                f"the model's output has shape {tuple(output.shape)}; it has to be {wanted}, n_grid={self.outputs} "
                "predictions in the last axis: choose a model that gives a policy, or another scheduler"
            )
        each = output.reshape(*sample.shape[:-1], self.outputs, sample.shape[-1])
        weights = self._row(self.weights_table, timestep).to(output.dtype)
        mean: torch.Tensor = (each * weights.reshape(-1, *[1] * (sample.ndim - 2), self.outputs, 1)).sum(dim=-2)
        return mean

    @property
    def by_step(self) -> bool:
        """Whether it holds what belongs to one grid."""
        return self.second_table is not None or self.weights_table is not None

    def _row(self, table: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """The entries of ``table`` (M, ...) for timesteps (B,)."""
        return table[(timestep.to(torch.float32)[:, None] - self.timesteps_table).abs().argmin(dim=1)]


def stepped(network: nn.Module, spec: ModelSpec, scheduler: Scheduler, timesteps: Sequence[float]) -> nn.Module:
    """``network`` as ``scheduler`` calls it: itself, unless it takes a second timestep or the scheduler weighs outputs.

    Args:
        timesteps: what the network is told at every point of the grid.

    Raises:
        OptionError: two steps are told the same timestep, and lead elsewhere.
    """
    grid, second = scheduler.grid, None
    weights = grid.own.get("output_weights")
    if spec.second_timestep is None and weights is None:
        return network
    if spec.second_timestep is not None and scheduler.mean_velocity:
        training = spec.noise_schedule or grid.schedule
        assert training is not None
        second = told_timesteps(training, grid.alpha_next, grid.sigma_next)
        second = np.trunc(second) if spec.timestep_dtype.startswith("int") else second
    told = np.asarray(timesteps, dtype=np.float32)
    if (second is not None or weights is not None) and len(set(told)) < len(told):
        same = next(t for t in told if (told == t).sum() > 1)
        raise OptionError(
            f"steps={scheduler.steps}: two steps are told timestep {same:g} and lead elsewhere; give fewer"
        )
    return Stepped(network, told, spec.second_timestep or "", second, weights)


def network_of(module: nn.Module) -> nn.Module:
    """The network inside, where a module was ``stepped``."""
    return module.network if isinstance(module, Stepped) else module


def first_tensor(output: Any) -> torch.Tensor:
    """The tensor in a network's output: itself, its ``sample`` field, or its first element."""
    if isinstance(output, torch.Tensor):
        return output
    found = getattr(output, "sample", None)
    if found is None and isinstance(output, tuple | list) and output:
        found = output[0]
    if not isinstance(found, torch.Tensor):
        raise OptionError(f"the model returned {type(output).__name__}; it has to return a tensor shaped like sample")
    return found

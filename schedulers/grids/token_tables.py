"""Transition probabilities of VQ-Diffusion's forward process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from samplegraph.schedulers.errors import OptionError

#: What diffusers takes for the logarithm of 0.
LOG_ZERO = float(torch.tensor(1e-30).log())


@dataclass(frozen=True)
class TokenTables:
    """Float32 logarithms over the T training timesteps: the probabilities that a token stays what it is (alpha),
    becomes one given other (beta) or the mask (gamma), in one timestep and, ``cum``, since the beginning."""

    log_alpha: torch.Tensor
    log_beta: torch.Tensor
    log_gamma: torch.Tensor
    log_cum_alpha: torch.Tensor
    log_cum_beta: torch.Tensor
    log_cum_gamma: torch.Tensor

    @classmethod
    def of(
        cls,
        classes: int,
        timesteps: int = 100,
        alpha: tuple[float, float] = (0.99999, 0.000009),
        gamma: tuple[float, float] = (0.000009, 0.99999),
    ) -> TokenTables:
        """Tables for ``classes`` tokens, the mask included; ``alpha`` and ``gamma`` run linearly from start to end."""
        ramp = np.arange(timesteps) / (timesteps - 1)
        cum_alpha, cum_gamma = (ramp * (end - start) + start for start, end in (alpha, gamma))
        with np.errstate(invalid="ignore", divide="ignore"):
            one_alpha = cum_alpha / np.append(1, cum_alpha[:-1])
            one_gamma = 1 - (1 - cum_gamma) / (1 - np.append(0, cum_gamma[:-1]))
            cum_beta = (1 - cum_alpha - cum_gamma) / (classes - 1)
            one_beta = (1 - one_alpha - one_gamma) / (classes - 1)
            logs = [np.log(p) for p in (one_alpha, one_beta, one_gamma, cum_alpha, cum_beta, cum_gamma)]
        if not np.isfinite(logs).all():
            raise OptionError(
                f"alpha_cum={alpha}, gamma_cum={gamma} give probabilities of 0 or less, NaN in diffusers; let alpha "
                "descend and gamma ascend within (0, 1), with a sum below 1"
            )
        return cls(*(torch.from_numpy(p).float() for p in logs))

    def reached(self, cumulative: bool) -> list[tuple[float, float, float]]:
        """Per timestep the log-probability to reach the token seen: from it, from another, and if it is the mask."""
        single = self.log_alpha, self.log_beta, self.log_gamma
        alpha, beta, gamma = (self.log_cum_alpha, self.log_cum_beta, self.log_cum_gamma) if cumulative else single
        hit, miss = torch.logaddexp(alpha, beta), torch.logaddexp(LOG_ZERO + alpha, beta)
        return list(zip(hit.tolist(), miss.tolist(), gamma.tolist(), strict=True))

"""The exact denoiser of a mixture of independent categorical pixels under VQ-Diffusion's forward process."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samplegraph.models.spec import Condition, ModelSpec
from samplegraph.schedulers.grids.token_tables import TokenTables

DIGITS, NULL_CLASS = 10, 10
PLACES, LEVELS = 64, 8


class MixtureDenoiser(nn.Module):
    """log p(x0 | x_t) per place for data drawn from ``sum_k pi_k prod_j p_kj``: Bayes' rule, not a trained network.

    Args:
        levels: (10, K, 64, 8), for each digit and each of its K components the distribution of every place.
    """

    spec = ModelSpec(
        name="tokens",
        sample_shape=(PLACES,),
        prediction_type="log_probs",
        token_classes=LEVELS + 1,
        timestep_dtype="int64",
        conditions=(
            Condition(
                "class_labels", (), "int64", NULL_CLASS, 0, NULL_CLASS, "digit 0..9; 10 is no digit in particular"
            ),
        ),
        guidance_scale=1.5,
    )

    def __init__(self, levels: Tensor) -> None:
        super().__init__()
        per_digit = levels.shape[1]
        tables = TokenTables.of(LEVELS + 1)
        prior = torch.full((DIGITS + 1, DIGITS, per_digit), -1e4)
        for digit in range(DIGITS):
            prior[digit, digit] = 0.0
        prior[NULL_CLASS] = 0.0
        self.prior: Tensor
        self.levels: Tensor
        self.register_buffer("prior", prior.flatten(1))
        self.register_buffer("levels", levels.flatten(0, 1))
        for name in ("alpha", "beta", "gamma"):
            self.register_buffer(name, getattr(tables, f"log_cum_{name}").exp())

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Tensor) -> Tensor:
        """Tokens (B, 64) with values 0..8, 8 the mask -> log-probabilities (B, 8, 64) of the clean ones."""
        t = timestep.long()
        alpha, beta, gamma = (getattr(self, name)[t].reshape(-1, 1, 1) for name in ("alpha", "beta", "gamma"))
        seen = (sample.unsqueeze(-1) == torch.arange(LEVELS)).float()
        masked = (sample == LEVELS).unsqueeze(-1).float()
        likelihood = masked * gamma + (1 - masked) * (beta + alpha * seen)
        evidence = torch.einsum("blc,klc->bkl", likelihood, self.levels)
        weight = torch.softmax(self.prior[class_labels] + evidence.log().sum(-1), dim=1)
        share = torch.einsum("bkl,klc->bcl", weight.unsqueeze(-1) / evidence, self.levels)
        log_p: Tensor = (share * likelihood.transpose(1, 2)).clamp(min=1e-30).log()
        return log_p

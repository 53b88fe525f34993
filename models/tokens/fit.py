"""Fit the mixture by expectation maximisation: `python -m samplegraph.models.tokens.fit` (seconds, deterministic)."""

from __future__ import annotations

import torch
from torch import Tensor

from samplegraph.models.tokens import WEIGHTS
from samplegraph.models.tokens.mixture import DIGITS, LEVELS

COMPONENTS, ROUNDS, PRIOR = 12, 60, 0.02


def load() -> tuple[Tensor, Tensor]:
    """Tokens (1797, 64) with values 0..7 and labels (1797,)."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return torch.as_tensor(images).long().div(2, rounding_mode="floor").clamp(max=7), torch.as_tensor(labels).long()


def fit(tokens: Tensor, generator: torch.Generator) -> Tensor:
    """(n, 64) -> (K, 64, 8): distributions of K equally likely components, with ``PRIOR`` pseudo-counts."""
    seen = torch.nn.functional.one_hot(tokens, LEVELS).double()
    share = torch.softmax(3 * torch.randn(len(tokens), COMPONENTS, generator=generator, dtype=torch.float64), dim=1)
    for _ in range(ROUNDS):
        counts = torch.einsum("nk,nlc->klc", share, seen) + PRIOR
        levels = counts / counts.sum(-1, keepdim=True)
        share = torch.softmax(torch.einsum("nlc,klc->nk", seen, levels.log()), dim=1)
    return levels


def main() -> None:
    """Fit all digits and write the weights."""
    from safetensors.torch import save_file

    tokens, labels = load()
    generator = torch.Generator().manual_seed(0)
    levels = torch.stack([fit(tokens[labels == digit], generator) for digit in range(DIGITS)])
    save_file({"levels": levels.half()}, WEIGHTS)


if __name__ == "__main__":
    main()

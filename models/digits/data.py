"""The digits that the model learns: 1,797 handwritten digits of 8x8 pixels, enlarged to 16x16.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998
(doi:10.24432/C50P49, CC BY 4.0), the test part of it, as scikit-learn's `load_digits` ships it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WHITE = 16.0


def load() -> tuple[Tensor, Tensor]:
    """The real digits: images (1797, 1, 8, 8) float32 with values 0 to 16, labels (1797,) int64."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return torch.as_tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.as_tensor(labels).long()


def enlarge(images: Tensor) -> Tensor:
    """(B, 1, 8, 8) in 0..16 -> (B, 1, 16, 16) in [-1, 1]; the mean of each 2x2 block is the original pixel.

    Bilinear interpolation, then in each block the deviations from its mean are put on the original pixel and shrunk
    until all four values lie in [-1, 1]: the slope limiter of finite volume methods (van Leer 1979).
    """
    mean = (images * (2 / WHITE) - 1).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    smooth = F.interpolate(images * (2 / WHITE) - 1, scale_factor=2.0, mode="bilinear", align_corners=False)
    slope = smooth - F.avg_pool2d(smooth, 2).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    steepest = F.max_pool2d(slope.abs(), 2).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    headroom = 1 - mean.abs()
    return mean + slope * (headroom / steepest.clamp(min=1e-6)).clamp(max=1)


def reduce(images: Tensor) -> Tensor:
    """(B, 1, 16, 16) in [-1, 1] -> (B, 1, 8, 8) in 0..16: means of 2x2 blocks, the inverse of `enlarge`."""
    return (F.avg_pool2d(images, 2) + 1) * (WHITE / 2)


def rarity(images: Tensor, labels: Tensor) -> Tensor:
    """How unlike the usual each image is: squared distance from the mean image of its digit, mean 1 per digit; (B,)."""
    flat, weights = images.flatten(1), torch.empty(len(images))
    for digit in range(10):
        mine = labels == digit
        distance = (flat[mine] - flat[mine].mean(dim=0)).square().sum(dim=1)
        weights[mine] = distance / distance.mean()
    return weights


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Move and bend each image a little: (B, 1, 16, 16) -> (B, 1, 16, 16), values in [-1, 1].

    Standard deviations: shift 0.4 pixel each way, rotation 3.4 degrees, scale 6 % each way, shear 6 %, and a smooth
    displacement of 0.3 pixel (Simard et al. 2003, "Best practices for convolutional neural networks"). Bicubic, then
    an unsharp mask, which restores the contrast that interpolation costs.
    """
    count = len(images)
    angle, shear, shift_x, shift_y, scale_x, scale_y = torch.randn(6, count, generator=generator).clamp(-2.5, 2.5)
    angle, shear, scale_x, scale_y = angle * 0.06, shear * 0.06, (scale_x * 0.06).exp(), (scale_y * 0.06).exp()
    cos, sin = angle.cos(), angle.sin()
    top = torch.stack([cos * scale_x, cos * shear - sin * scale_y, shift_x * 0.4 / 8], dim=1)
    bottom = torch.stack([sin * scale_x, sin * shear + cos * scale_y, shift_y * 0.4 / 8], dim=1)
    grid = F.affine_grid(torch.stack([top, bottom], dim=1), list(images.shape), align_corners=False)
    bend = torch.randn(count, 2, 4, 4, generator=generator).clamp(-2.5, 2.5) * (0.3 / 8)
    bend = F.interpolate(bend, size=images.shape[2:], mode="bicubic", align_corners=True)
    # Outside the picture is paper, which is -1: shift the values so that the padding's zero means paper.
    place = grid + bend.permute(0, 2, 3, 1)
    moved = F.grid_sample(images + 1, place, mode="bicubic", padding_mode="zeros", align_corners=False)
    blurred = F.avg_pool2d(moved, 3, stride=1, padding=1)
    return (moved + 0.7 * (moved - blurred) - 1).clamp(-1, 1)

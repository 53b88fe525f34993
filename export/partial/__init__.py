"""Partial evaluation: what of the denoiser is computed now, once, or at every site."""

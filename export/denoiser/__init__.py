"""The denoiser, captured once and optimised before anything is unrolled."""

"""The sampler around the denoiser: which steps become which graph, and the arithmetic of each."""

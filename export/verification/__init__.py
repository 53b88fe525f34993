"""A graph against the eager sampler, step by step."""

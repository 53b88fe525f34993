"""Modules in front of and behind the sampler as parts of its graph."""

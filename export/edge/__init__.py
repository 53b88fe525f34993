"""What stands between a caller and the sampler: the edge of a graph with modules in front of it and behind."""

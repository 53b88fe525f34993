"""The schedulers by name: construction, diffusers' configs, other programs' words, and what is refused."""

"""Benchmarks: the compiler against whole-loop tracing, and the whole graph against a host loop.

    python -m benchmarks                                     all of it; takes about an hour
    python -m benchmarks --quick                             everything once, on a tiny model
    python -m benchmarks --models unet --steps 25 --parts run

Each measurement runs in a process of its own (``worker``); what is compared is measured in turn, in one run.
"""

"""NVIDIA GPUs: their memory, and engines and graphs whose tensors are bound once. Libraries load on first use."""

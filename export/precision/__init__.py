"""The network's precision: float16, bfloat16 or int8 weights, with float32 at its edge."""

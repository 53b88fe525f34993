"""Gaussian noise that can be reproduced: in numpy alone, and bit for bit in any language.

`draw` makes the inputs ``noise`` and ``step_noise`` of a program from seeds. ``rng="torch"`` (the default)
gives the bits that ``torch.randn`` gives on the CPU, so that a seed makes the same picture as in a diffusers
pipeline; ``rng="philox"`` gives each sample noise that depends on nothing but its seed and its number.

How to write it again in another language, from the bottom up (each module's text is the specification):

    fma               float32 fused multiply-add (``std::fma`` in C++)
    cephes            log, sin, cos as fixed sequences of float32 operations
    box_muller        two words -> two normals
    mt19937           torch's source of words                 philox          words from a counter
    torch_generator   ``torch.randn``, block by block         philox_normal   the layout of counter and key
    draw              which draws make up a batch

``tests/vectors`` holds the answers.
"""

from samplegraph.runtime.noise.draw import RNGS, Rng, draw
from samplegraph.runtime.noise.errors import NoiseError
from samplegraph.runtime.noise.philox_normal import philox_normals
from samplegraph.runtime.noise.torch_generator import TorchGenerator

__all__ = ["RNGS", "NoiseError", "Rng", "TorchGenerator", "draw", "philox_normals"]

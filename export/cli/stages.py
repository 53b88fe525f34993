"""The modules around the sampler that a command line names, its pipeline's own and the user's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from samplegraph.runtime import InputError

if TYPE_CHECKING:
    from samplegraph.models import Parts


def load_stages(
    source: str,
    pre: Sequence[str],
    post: str | None,
    include: Sequence[str],
    *,
    clip_skip: int = 0,
    sample_shape: Sequence[int] | None = None,
    lora: Sequence[str] = (),
    allow_pickle: bool = False,
) -> Parts:
    """Modules of the user's, ``package.module:factory``, around those that are included of the pipeline ``source``.

    Raises:
        InputError: two modules would stand behind.
        OptionError: one cannot be made.
    """
    from samplegraph.models import Parts, load_parts
    from samplegraph.models.stages.load import load_back, load_front

    if post is not None and "vae" in include:
        raise InputError(f"post={post!r} and include='vae' would both make the output; give one of them")
    fronts, back = [load_front(each) for each in pre], load_back(post) if post is not None else None
    parts = load_parts(
        source, include, clip_skip=clip_skip, sample_shape=sample_shape, lora=lora, allow_pickle=allow_pickle
    )
    return Parts((*fronts, *parts.pre), back or parts.post)

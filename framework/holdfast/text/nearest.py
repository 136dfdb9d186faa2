"""A wrong name, and the known ones it may stand for."""

import difflib
import heapq
from collections.abc import Sequence
from typing import Final

_NEAR: Final = 3
_LISTED: Final = 12
_COMPARED_MAX: Final = 200


def nearest_names(wrong: str, known: Sequence[str]) -> str:
    """A hint for people: the few known names closest to a wrong one.

    Where none is close it is all of a few, or the first of many and how many there are.
    """
    if not known:
        return "there is none"
    near = difflib.get_close_matches(wrong[:_COMPARED_MAX], known, n=_NEAR, cutoff=0.5)
    if near:
        return f"did you mean {', '.join(near)}?"
    if len(known) <= _LISTED:
        return f"known: {', '.join(sorted(known))}"
    first = heapq.nsmallest(_NEAR, known)
    return f"known: {', '.join(first)} and {len(known) - len(first):,} more"

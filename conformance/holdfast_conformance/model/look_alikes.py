"""Names that become one where a backend folds, decodes, trims or cuts them, or matches by parts."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote_plus

_CUT_BYTES = 32
"""Two names that are equal so far are one where somebody cuts them."""


def has_look_alike(name: str, others: Iterable[str]) -> bool:
    """Whether one of the other names looks like this one and is another."""
    return any(other != name and _alike(name, other) for other in others)


def _alike(one: str, other: str) -> bool:
    if one.startswith(other) or other.startswith(one):
        return True
    first, second = _folded(one), _folded(other)
    if first == second or _cut(first) == _cut(second) != "":
        return True
    return _matches(one, other) or _matches(other, one)


@lru_cache(maxsize=4096)
def _folded(name: str) -> str:
    """The name as the most careless backend would keep it: its letters and digits."""
    folded = unicodedata.normalize("NFKC", unquote_plus(name)).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


def _cut(folded: str) -> str:
    """The beginning of a name that is long enough to be cut there."""
    return folded[:_CUT_BYTES] if len(folded) > _CUT_BYTES else ""


def _matches(pattern: str, name: str) -> bool:
    """Whether a name has the letters of another one where that has no wildcard."""
    return len(pattern) == len(name) and all(
        mine == theirs or mine in "_?.*%" for mine, theirs in zip(pattern, name, strict=True)
    )

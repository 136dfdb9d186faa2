"""What an entry offers to an agent: named verbs, each a blocking function of one request."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec


class Verb(msgspec.Struct, frozen=True):
    """One verb: the type of its request, and the function that carries it out.

    The function may block, may run beside others in its own thread, returns what msgspec encodes,
    and raises driver errors only.
    """

    request: Any
    perform: Callable[[Any], object]


Service = Mapping[str, Verb]
"""The verbs of one entry by name."""

Entry = Callable[[bytes], Service]
"""What ``module:name`` must be: makes the service from the configuration its client sends."""

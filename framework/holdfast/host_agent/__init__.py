"""Verbs that are carried out on the storage host: an agent there, and its client here.

The agent needs Python, msgspec, xxhash and Holdfast's own packages. It lives as long as its
standard input, keeps nothing between calls, and is started anew whenever it is gone.
"""

from typing import TYPE_CHECKING

from holdfast.host_agent.service import Service, Verb

if TYPE_CHECKING:
    from holdfast.host_agent.client import RemoteClient

__all__ = ["RemoteClient", "Service", "Verb"]


def __getattr__(name: str) -> object:
    """The client, imported when asked for: the agent needs none, and starts the faster."""
    if name != "RemoteClient":
        raise AttributeError(f"module {__name__} has no attribute {name!r}")
    from holdfast.host_agent.client import RemoteClient  # noqa: PLC0415 - see above

    return RemoteClient

"""Verbs that are carried out on the storage host: an agent there, and its client here.

The agent needs Python, msgspec, xxhash and Holdfast's own packages. It lives as long as its
standard input, keeps nothing between calls, and is started anew whenever it is gone.
"""

from holdfast.remote.client import RemoteClient
from holdfast.remote.service import Service, Verb

__all__ = ["RemoteClient", "Service", "Verb"]

"""The life cycle of a store on a storage host: the agent's verbs, as for its volumes."""

from holdfast_drivers.local.hosted import HostedLifeCycle

__all__ = ["IscsiLifeCycle"]


class IscsiLifeCycle(HostedLifeCycle):
    """A folder of the storage host becomes a store and is given back; any number of hosts."""

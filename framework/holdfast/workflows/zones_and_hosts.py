"""Zones and hosts: the rows that everything else is in."""

from holdfast.catalogue.port import Transaction
from holdfast.model.rows import Cluster, Host, Pod, Zone
from holdfast.model.state_tables import Event
from holdfast.workflows.names import NameTaken, insert_named
from holdfast.workflows.references import require_place


def make_zone(tx: Transaction, name: str) -> Zone:
    """A zone with one pod and one cluster; its name is its id.

    Raises:
        BadName: nothing can have this name.
        NameTaken: there is such a zone.
    """
    if tx.find(Zone, name) is not None:
        raise NameTaken(f"there is a zone named {name} already")
    zone = insert_named(tx, Zone(id=name, name=name))
    pod = insert_named(tx, Pod(id=f"{name}-pod", zone=name, name="pod-1"))
    insert_named(tx, Cluster(id=cluster_of(name), pod=pod.id, name="cluster-1"))
    return zone


def cluster_of(zone: str) -> str:
    """The id of a zone's first cluster."""
    return f"{zone}-cluster"


def make_host(tx: Transaction, name: str, *, zone: str) -> Host:
    """A host in a zone's first cluster; its name is its id.

    Raises:
        BadName: nothing can have this name.
        NameTaken: there is such a host.
        ConfigurationError: there is no such zone, or it has no such cluster.
    """
    require_place(tx, Zone, zone)
    require_place(tx, Cluster, cluster_of(zone))
    if tx.find(Host, name) is not None:
        raise NameTaken(f"there is a host named {name} already")
    row = insert_named(tx, Host(id=name, cluster=cluster_of(zone), name=name))
    return tx.fire(row, Event.CONNECTED)

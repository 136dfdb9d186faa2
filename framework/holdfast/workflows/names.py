"""Making rows that have a name: by the rule for names, and only where nothing living has it."""

from typing import TypeVar

from holdfast.catalogue.port import Transaction
from holdfast.contract.errors import HoldfastError
from holdfast.contract.requests import ScopeKind
from holdfast.model.rows import (
    Backup,
    Cluster,
    Host,
    Pod,
    Row,
    Snapshot,
    StatefulRow,
    Store,
    StoredObject,
    Template,
    Volume,
    Zone,
)
from holdfast.model.state_sets import NOT_THERE
from holdfast.text.names import check_name

RowT = TypeVar("RowT", bound=Row)


class NameTaken(HoldfastError):
    """Something of the kind lives in the zone under this name already; the message has its id."""


def insert_named(tx: Transaction, row: RowT) -> RowT:
    """Insert a row under its name.

    Raises:
        BadName: nothing can have this name.
        NameTaken: something of its kind has it, in the same zone or in one that is not known.
    """
    name = str(getattr(row, "name"))  # noqa: B009 - Row itself has none
    noun = type(row).__name__.lower()
    check_name(noun, name)
    others = [other for other in _of_name(tx, row, name) if is_living(other)]
    stored = tx.insert(row)
    if others:
        zone = zone_of(tx, stored)
        for other in others:
            if zone_of(tx, other) in ("", zone) or not zone:
                raise NameTaken(f"there is a {noun} named {name} already ({other.id})")
    return stored


def is_living(row: Row) -> bool:
    """Whether a row stands for something: it was not made in vain, and is not gone."""
    return not isinstance(row, StatefulRow) or row.state not in NOT_THERE


def _of_name(tx: Transaction, row: Row, name: str) -> list[Row]:
    """The rows of this row's kind and name that were there before it."""
    kind = type(row)
    if "name" in kind.columns:
        return list(tx.select(kind, name=name))
    match row:
        case Pod():
            return [pod for pod in tx.select(Pod, zone=row.zone) if pod.name == name]
        case Cluster():
            return [one for one in tx.select(Cluster, pod=row.pod) if one.name == name]
        case _:
            return [one for one in tx.select(kind) if getattr(one, "name", "") == name]


def zone_of(tx: Transaction, row: Row) -> str:
    """The zone that a row is in, or nothing where it is in none or that cannot be known."""
    match row:
        case Store(scope=scope):
            return _zone_of_scope(tx, scope.kind, scope.id)
        case Volume(store=store) | Snapshot(store=store):
            return _zone_of_row(tx, Store, store)
        case Template() | Backup():
            copies = tx.select(StoredObject, owner=row.id)
            return _zone_of_row(tx, Store, copies[0].store) if copies else ""
        case Host(cluster=cluster):
            return _zone_of_row(tx, Cluster, cluster)
        case Cluster(pod=pod):
            return _zone_of_row(tx, Pod, pod)
        case Pod(zone=zone):
            return zone
        case Zone():
            return ""
        case _:
            return ""


def _zone_of_scope(tx: Transaction, kind: ScopeKind, scope: str) -> str:
    match kind:
        case ScopeKind.ZONE:
            return scope
        case ScopeKind.CLUSTER:
            return _zone_of_row(tx, Cluster, scope)
        case ScopeKind.HOST:
            return _zone_of_row(tx, Host, scope)
        case ScopeKind.REGION:
            return ""


def _zone_of_row(tx: Transaction, kind: type[Row], row_id: str) -> str:
    row = tx.find(kind, row_id)
    return zone_of(tx, row) if row is not None else ""

"""What people call things: a row by its id, or by a name that only one living row has."""

from typing import TypeVar

from holdfast.catalogue.port import Transaction
from holdfast.contract.errors import ConfigurationError
from holdfast.model.rows import Backup, Cluster, Host, Row, Snapshot, Store, Template, Volume, Zone
from holdfast.text.names import shown
from holdfast.text.nearest import nearest_names
from holdfast.workflows.names import is_living
from holdfast.workflows.row_holds import name_of

RowT = TypeVar("RowT", bound=Row)
_SEVERAL_MAX = 5


def store(tx: Transaction, name: str) -> str:
    """The id of a store."""
    return _one(tx, Store, name)


def volume(tx: Transaction, name: str) -> str:
    """The id of a volume."""
    return _one(tx, Volume, name)


def snapshot(tx: Transaction, name: str) -> str:
    """The id of a snapshot."""
    return _one(tx, Snapshot, name)


def template(tx: Transaction, name: str) -> str:
    """The id of a template."""
    return _one(tx, Template, name)


def backup(tx: Transaction, name: str) -> str:
    """The id of a backup."""
    return _one(tx, Backup, name)


def zone(tx: Transaction, name: str) -> str:
    """The id of a zone."""
    return _one(tx, Zone, name)


def cluster(tx: Transaction, name: str) -> str:
    """The id of a cluster; clusters of several zones may have one name."""
    if tx.find(Cluster, name) is not None:
        return name
    return _only(tx.select(Cluster), name, "cluster")


def host(tx: Transaction, name: str) -> str:
    """The id of a host."""
    return _one(tx, Host, name)


def _one(tx: Transaction, kind: type[RowT], name: str) -> str:
    """The id that a name, or an id, stands for.

    Raises:
        ConfigurationError: nothing living has this name (the nearest are given), or several have.
    """
    by_id = tx.find(kind, name)
    if by_id is not None:
        return by_id.id
    rows = [row for row in tx.select(kind, name=name) if is_living(row)]
    # All rows are read only to say what is near to a name that nothing has.
    return _only(rows or tx.select(kind), name, kind.__name__.lower())


def _only(rows: list[RowT], name: str, noun: str) -> str:
    living = [row for row in rows if is_living(row)]
    namesakes = [row for row in living if name_of(row) == name]
    if len(namesakes) == 1:
        return namesakes[0].id
    if namesakes:
        ids = ", ".join(row.id for row in namesakes[:_SEVERAL_MAX])
        more = f" and {len(namesakes) - _SEVERAL_MAX} more" if len(namesakes) > _SEVERAL_MAX else ""
        raise ConfigurationError(f"several {noun}s are named {name}; say which by id: {ids}{more}")
    known = [name_of(row) for row in living]
    raise ConfigurationError(f"there is no {noun} {shown(name)}; {nearest_names(name, known)}")

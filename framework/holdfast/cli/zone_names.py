"""What people call things: a row by its id, or by a name that only one living row has."""

from collections.abc import Sequence

from holdfast.catalogue.port import Transaction
from holdfast.errors import ConfigurationError
from holdfast.model.rows import Backup, Row, Snapshot, Store, Template, Volume
from holdfast.opening import nearest_names
from holdfast.workflows.holding import name_of

_GONE = frozenset({"Expunged", "Removed"})


def store(tx: Transaction, name: str) -> str:
    """The id of a store."""
    return _one(tx.find(Store, name), tx.select(Store), name, "store")


def volume(tx: Transaction, name: str) -> str:
    """The id of a volume."""
    return _one(tx.find(Volume, name), tx.select(Volume), name, "volume")


def snapshot(tx: Transaction, name: str) -> str:
    """The id of a snapshot."""
    return _one(tx.find(Snapshot, name), tx.select(Snapshot), name, "snapshot")


def template(tx: Transaction, name: str) -> str:
    """The id of a template."""
    return _one(tx.find(Template, name), tx.select(Template), name, "template")


def backup(tx: Transaction, name: str) -> str:
    """The id of a backup."""
    return _one(tx.find(Backup, name), tx.select(Backup), name, "backup")


def _one(by_id: Row | None, rows: Sequence[Row], name: str, noun: str) -> str:
    """The id that a name stands for.

    Raises:
        ConfigurationError: nothing living has this name (the nearest are given), or several have.
    """
    if by_id is not None:
        return by_id.id
    living = [row for row in rows if str(getattr(row, "state", "")) not in _GONE]
    found = [row for row in living if name_of(row) == name]
    if len(found) == 1:
        return found[0].id
    if found:
        ids = ", ".join(row.id for row in found)
        raise ConfigurationError(f"several {noun}s are named {name}; say which by id: {ids}")
    raise ConfigurationError(
        f"there is no {noun} {name!r}; {nearest_names(name, [name_of(row) for row in living])}"
    )

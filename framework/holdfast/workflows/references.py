"""What a row refers to is there, and of a kind that its provider has: scopes, and hosts in them."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from holdfast.catalogue.port import Transaction
from holdfast.contract.errors import ConfigurationError
from holdfast.contract.requests import ScopeKind
from holdfast.model.rows import Cluster, Host, Row, Scope, Zone
from holdfast.text.names import check_name, shown
from holdfast.text.nearest import nearest_names
from holdfast.workflows.names import zone_of

RowT = TypeVar("RowT", bound=Row)

_PLACES: dict[ScopeKind, type[Row]] = {
    ScopeKind.ZONE: Zone,
    ScopeKind.CLUSTER: Cluster,
    ScopeKind.HOST: Host,
}


def check_scope(
    tx: Transaction, scope: Scope, *, provider: str, offered: Sequence[ScopeKind]
) -> None:
    """Refuse a scope that the provider does not have, or that is not there.

    A region is no row: it is named by the stores that serve it, so its name must be one.

    Raises:
        ConfigurationError: as said; the message names what there is.
        BadName: a region cannot be called so.
    """
    if scope.kind not in offered:
        raise ConfigurationError(
            f"driver {provider} has no stores of scope {scope.kind}; "
            f"its scopes are {', '.join(kind.value for kind in offered)}"
        )
    place = _PLACES.get(scope.kind)
    if place is None:
        check_name("region", scope.id)
    else:
        require_place(tx, place, scope.id)


def check_hosts(tx: Transaction, scope: Scope, hosts: Iterable[str]) -> None:
    """Refuse a host that is not there, or that the scope does not serve.

    Raises:
        ConfigurationError: as said.
    """
    for host in hosts:
        row = require_place(tx, Host, host)
        if not _serves(tx, scope, row):
            raise ConfigurationError(f"host {row.name} is not in {scope.kind} {scope.id}")


def require_place(tx: Transaction, kind: type[RowT], row_id: str) -> RowT:
    """The zone, cluster or host of this id.

    Raises:
        ConfigurationError: there is none; the nearest are named.
    """
    place = tx.find(kind, row_id)
    if place is None:
        known = [row.id for row in tx.select(kind)]
        raise ConfigurationError(
            f"there is no {kind.__name__.lower()} {shown(row_id)}; {nearest_names(row_id, known)}"
        )
    return place


def _serves(tx: Transaction, scope: Scope, host: Host) -> bool:
    match scope.kind:
        case ScopeKind.HOST:
            return host.id == scope.id
        case ScopeKind.CLUSTER:
            return host.cluster == scope.id
        case ScopeKind.ZONE:
            return zone_of(tx, host) == scope.id
        case ScopeKind.REGION:
            return True

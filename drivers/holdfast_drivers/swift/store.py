"""The container of one store, and what is recorded of the store itself.

Name, id, state and hosts are metadata of the container, each host under a header of its own, so
that two drivers that attach hosts at once lose none. The object ``store`` in it is made where there
is none, or not at all: of two who make a store at once, one does, and its key of temporary
addresses is the one for all.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Self

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.answers import StoreInfo, StoreState
from holdfast.contract.errors import NotFound, Precondition
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.refusals import refuse_in_maintenance
from holdfast_drivers.reported import store_info
from holdfast_drivers.swift.connection import Connection
from holdfast_drivers.swift.containers import Container
from holdfast_drivers.swift.names import KEYS_AFTER, PARTS_AREA, digest_of
from holdfast_drivers.swift.rows import decoded, encoded

ANCHOR: Final = "store"
_OURS: Final = "x-container-meta-holdfast-"
_HOST: Final = f"{_OURS}host-"
_BEGUN: Final = f"{_OURS}operation"
URL_KEY: Final = "x-container-meta-temp-url-key"


class StoreRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of the store."""

    id: str
    name: str
    operation: str
    state: StoreState = StoreState.UP
    hosts: tuple[str, ...] = ()
    size_bytes: int = 0
    """What the container holds now."""
    signs: bool = False
    """Whether the container has a key of temporary addresses."""
    identity: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self | None:
        """What a container's headers say of its store, or ``None`` where it is none."""
        if f"{_OURS}id" not in headers:
            return None
        return cls(
            id=headers[f"{_OURS}id"],
            name=decoded(headers[f"{_OURS}name"]),
            operation=decoded(headers[_BEGUN]),
            state=StoreState(headers.get(f"{_OURS}state", StoreState.UP.value)),
            hosts=_sorted(decoded(headers[name]) for name in headers if name.startswith(_HOST)),
            size_bytes=int(headers.get("x-container-bytes-used", 0)),
            signs=URL_KEY in headers,
            identity=decoded(headers.get(f"{_OURS}identity", "")),
        )

    def with_host(self, host: str) -> Self:
        """The same with one more host."""
        return msgspec.structs.replace(self, hosts=_sorted({*self.hosts, host}))

    def without_host(self, host: str) -> Self:
        """The same with one host less."""
        return msgspec.structs.replace(self, hosts=_sorted({*self.hosts} - {host}))

    def headers(self) -> dict[str, str]:
        """Everything but the hosts, as the container's metadata."""
        return {
            f"{_OURS}id": self.id,
            f"{_OURS}name": encoded(self.name),
            **begun(self.operation),
            **state_header(self.state),
            **(identity_header(self.identity) if self.identity else {}),
        }

    def info(self) -> StoreInfo:
        """What is reported of the store."""
        return store_info(self)


class Store:
    """One store's place in an account."""

    def __init__(self, connection: Connection) -> None:
        config = connection.config
        self.connection = connection
        self.config = config
        self.place = Container(connection, config.namespace)
        self.objects = Container(connection, config.namespace, floor=KEYS_AFTER)
        self.segments = Container(connection, config.namespace, area=PARTS_AREA)

    async def find(self, call: Call) -> StoreRow | None:
        """What is recorded of the store, or ``None`` where there is none."""
        headers = await self.place.look(call)
        return None if headers is None else StoreRow.of(headers)

    async def row(self, call: Call) -> StoreRow:
        """What is recorded of the store.

        Raises:
            NotFound: there is no store.
        """
        row = await self.find(call)
        if row is None:
            raise self.absent()
        return row

    def absent(self) -> NotFound:
        """The error for a store that is not there."""
        return NotFound(
            f"there is no store in container {self.config.namespace} of "
            f"{self.connection.server}; initialize it first"
        )

    async def allocating(self, call: Call) -> StoreRow:
        """What is recorded of the store, for a new upload; ``Precondition`` in maintenance."""
        row = await self.row(call)
        refuse_in_maintenance(row)
        return row

    async def url_key(self, call: Call) -> str:
        """The key with which temporary addresses are signed: the one that the container has.

        Raises:
            NotFound: there is no store.
            Precondition: somebody took the key away.
        """
        headers = await self.place.look(call)
        if headers is None or f"{_OURS}id" not in headers:
            raise self.absent()
        if URL_KEY not in headers:
            raise Precondition(
                f"container {self.place.name} has no key for temporary addresses, or does not show "
                "it to setting user; initialize the store again",
                state="no key",
            )
        return headers[URL_KEY]


def _sorted(hosts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(hosts, key=str.encode))


def fresh_key() -> str:
    """A key of temporary addresses that nobody knows."""
    return f"{runtime().random.getrandbits(256):064x}"


def begun(operation: str) -> dict[str, str]:
    """What tells a container in which a store is being made from one of somebody else."""
    return {_BEGUN: encoded(operation)}


def is_begun(headers: Mapping[str, str]) -> bool:
    """Whether a container was made, or taken, to become a store."""
    return _BEGUN in headers


def state_header(state: StoreState) -> dict[str, str]:
    """A store's state as metadata."""
    return {f"{_OURS}state": state.value}


def identity_header(identity: str) -> dict[str, str]:
    """A store's identity as metadata."""
    return {f"{_OURS}identity": encoded(identity)}


def host_header(host: str, *, attached: bool) -> dict[str, str]:
    """A host that is attached, or is not, as metadata."""
    return {f"{_HOST}{digest_of(host)}": encoded(host) if attached else ""}

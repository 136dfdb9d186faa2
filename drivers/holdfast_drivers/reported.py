"""What several drivers report of a row of theirs, however each stores it."""

from typing import Protocol

from holdfast.contract.answers import ObjectInfo, OwnedKind, OwnedThing, StoreInfo, StoreState
from holdfast.contract.capabilities import ObjectKind


class StoreFacts(Protocol):
    """What a row says of a store."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> StoreState: ...
    @property
    def hosts(self) -> tuple[str, ...]: ...
    @property
    def identity(self) -> str: ...


class OwnedFacts(Protocol):
    """What a row says of anything that a store owns."""

    @property
    def id(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def operation(self) -> str: ...


class ObjectFacts(Protocol):
    """What a row says of a complete object."""

    @property
    def key(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> ObjectKind: ...
    @property
    def content_type(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def sha256(self) -> str: ...


def store_info(row: StoreFacts) -> StoreInfo:
    """What is reported of a store."""
    return StoreInfo(
        id=row.id, name=row.name, state=row.state, hosts=row.hosts, identity=row.identity
    )


def owned_thing(
    kind: OwnedKind, row: OwnedFacts, size_bytes: int, *, key: str | None = None
) -> OwnedThing:
    """What is enumerated of a row; ``key`` is that of an upload whose row is an object's too."""
    return OwnedThing(
        kind=kind,
        id=row.id,
        key=row.key if key is None else key,
        size_bytes=size_bytes,
        unfinished=kind is OwnedKind.UPLOAD,
        operation=row.operation,
    )


def object_info(row: ObjectFacts) -> ObjectInfo:
    """What is reported of an object."""
    return ObjectInfo(
        key=row.key,
        id=row.id,
        kind=row.kind,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
    )

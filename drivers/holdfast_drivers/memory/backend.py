"""The backend: plain tables, one set per namespace, and the block access that it enforces itself.

Its testbed owns it and every driver instance works on it; nothing in it remembers a driver. Reading
the tables directly is the second path that the inspector uses.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from holdfast.concurrency.runtime import runtime
from holdfast.contract.answers import StoreInfo, StoreState
from holdfast.contract.capabilities import AccessMode, ObjectKind
from holdfast.contract.errors import Denied, Unavailable
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.requests import PartReference, Role, Source
from holdfast.data import BlockIO, Extent, ExtentSpace
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fences

_OBJECT: Final = "object"


def volume_token(grant: str, volume: str) -> str:
    """The token of a volume's handle; it names the volume even after the grant is gone."""
    return f"{grant}:{volume}"


def object_token(identifier: str, key: str) -> str:
    """The token of an object's handle."""
    return f"{_OBJECT}:{identifier}:{key}"


@dataclass(slots=True)
class Volume:
    """A volume's row; ``source`` is what it was created from."""

    key: str
    id: str
    content: Content
    source: Source | None
    operation: str


@dataclass(slots=True)
class Snapshot:
    """A snapshot's row; its content is never written."""

    key: str
    id: str
    volume: str
    content: Content
    operation: str


@dataclass(slots=True)
class Granted:
    """A grant's row; its id is in the token of every handle opened under it."""

    id: str
    volume: str
    host: str
    mode: AccessMode
    operation: str


@dataclass(slots=True)
class Part:
    """A part of an open upload."""

    reference: PartReference
    data: bytes


@dataclass(slots=True)
class Upload:
    """An open upload's row."""

    upload: str
    id: str
    key: str
    kind: ObjectKind
    content_type: str
    operation: str
    parts: dict[int, Part] = field(default_factory=dict[int, Part])


@dataclass(slots=True)
class StoredObject:
    """An object's row; ``upload`` is the key of the upload that made it."""

    key: str
    id: str
    kind: ObjectKind
    content_type: str
    data: bytes
    sha256: str
    upload: str
    operation: str

    def true_sha256(self) -> str:
        """The SHA-256 of the bytes as they are now, whatever the row says."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(slots=True)
class Store:
    """All tables of one initialized namespace; a primary store uses the first three."""

    id: str
    name: str
    state: StoreState = StoreState.UP
    hosts: set[str] = field(default_factory=set[str])
    volumes: dict[str, Volume] = field(default_factory=dict[str, Volume])
    snapshots: dict[str, Snapshot] = field(default_factory=dict[str, Snapshot])
    grants: dict[tuple[str, str], Granted] = field(default_factory=dict[tuple[str, str], Granted])
    uploads: dict[str, Upload] = field(default_factory=dict[str, Upload])
    objects: dict[str, StoredObject] = field(default_factory=dict[str, StoredObject])
    identity: str = ""
    fences: Fences = field(default_factory=Fences)

    def info(self) -> StoreInfo:
        """What is reported of the store."""
        return StoreInfo(
            id=self.id,
            name=self.name,
            state=self.state,
            hosts=tuple(sorted(self.hosts)),
            identity=self.identity,
        )


class Backend(ExtentSpace):
    """One space: its stores by role and namespace, its credential, and whether it is up.

    ``writable`` and ``reachable`` are the decisions the backend makes for each access to bytes;
    ``signature`` and ``expired`` those for a request to a temporary address.
    """

    def __init__(self, name: str, token: str) -> None:
        self.name = name
        self.token = token
        self.down = False
        self.stores: dict[tuple[Role, str], Store] = {}
        self.origin = ""
        """Where its temporary addresses are served; empty where nobody serves them."""
        self.address_key = runtime().new_id("key")
        self.wall_clock = runtime().wall_clock

    def reach(self) -> None:
        """Raise ``Unavailable`` while the backend is down."""
        if self.down:
            raise Unavailable(f"memory space {self.name} is down; bring it up and repeat")

    def grant_of(self, identifier: str) -> tuple[Store, Granted] | None:
        """The grant with this id, if it is still in force."""
        for store in self.stores.values():
            for grant in store.grants.values():
                if grant.id == identifier:
                    return store, grant
        return None

    def writable(self, grant: Granted) -> bool:
        """Whether a grant allows writing."""
        return grant.mode is not AccessMode.READ_ONLY

    def content_behind(self, token: str, *, write: bool) -> Content:
        """The content a token gives access to; ``Denied`` once its grant was revoked."""
        self.reach()
        grant, _, volume = token.partition(":")
        entry = self.grant_of(grant)
        if entry is None:
            raise Denied(
                "the grant of this handle has been revoked; grant and open the volume again",
                object=volume,
            )
        store, row = entry
        if write and not self.writable(row):
            raise Denied("the grant of this handle is read-only", object=volume)
        return store.volumes[row.volume].content

    def object_behind(self, token: str, *, write: bool) -> Content:
        """The bytes of an object as content; objects are never written."""
        self.reach()
        _, identifier, key = token.split(":", 2)
        if write:
            raise Denied("an object in an image store is read-only", object=key)
        for store in self.stores.values():
            for stored in store.objects.values():
                if stored.id == identifier:
                    content = Content(len(stored.data))
                    content.write(0, stored.data)
                    return content
        raise Denied("the object of this handle is gone", object=key)

    def address_path(self, namespace: str, key: str) -> str:
        """The path of an object's addresses."""
        return f"/{quote(namespace, safe='')}/{quote(key, safe='')}"

    def signature(self, path: str, expires: str) -> str:
        """What proves that an address was made by a driver of this space."""
        text = f"{path}\n{expires}".encode()
        return hmac.new(self.address_key.encode(), text, hashlib.sha256).hexdigest()

    def expired(self, expires: str) -> bool:
        """Whether an address that was signed until ``expires`` has ended."""
        return self.wall_clock() >= float(expires)

    def admits(self, method: str, path: str, expires: str, signature: str) -> bool:
        """Whether a request to an address is one that it was made for."""
        if method != "GET" or not hmac.compare_digest(signature, self.signature(path, expires)):
            return False
        return not self.expired(expires)

    def served(self, method: str, namespace: str, key: str) -> bytes | None:
        """What a request that was admitted gives; ``None`` where the object is gone."""
        store = self.stores.get((Role.IMAGE, namespace))
        row = store.objects.get(key) if store else None
        return row.data if row and method == "GET" else None

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        is_object = handle.token.startswith(f"{_OBJECT}:")
        find = self.object_behind if is_object else self.content_behind
        return MemoryBlockIO(
            handle.token, find, size_bytes=find(handle.token, write=False).size_bytes
        )


Find = Callable[..., Content]


class MemoryBlockIO(BlockIO):
    """Block access that asks the backend about its grant at every call."""

    def __init__(self, token: str, find: Find, *, size_bytes: int) -> None:
        self._token = token
        self._find = find
        self.size_bytes = size_bytes

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return self._find(self._token, write=False).read(offset_bytes, length_bytes)

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        self._find(self._token, write=True).write(offset_bytes, data)

    async def flush(self) -> None:
        self._find(self._token, write=False)

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        self._find(self._token, write=True).discard(offset_bytes, length_bytes)

    async def extents(self) -> tuple[Extent, ...]:
        return self._find(self._token, write=False).extents()

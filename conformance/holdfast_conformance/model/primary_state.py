"""What a primary store holds, as the model knows it: volumes, snapshots and grants."""

import enum
import re
from collections.abc import Mapping

import msgspec

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import KEY_MAX_BYTES, Qos
from holdfast_conformance.model.content import EMPTY, Content
from holdfast_conformance.model.role_model import ModelState

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_KNOWN_HOST = re.compile(r"host-[a-z]+\Z")


class Situation(enum.StrEnum):
    """What makes a step on a primary store interesting."""

    NO_STORE = "no store here"
    UNDECLARED = "a feature that is not declared"
    BAD_KEY = "a key that nothing can have"
    HOSTILE = "a key that a careless backend mixes up, loses or obeys"
    LOOK_ALIKE = "a key that looks like another one that is taken"
    DOWN = "the backend is down"
    MAINTENANCE = "something new while the store is in maintenance"
    SIZE_EDGE = "a size at or past a limit"
    SIZE_ROUNDED = "a size that is no multiple of the granularity"
    CREATE_NEW = "create: a new volume"
    CREATE_AGAIN = "create: an equal volume exists"
    CREATE_OTHER = "create: the key is taken by another volume"
    CREATE_NO_SOURCE = "create: the source is absent"
    CREATE_CLONE = "create: from a snapshot, a volume or data"
    CREATE_LARGER = "create: larger than the source"
    CREATE_SMALLER = "create: smaller than the source"
    CREATE_FULL = "create: one volume more than declared"
    CREATE_LAST = "create: the last volume that is declared"
    GET = "get: a volume"
    GET_ABSENT = "get: an absent volume"
    GET_DELETED = "get: a deleted volume"
    LIST = "list: one page of volumes"
    LIST_TOKEN = "list: a token that was never issued"  # noqa: S105 - a page token, no secret
    WALK = "walk: all pages of volumes"
    DELETE = "delete: a volume"
    DELETE_AGAIN = "delete: a deleted volume"
    DELETE_NEVER = "delete: a volume that never was"
    DELETE_GRANTED = "delete: a granted volume"
    DELETE_SNAPSHOTS = "delete: a volume with snapshots"
    DELETE_CLONED = "delete: the source of a clone"
    GROW = "resize: larger"
    RESIZE_SAME = "resize: to the size it has"
    RESIZE_SMALLER = "resize: smaller, without shrink"
    SHRINK = "resize: smaller, with shrink"
    RESIZE_GRANTED = "resize: a granted volume"
    RESIZE_ABSENT = "resize: an absent volume"
    MODIFY = "modify: limits of a volume"
    MODIFY_RANGE = "modify: limits that the store does not allow"
    COPY = "copy: a volume"
    COPY_TAKEN = "copy: to a key that is taken"
    COPY_NO_SOURCE = "copy: an absent volume"
    SNAPSHOT_NEW = "snapshot: a new one"
    SNAPSHOT_AGAIN = "snapshot: an equal one exists"
    SNAPSHOT_OTHER = "snapshot: the key is taken by one of another volume"
    SNAPSHOT_ABSENT = "snapshot: of an absent volume"
    SNAPSHOT_FULL = "snapshot: one more than declared"
    SNAPSHOT_LAST = "snapshot: the last one that is declared"
    SNAPSHOT_GET = "get: a snapshot"
    SNAPSHOT_GET_ABSENT = "get: an absent snapshot"
    SNAPSHOT_LIST = "list: one page of snapshots"
    SNAPSHOT_WALK = "walk: all pages of snapshots"
    SNAPSHOT_DELETE = "delete: a snapshot"
    SNAPSHOT_DELETE_ABSENT = "delete: an absent snapshot"
    SNAPSHOT_DELETE_CLONED = "delete: a snapshot with clones"
    REVERT = "revert: to a snapshot of the volume"
    REVERT_FOREIGN = "revert: to a snapshot of another volume"
    REVERT_GRANTED = "revert: a granted volume"
    REVERT_NEWER = "revert: past newer snapshots"
    REVERT_ABSENT = "revert: an absent volume or snapshot"
    GRANT_NEW = "grant: a first one"
    GRANT_AGAIN = "grant: the same mode again"
    GRANT_MODE = "grant: another mode"
    GRANT_EXCLUDED = "grant: against an exclusive grant"
    GRANT_HOST = "grant: to a host that is not attached"
    GRANT_ABSENT = "grant: an absent volume"
    REVOKE = "revoke: a grant"
    REVOKE_ONE = "revoke: one of several grants"
    REVOKE_ABSENT = "revoke: no such grant"
    OPEN = "open: a granted volume"
    OPEN_UNGRANTED = "open: without a grant"
    OPEN_ABSENT = "open: an absent volume"
    WRITE = "write: through a grant"
    WRITE_READ_ONLY = "write: through a read-only grant"
    WRITE_PAST = "write: past the end"
    READ = "read: through a grant"
    READ_PAST = "read: past the end"
    IO_UNGRANTED = "read or write: without a grant"
    READ_STALE = "read: through a handle whose grant was revoked"
    READ_PART = "read: no whole blocks"
    WRITE_PART = "write: no whole blocks"
    WRITE_ZEROES = "write: zeroes"
    WRITE_SEVERAL = "write: several ranges before one flush"
    IO_FAR = "read, write or discard: past 4 GiB"
    DISCARD = "discard: through a grant"
    DISCARD_PART = "discard: no whole blocks"
    DISCARD_READ_ONLY = "discard: through a read-only grant"
    KEEP_HANDLE = "keep a handle open"
    IO_KEPT = "read, write or discard: through a handle that was kept open"
    IO_KEPT_RESIZED = "read, write or discard: through a handle from before a resize"
    IO_KEPT_STALE = "read, write or discard: through a kept handle whose grant was revoked"
    PAGE_TAKEN = "list: a page whose token is kept"
    PAGE_NEXT = "list: the page after one that was taken"
    PAGE_RESIZED = "list: the page after one of another size"
    PAGE_CHANGED = "list: the page after one, when its list has changed"
    PAGE_FOREIGN = "list: the token of another list"
    PROBE_DONE = "probe: a call whose effect is there"
    PROBE_ABSENT = "probe: a call whose effect is not there"
    PROBE_EITHER = "probe: a call whose effect another has, or was changed"
    STATS = "stats"
    ENUMERATE = "enumerate: everything"
    HEALTH = "health: while the backend is up"
    HEALTH_DOWN = "health: while the backend is down"
    HARNESS = "a step of the harness"


class SourceKind(enum.StrEnum):
    """What a volume was made from."""

    NOTHING = ""
    SNAPSHOT = "snapshot"
    VOLUME = "volume"
    DATA = "data"


class Origin(msgspec.Struct, frozen=True):
    """What a volume was made from; ``born`` tells lives of one key apart."""

    kind: SourceKind = SourceKind.NOTHING
    key: str = ""
    born: int = 0


class VolumeModel(msgspec.Struct, frozen=True):
    """One volume. ``born`` is the step that made it; ``qos`` its limits, once they were set."""

    size_bytes: int
    born: int
    origin: Origin = Origin()
    content: Content = EMPTY
    qos: Qos | None = None


class SnapshotModel(msgspec.Struct, frozen=True):
    """One snapshot; ``volume_born`` tells which life of the volume it is of."""

    volume: str
    volume_born: int
    size_bytes: int
    born: int
    content: Content


GrantKey = tuple[str, str]
"""Volume and host."""


class GrantModel(msgspec.Struct, frozen=True):
    """One grant. ``born`` is the step that made it."""

    mode: AccessMode
    born: int


class KeptHandle(msgspec.Struct, frozen=True):
    """A handle that is kept open: of which life of a volume, under which grant, how large."""

    volume: str
    volume_born: int
    host: str
    grant_born: int
    size_bytes: int


class PrimaryState(ModelState, frozen=True, kw_only=True):
    """Everything in a primary store. The mappings are never changed, only replaced.

    ``run`` is the plan's id, which every stamp carries.
    """

    run: str = ""
    volumes: Mapping[str, VolumeModel] = {}
    snapshots: Mapping[str, SnapshotModel] = {}
    grants: Mapping[GrantKey, GrantModel] = {}
    deleted: frozenset[str] = frozenset()
    handles: Mapping[str, KeptHandle] = {}

    def hosts_of(self, volume: str) -> tuple[str, ...]:
        """The hosts with a grant of this volume."""
        return tuple(host for name, host in self.grants if name == volume)

    def snapshots_of(self, volume: str) -> tuple[str, ...]:
        """The snapshots of this volume, as it lives now."""
        model = self.volumes.get(volume)
        return tuple(
            key
            for key, snapshot in self.snapshots.items()
            if model is not None
            and snapshot.volume == volume
            and snapshot.volume_born == model.born
        )

    def has_clones(self, kind: SourceKind, key: str, born: int) -> bool:
        """Whether a volume lives that was made from this."""
        origin = Origin(kind, key, born)
        return any(volume.origin == origin for volume in self.volumes.values())

    def with_volume(self, key: str, volume: VolumeModel | None) -> "PrimaryState":
        """The state with this volume, or without the one under ``key``."""
        volumes = {name: model for name, model in self.volumes.items() if name != key}
        if volume is None:
            return msgspec.structs.replace(self, volumes=volumes, deleted=self.deleted | {key})
        return msgspec.structs.replace(self, volumes={**self.volumes, key: volume})

    def with_snapshot(self, key: str, snapshot: SnapshotModel | None) -> "PrimaryState":
        """The state with this snapshot, or without the one under ``key``."""
        if snapshot is None:
            snapshots = {name: model for name, model in self.snapshots.items() if name != key}
            return msgspec.structs.replace(self, snapshots=snapshots)
        return msgspec.structs.replace(self, snapshots={**self.snapshots, key: snapshot})

    def with_grant(self, key: GrantKey, mode: AccessMode | None) -> "PrimaryState":
        """The state with this grant, or without the one under ``key``."""
        if mode is None:
            grants = {name: model for name, model in self.grants.items() if name != key}
            return msgspec.structs.replace(self, grants=grants)
        grant = GrantModel(mode, self.clock)
        return msgspec.structs.replace(self, grants={**self.grants, key: grant})


def good_key(key: str) -> bool:
    """Whether the contract allows this key at all."""
    return bool(key) and "\0" not in key and len(key.encode()) <= KEY_MAX_BYTES


def plain_key(key: str) -> bool:
    """Whether no backend can have an excuse to refuse this key."""
    return _PLAIN.match(key) is not None


def known_host(host: str) -> bool:
    """Whether every testbed knows this host: a store may tell hosts by what it was told of them."""
    return _KNOWN_HOST.match(host) is not None

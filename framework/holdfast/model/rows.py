"""What the catalogue holds: one frozen struct per kind of row; sizes in bytes, ids opaque.

``version`` is the optimistic version: a write names the version it read. A stateful row changes its
state only through an event of its machine. ``columns`` are the fields a catalogue can select by.
"""

import enum
from typing import Any, ClassVar

import msgspec

from holdfast.contract.capabilities import AccessMode, ObjectKind
from holdfast.contract.requests import Role, ScopeKind
from holdfast.model import state_tables
from holdfast.model.owner_and_wish import Owner, Wish
from holdfast.model.state_machine import Machine


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of all rows."""

    table: ClassVar[str]
    columns: ClassVar[tuple[str, ...]] = ()

    id: str
    version: int = 0


class StatefulRow(Row, frozen=True, kw_only=True):
    """A row whose state changes by events of its machine alone."""

    machine: ClassVar[Machine[Any, state_tables.Event]]

    state: enum.StrEnum


class Zone(Row, frozen=True, kw_only=True):
    """A zone: the largest unit that shares nothing with another."""

    table = "zones"
    columns = ("name",)
    name: str


class Pod(Row, frozen=True, kw_only=True):
    """A pod: a rack or a few within a zone."""

    table = "pods"
    columns = ("zone",)
    zone: str
    name: str


class Cluster(Row, frozen=True, kw_only=True):
    """A cluster: hosts that share primary stores."""

    table = "clusters"
    columns = ("pod",)
    pod: str
    name: str


class Host(StatefulRow, frozen=True, kw_only=True):
    """A host that uses volumes."""

    table = "hosts"
    columns = ("cluster", "name", "state")
    machine = state_tables.HOST
    cluster: str
    name: str
    state: state_tables.HostState = state_tables.HostState.DISCONNECTED


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of the placement tree a store serves; ``id`` names the host, cluster or zone."""

    kind: ScopeKind
    id: str


class Store(StatefulRow, frozen=True, kw_only=True):
    """A primary or image store.

    ``config`` and ``capabilities`` are JSON documents: the provider's configuration, and what the
    opened store declared when it was initialized.
    """

    table = "stores"
    columns = ("name", "role", "state")
    machine = state_tables.STORE
    name: str
    role: Role
    provider: str
    scope: Scope
    config: msgspec.Raw
    capabilities: msgspec.Raw = msgspec.Raw(b"null")
    driver_id: str = ""
    identity: str = ""
    """What its place says it is; empty in a store from before, until it is adopted."""
    hosts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    state: state_tables.StoreState = state_tables.StoreState.ALLOCATED


class DiskOffering(Row, frozen=True, kw_only=True):
    """What a user may ask for: a size (``None``: the user's choice), tags and limits."""

    table = "disk_offerings"
    columns = ("name",)
    name: str
    size_bytes: int | None = None
    tags: tuple[str, ...] = ()
    iops_min: int | None = None
    iops_max: int | None = None


class VolumeKind(enum.StrEnum):
    """What a volume is to its machine."""

    ROOT = "root"
    DATA = "data"


class Volume(StatefulRow, frozen=True, kw_only=True):
    """A disk. It keeps its id when it moves; ``key`` names it in its store's driver."""

    table = "volumes"
    columns = ("name", "store", "state")
    machine = state_tables.VOLUME
    name: str
    kind: VolumeKind = VolumeKind.DATA
    store: str
    key: str
    size_bytes: int
    offering: str = ""
    template: str = ""
    driver_id: str = ""
    state: state_tables.VolumeState = state_tables.VolumeState.ALLOCATED


class Snapshot(StatefulRow, frozen=True, kw_only=True):
    """A point in time of a volume, on its primary store."""

    table = "snapshots"
    columns = ("name", "volume", "store", "state")
    machine = state_tables.SNAPSHOT
    name: str
    volume: str
    store: str
    key: str
    size_bytes: int
    driver_id: str = ""
    state: state_tables.ObjectState = state_tables.ObjectState.ALLOCATED


class Template(Row, frozen=True, kw_only=True):
    """A disk image (or ISO) that volumes start from, wherever its copies are.

    ``size_bytes`` and ``content`` (see ``holdfast.data.content_digest``) are of the raw disk.
    """

    table = "templates"
    columns = ("name",)
    name: str
    kind: ObjectKind = ObjectKind.TEMPLATE
    size_bytes: int
    content: str = ""


class Backup(Row, frozen=True, kw_only=True):
    """The content of a snapshot kept in an image store; it outlives volume and snapshot.

    ``size_bytes`` and ``content`` (see ``holdfast.data.content_digest``) are of the raw disk.
    """

    table = "backups"
    columns = ("name", "volume")
    name: str
    volume: str
    snapshot: str
    size_bytes: int
    content: str = ""


class StoredObject(StatefulRow, frozen=True, kw_only=True):
    """A template or backup as located in one image store; ``owner`` is the template's or backup's
    id.
    """

    table = "stored_objects"
    columns = ("owner", "store", "state")
    machine = state_tables.STORED_OBJECT
    owner: str
    kind: ObjectKind
    store: str
    key: str
    size_bytes: int
    sha256: str = ""
    driver_id: str = ""
    state: state_tables.ObjectState = state_tables.ObjectState.ALLOCATED


class VolumeGrant(StatefulRow, frozen=True, kw_only=True):
    """A host's right to use a volume."""

    table = "volume_grants"
    columns = ("volume", "host", "state")
    machine = state_tables.GRANT
    volume: str
    host: str
    mode: AccessMode = AccessMode.EXCLUSIVE
    driver_id: str = ""
    state: state_tables.GrantState = state_tables.GrantState.ALLOCATED


class LedgerState(enum.StrEnum):
    """Where an amount of capacity stands."""

    RESERVED = "reserved"
    COMMITTED = "committed"


class LedgerEntry(Row, frozen=True, kw_only=True):
    """Capacity of a store that is spoken for: reserved at decision, committed at ready, removed at
    release.

    There is one for each ``holder`` (the row the bytes belong to) and store. See
    ``holdfast.capacity.ledger`` for what is counted.
    """

    table = "ledger"
    columns = ("store", "holder")
    store: str
    holder: str
    amount_bytes: int
    entry: LedgerState = LedgerState.RESERVED


class Capacity(Row, frozen=True, kw_only=True):
    """What a store holds and what of it is spoken for: the sum of its ledger entries.

    ``id`` is the store's. ``total_bytes`` is ``None`` where the store is not bounded. What is
    spoken for is *allocated*: sizes that were promised. *Used* is what content occupies by the
    driver's figures, *physical* what its pools have and what of that is taken; both are as old as
    ``refreshed_s`` (seconds since the epoch, 0 for never). ``definition`` is the one by which the
    entries were made.
    """

    table = "capacities"
    total_bytes: int | None = None
    reserved_bytes: int = 0
    committed_bytes: int = 0
    used_bytes: int = 0
    physical_total_bytes: int = 0
    physical_used_bytes: int = 0
    refreshed_s: float = 0.0
    definition: int = 0


class Involved(msgspec.Struct, frozen=True, array_like=True):
    """A row that an operation holds until it ends.

    ``begun`` is the state its machine was put in when the operation was accepted; for a row without
    a machine it is ``new`` (the operation made it), ``going`` (the operation removes it) or
    ``temporary`` (both), and for a row that is only read ``shared``. What a
    failure left behind is charged to the ``principal`` rows; the others are only borrowed. A row
    that was not ``sound`` before is not made so by a clean failure.
    """

    table: str
    id: str
    begun: str
    principal: bool = True
    sound: bool = True


class Operation(StatefulRow, frozen=True, kw_only=True):
    """One accepted piece of work; with its steps it is the journal.

    ``plan`` is the frozen plan as JSON (see ``holdfast.operations.plans``), ``subject`` the row it
    is about. ``parent`` is the operation of whose work this is a part; it has a plan of its own.
    ``left`` names what a dirty failure left behind. The times are for people: seconds since the
    epoch.
    """

    table = "operations"
    columns = ("kind", "subject", "state", "parent")
    machine = state_tables.OPERATION
    kind: str
    subject: str
    plan: msgspec.Raw
    involved: tuple[Involved, ...] = ()
    owner: Owner = Owner()
    parent: str = ""
    wish: Wish = Wish.NONE
    error: str = ""
    left: tuple[str, ...] = ()
    accepted_s: float = 0.0
    ended_s: float = 0.0
    state: state_tables.OperationState = state_tables.OperationState.RUNNING


class Step(StatefulRow, frozen=True, kw_only=True):
    """One step of an operation: its intent when inserted, its outcome (as JSON) when updated.

    ``id`` is the operation's followed by the step's number, so that steps sort in their order.
    """

    table = "steps"
    columns = ("operation",)
    machine = state_tables.STEP
    operation: str
    index: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""
    state: state_tables.StepState = state_tables.StepState.INTENDED


CHECKPOINT_MAX_BYTES = 4096
"""What one checkpoint holds at most."""


class Checkpoint(Row, frozen=True, kw_only=True):
    """How far a step that is being performed has come, in words of its kind.

    Each is a row of its own, numbered from 0 and never rewritten; they go when the step ends.
    ``id`` is the step's followed by the number, so that checkpoints sort in their order.
    """

    table = "checkpoints"
    columns = ("step",)
    step: str
    number: int
    reached: bytes


class Quarantined(Row, frozen=True, kw_only=True):
    """Something scrub found in a store that no row knows; nothing unknown is deleted at once.

    The time is in seconds since the epoch.
    """

    table = "quarantine"
    columns = ("store",)
    store: str
    kind: str
    key: str
    driver_id: str = ""
    size_bytes: int = 0
    first_seen_s: float


class Lease(Row, frozen=True, kw_only=True):
    """Who may act on a volume, snapshot chain, template on a store, or store; ``fence`` only grows.

    ``id`` is the thing leased. A SQLite catalogue has one owner and needs no expiry.
    """

    table = "leases"
    columns = ("owner",)
    owner: str
    fence: int
    expires_s: float | None = None


ROWS: tuple[type[Row], ...] = (
    Zone,
    Pod,
    Cluster,
    Host,
    Store,
    DiskOffering,
    Volume,
    Snapshot,
    Template,
    Backup,
    StoredObject,
    VolumeGrant,
    LedgerEntry,
    Capacity,
    Operation,
    Step,
    Checkpoint,
    Quarantined,
    Lease,
)
"""Every kind of row there is; a catalogue has one table for each."""

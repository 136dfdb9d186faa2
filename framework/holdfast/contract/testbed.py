"""The ports that let the conformance suite own a backend: testbed and inspector.

The testbed owns the backend; driver instances are disposable. The inspector reads the backend by a
path the driver does not use, so that a driver never grades itself.
"""

import asyncio
import enum
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from holdfast.contract.answers import OwnedKind
from holdfast.contract.errors import ErrorKind, Unsupported
from holdfast.contract.requests import Role


class TestbedKind(enum.StrEnum):
    """Where the backend of a testbed runs."""

    __test__ = False

    EMBEDDED = "embedded"
    CONTAINER = "container"
    LIVE = "live"
    SIM = "sim"


class Fault(enum.StrEnum):
    """What a testbed can do to its backend."""

    DOWN = "down"
    """The server is away: nothing answers, and everything comes back as it was."""
    KILLED = "killed"
    """The server's processes are killed inside; they are started again when the fault ends."""
    PAUSED = "paused"
    """The server is frozen: connections open, nothing is answered until the fault ends."""
    CUT_OFF = "cut off"
    """The network drops every packet in both directions."""
    SLOW = "slow"
    """Every answer takes seconds, but less than a deadline."""
    VOID = "void"
    """Requests reach the server, and their answers are lost."""
    LOST = "connections lost"
    """Requests on their way are carried out, and their connections break in place of the answers;
    new connections work."""
    STORAGE_LOST = "storage's connections lost"
    """The same between a server and the storage that it keeps everything in: what changes something
    there is carried out, and the answer to its first asking is lost."""
    FRONT_KILLED = "front killed"
    """The server that the driver talks to is killed, and not the storage under it."""
    STORAGE_KILLED = "storage killed"
    """The storage under the server is killed, and not the server."""
    REMOVED = "removal refused"
    """Somebody else asks all the time that what holds a store be removed. It is not empty, so each
    time that is refused, and nothing may come of it."""
    FULL = "full"
    """The server's disk has no space left."""
    REVOKED = "credentials revoked"
    """The driver's credentials are no longer accepted."""


class HostPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a simulated host is: a network namespace and its address, or this machine itself."""

    network_namespace: str = ""
    address: str = ""


class BackendIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What really answered: attested by the inspector, never by the driver."""

    vendor: str
    product: str
    version: str
    detail: str = ""


class BadConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A configuration that must be refused by ``initialize`` with one of these errors, leaving no
    residue.
    """

    name: str
    config: msgspec.Struct
    expected: tuple[ErrorKind, ...]


class Inspected(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing found in the backend.

    ``digest`` is ``holdfast.data.content_digest`` for volumes and snapshots and the SHA-256 of the
    bytes for objects. ``detail`` holds, for a grant, ``volume|host|mode``, for a snapshot its
    volume's key, for the store its state and hosts: ``name|state|host,host``, for what is
    unreadable the reason; the ``key`` of that and of a leftover says where it is.
    """

    kind: OwnedKind
    key: str
    id: str = ""
    size_bytes: int = 0
    digest: str = ""
    detail: str = ""
    unfinished: bool = False


class Inventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that is in one namespace, by kind and key, and a digest of all that is around it."""

    things: tuple[Inspected, ...]
    outside_digest: str


class Inspector(ABC):
    """Reads one namespace of a backend by another path than the driver's."""

    @abstractmethod
    async def inventory(self) -> Inventory:
        """Everything there is now, also while the driver believes otherwise."""


class Testbed(ABC):
    """A running backend that belongs to the suite."""

    __test__ = False

    kind: TestbedKind
    identity: BackendIdentity
    second_path: str
    """How the inspector reads, in a few words; empty where no second path exists, which the report
    says.
    """
    hosts: tuple[str, ...] = ("host-a", "host-b", "host-c")
    faults: frozenset[Fault] = frozenset()
    data_plane: bool = False
    """Whether handles need the hosts' storage daemons (``holdfast.storage_daemon``)."""

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """The testbed's own tasks, such as those of a proxy, which are not the driver's."""
        return frozenset()

    def place_of(self, host: str) -> HostPlace:
        """Where a simulated host is; by default this machine itself."""
        return HostPlace()

    @abstractmethod
    def config(self, role: Role, namespace: str) -> msgspec.Struct:
        """A good configuration for a namespace of its own, with the provider's secret fields filled
        in.

        Two are in use at once where the suite works in two stores: the second's name then begins
        with the first's, and one host may be attached to both.
        """

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Configurations that ``initialize`` must refuse."""
        return ()

    @abstractmethod
    def inspector(self, role: Role, namespace: str) -> Inspector:
        """The inspector of a namespace."""

    def inject(self, fault: Fault) -> AbstractAsyncContextManager[None]:
        """Keep a fault in force inside the context."""
        raise Unsupported(f"this testbed cannot put the fault {fault} in force")

    def request_seen(self, count: int = 1) -> Awaitable[None] | None:
        """Resolve once the driver's ``count``-th request from now on is on its way to the server.

        It is armed by the call, not by awaiting it. ``None`` where the testbed cannot tell, because
        nothing stands between driver and backend.
        """
        return None

    @abstractmethod
    async def remove(self, role: Role, namespace: str) -> None:
        """Remove whatever is left of a namespace."""


TestbedFactory = Callable[[str], AbstractAsyncContextManager[Testbed]]
"""Starts a testbed; the argument is the run id, with which everything it creates is tagged.

The suite starts it in a process of its own, which a crash of the driver leaves alone, unless it is
an ``InsideTestbed``.
"""


class InsideTestbed(msgspec.Struct, frozen=True):
    """A factory whose backend lives in the driver's process, such as one in memory.

    What crashes there is an incarnation of the driver and not the process, with which the backend
    would be gone.

    Args:
        start: starts the testbed.
        runtime: ``module:factory`` of the runtime that it needs, whose loop it runs on, as
            ``holdfast.concurrency.named_runtimes`` loads it; empty for real time.
    """

    start: TestbedFactory
    runtime: str = ""

    def __call__(self, run: str) -> AbstractAsyncContextManager[Testbed]:
        """Start the testbed."""
        return self.start(run)

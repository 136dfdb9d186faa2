"""The ports that a driver's author implements; the suite checks each bullet under *Behaviour*.

Optional verbs raise ``Unsupported`` by default. Drivers check no capabilities, keep no truth in
memory, start no background task and never touch what is outside their namespace. Every verb may
raise any ``DriverError``; nothing else leaves a driver.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.errors import ConfigurationError, Unsupported
from holdfast.contract.handles import Handle
from holdfast.contract.identity import Opened
from holdfast.contract.live_store import LiveStore
from holdfast.contract.requests import CallContext, Role, ScopeKind
from holdfast.contract.testbed import TestbedFactory, TestbedKind


class Driver(Opened, ABC):
    """What both roles share."""

    @abstractmethod
    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        """Figures of the store, or of one volume (Requires ``stats.volume``).

        Behaviour:
        - 0 <= used <= total and allocated >= 0, in bytes, at every moment.
        - allocated is what is promised: all volumes' sizes, and no more than those of snapshots.
        - of a volume, total and allocated are its size, and what was flushed to it is in use.
        """

    @abstractmethod
    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        """Whether the store can work now.

        Behaviour:
        - down while the backend is, or another store is there: told in time, with what failed.
        """

    @abstractmethod
    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        """What became of a call whose answer was lost; ``ctx`` names the lost call's operation."""

    @abstractmethod
    def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        """All that the namespace owns, also what is unfinished; what lasts meanwhile is in it."""


class PrimaryDriver(Driver):
    """Disks: volumes, snapshots and who may use them."""

    @property
    @abstractmethod
    def capabilities(self) -> PrimaryCapabilities:
        """A plain value, equal at every call, in every process, for equal configurations."""

    @abstractmethod
    async def pools(self, ctx: CallContext, request: requests.ListPools) -> answers.PoolList:
        """The store's pools."""

    @abstractmethod
    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        """Create a volume of at least ``size_bytes``.

        Behaviour:
        - the size is rounded up to the granularity, and the true size returned.
        - the same key with compatible arguments (equal rounded size and source) answers with the
          same id.
        - the same key with other arguments is ``Conflict`` and touches nothing.
        - a source larger than ``size_bytes`` is ``OutOfRange``; a smaller one is continued with
          zeroes.
        - a missing source is ``NotFound``; a store in maintenance is ``Precondition``.
        """

    @abstractmethod
    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> answers.VolumeInfo:
        """The volume under a key, or ``NotFound``."""

    @abstractmethod
    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> answers.VolumePage:
        """Volumes in byte order of their keys, by pages; a token never issued is ``Invalid``."""

    @abstractmethod
    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        """Delete a volume.

        Behaviour:
        - an absent one succeeds.
        - a granted one is ``InUse`` (unless ``delete_in_use`` is ``caller_guards``).
        - one with snapshots or clones follows the declared lifetimes: independent, or ``InUse``.
        """

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        """Make a volume at least ``size_bytes`` large (Requires ``resize``).

        Behaviour:
        - already that large: success, unchanged, with the true size. The new tail reads zeroes.
        - a store in maintenance may refuse to grow one (``Precondition``).
        - with ``shrink`` (Requires ``resize.shrink``) the volume becomes exactly the rounded size.
        - a granted volume grows or shrinks only where ``resize.online``; else ``InUse``.
        """
        raise Unsupported("this driver cannot resize volumes", object=request.key)

    async def modify_volume(
        self, ctx: CallContext, request: requests.ModifyVolume
    ) -> answers.VolumeInfo:
        """Set limits (Requires ``qos``)."""
        raise Unsupported("this driver cannot limit volumes", object=request.key)

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        """Return a volume to one of its snapshots: bytes and size (Requires ``snapshot.revert``).

        Behaviour:
        - a granted volume is ``InUse``; a snapshot of another volume is ``Invalid``.
        """
        raise Unsupported("this driver cannot revert volumes", object=request.key)

    async def copy_volume(
        self, ctx: CallContext, request: requests.CopyVolume
    ) -> answers.VolumeInfo:
        """Copy a volume inside the backend (Requires ``copy``)."""
        raise Unsupported("this driver cannot copy volumes natively", object=request.key)

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        """Keep the volume's bytes as they are now (Requires ``snapshot``).

        Behaviour:
        - everything flushed before the call is in it; nothing written after the answer is.
        - the same key and volume answers with the same snapshot; another volume is ``Conflict``.
        """
        raise Unsupported("this driver cannot take snapshots", object=request.key)

    async def get_snapshot(
        self, ctx: CallContext, request: requests.GetSnapshot
    ) -> answers.SnapshotInfo:
        """The snapshot under a key, or ``NotFound`` (Requires ``snapshot``)."""
        raise Unsupported("this driver has no snapshots", object=request.key)

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        """Snapshots in byte order of their keys (Requires ``snapshot``)."""
        raise Unsupported("this driver has no snapshots")

    async def delete_snapshot(
        self, ctx: CallContext, request: requests.DeleteSnapshot
    ) -> answers.Gone:
        """Delete a snapshot; an absent one succeeds (Requires ``snapshot``).

        Behaviour:
        - its volume and all other snapshots keep their bytes.
        - with clones it follows ``clone.lifetime``.
        """
        raise Unsupported("this driver has no snapshots", object=request.key)

    @abstractmethod
    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        """Let an attached host use a volume.

        Behaviour:
        - the same mode again answers with the same grant and counts nothing; another mode is
          ``Conflict``.
        - an exclusive grant refuses every other host, and is refused while another host has one:
          ``InUse``.
        - a host that is not attached is ``NotFound``; an undeclared mode is ``Unsupported``.
        """

    @abstractmethod
    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> answers.Gone:
        """Take one host's grant back; absent succeeds. Handles opened under it stop working."""

    @abstractmethod
    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        """The handle of a granted volume; without a grant ``Denied``, without the volume
        ``NotFound``.
        """


class ImageDriver(Driver):
    """Objects: templates, ISOs, snapshots and volumes kept as backups."""

    @property
    @abstractmethod
    def capabilities(self) -> ImageCapabilities:
        """A plain value, equal at every call, in every process, for equal configurations."""

    @abstractmethod
    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> answers.UploadInfo:
        """Open an upload.

        Behaviour:
        - the same upload key with equal arguments answers the same; with others it is ``Conflict``.
        """

    @abstractmethod
    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        """Store one part.

        Behaviour:
        - parts come in any order; the same number again replaces the part.
        - a number outside 1..``parts_max`` or data over ``part_max_bytes`` is ``OutOfRange``.
        - an unknown upload is ``NotFound``.
        """

    @abstractmethod
    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        """Join the parts by number and make the object visible at once and whole.

        Behaviour:
        - a missing, foreign or repeated part is ``Invalid``, and the upload stays open.
        - a wrong size or SHA-256 is ``Corrupt``; what was under the key before is untouched.
        - repeated after success it answers with the same object; parts not named are dropped.
        - no part at all makes an object of 0 bytes.
        """

    @abstractmethod
    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        """Drop an upload and its parts; an absent one succeeds."""

    @abstractmethod
    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        """Read an object or a range of it; ``NotFound`` when absent, ``Corrupt`` when damaged."""

    @abstractmethod
    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        """A read-only handle of an object."""

    @abstractmethod
    async def head(self, ctx: CallContext, request: requests.HeadObject) -> answers.ObjectInfo:
        """What is known of an object, or ``NotFound``."""

    @abstractmethod
    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        """Objects in byte order of their keys, by pages; a token never issued is ``Invalid``."""

    @abstractmethod
    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> answers.Gone:
        """Delete an object and everything it is made of; an absent one succeeds."""

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        """Copy an object inside the backend (Requires ``copy``), whole and independent.

        Behaviour:
        - the copy has an id of its own, and the source's bytes, kind and content type; without a
          source it is ``NotFound``, in maintenance ``Precondition``.
        - a target that is the same already is the answer; another one is ``Conflict``.
        """
        raise Unsupported("this driver cannot copy objects natively", object=request.key)

    async def temporary_url(
        self, ctx: CallContext, request: requests.TemporaryUrl
    ) -> answers.UrlInfo:
        """An address that gives the whole object without credentials (Requires ``url``).

        Behaviour:
        - only ``GET`` works, of that object and for ``expires_s`` seconds, rounded up; neither
          another address nor closing the driver ends it. Absent is ``NotFound``.
        """
        raise Unsupported("this driver has no temporary addresses", object=request.key)


class LifeCycle(Opened, ABC):
    """How a place becomes a store, serves hosts, rests and is given back."""

    @abstractmethod
    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        """Make the place a store.

        Behaviour:
        - the same name and identity again answer with the same id; with others it is ``Conflict``.
        - the identity is kept in the place, and every ``StoreInfo`` repeats it.
        - a place that cannot be used is ``Invalid`` (or ``Unauthenticated``, ``Denied``), with no
          residue.
        """

    @abstractmethod
    async def get(self, ctx: CallContext) -> answers.StoreInfo:
        """The store as the backend knows it, or ``NotFound`` before ``initialize``."""

    @abstractmethod
    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        """Make the store usable from a host; past ``hosts_max`` it is ``Exhausted``."""

    @abstractmethod
    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> answers.StoreInfo:
        """End a host's use; an unattached one succeeds, one with grants is ``InUse``."""

    @abstractmethod
    async def maintain(
        self, ctx: CallContext, request: requests.MaintainStore
    ) -> answers.StoreInfo:
        """Stop allocation: creating volumes, snapshots, grants and uploads is ``Precondition``."""

    @abstractmethod
    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> answers.StoreInfo:
        """Resume allocation; a store in service stays as it is."""

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> answers.StoreInfo:
        """Give a store from before its identity; again it stays as it is."""
        raise Unsupported("this driver cannot give a store an identity")

    @abstractmethod
    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> answers.Gone:
        """Give the place back; ``InUse`` while anything lives in it; an absent store succeeds."""


class HostListener(ABC):
    """What a provider does when a host comes or goes."""

    @abstractmethod
    async def host_connected(self, ctx: CallContext, host: str) -> None:
        """The host can reach the store again: make what it was granted usable."""

    @abstractmethod
    async def host_disconnected(self, ctx: CallContext, host: str) -> None:
        """The host is gone; nothing it held may be assumed released."""


class Provider(ABC):
    """A plug-in's root, found by the entry-point group ``holdfast.providers``; constructed without
    arguments.
    """

    name: ClassVar[str]
    roles: ClassVar[tuple[Role, ...]]
    scopes: ClassVar[tuple[ScopeKind, ...]]
    config_type: ClassVar[type[msgspec.Struct]]
    """A frozen struct that forbids unknown fields; its ``namespace`` field bounds what the driver
    may touch.
    """
    secret_fields: ClassVar[tuple[str, ...]] = ()

    def primary(self, config: msgspec.Struct) -> AbstractAsyncContextManager[PrimaryDriver]:
        """Open a driver bound to one primary store."""
        raise Unsupported(f"provider {self.name} has no primary stores")

    def image(self, config: msgspec.Struct) -> AbstractAsyncContextManager[ImageDriver]:
        """Open a driver bound to one image store."""
        raise Unsupported(f"provider {self.name} has no image stores")

    @abstractmethod
    def life_cycle(
        self, config: msgspec.Struct, role: Role
    ) -> AbstractAsyncContextManager[LifeCycle]:
        """Open the life cycle of one store."""

    def host_listener(self, config: msgspec.Struct) -> HostListener | None:
        """The listener for hosts that come and go."""
        return None

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        """The testbeds this provider can start; the first is the default."""
        return {}

    def testbed_variants(self) -> Mapping[str, TestbedFactory]:
        """Further testbeds of a kind, each under ``KIND:VARIANT``, such as ``container:gateway``.

        A variant runs another server of the same kind for the same driver; it is started only where
        it is asked for by that name.
        """
        return {}

    def live_testbed(self, store: LiveStore) -> TestbedFactory:
        """A testbed on a real store that somebody lends, described in a file.

        Raises:
            ConfigurationError: the description lacks something, or the provider cannot work so.
        """
        raise ConfigurationError(
            f"provider {self.name} cannot be certified on a real store: nothing could look into it "
            "by another path than the driver's"
        )

"""Plans: what the suite will do to a driver, as data, fixed before the driver is touched.

A plan is a function of (suite version, seed, capabilities) alone. Its steps are the driver requests
themselves, since keys are the caller's to choose, and the few things only a harness does. Each plan
runs in a namespace of its own.
"""

import enum

import msgspec

from holdfast.capabilities import ObjectKind
from holdfast.requests import (
    AttachHost,
    CancelMaintenance,
    DeleteStore,
    DetachHost,
    ImageRequest,
    InitializeStore,
    MaintainStore,
    PrimaryRequest,
    Request,
    Role,
)
from holdfast.testbed import Fault


class HarnessStep(Request, frozen=True, kw_only=True):
    """The base of steps that are no driver verb."""


class WriteBlocks(HarnessStep, frozen=True, kw_only=True, tag="write_blocks"):
    """Through the host's handle: write stamped blocks ``first..first+count-1``, then flush."""

    volume: str
    host: str
    first: int
    count: int
    generation: int


class ReadBlocks(HarnessStep, frozen=True, kw_only=True, tag="read_blocks"):
    """Through the host's handle: read and decode blocks ``first..first+count-1``."""

    volume: str
    host: str
    first: int
    count: int


class ReadStale(HarnessStep, frozen=True, kw_only=True, tag="read_stale"):
    """Like ``ReadBlocks``, but through the handle that was opened last for this volume and host,
    also when the grant is gone by now; a correct driver made it useless.
    """

    volume: str
    host: str
    first: int
    count: int


class CreateFromData(HarnessStep, frozen=True, kw_only=True, tag="create_from_data"):
    """``create_volume`` from a ``DataSource``: the handle of a granted volume, opened for it."""

    key: str
    size_bytes: int
    volume: str
    host: str


class PutObject(HarnessStep, frozen=True, kw_only=True, tag="put_object"):
    """The framework's put helper over the upload verbs, with content expanded from a number."""

    upload: str
    key: str
    kind: ObjectKind
    content_type: str
    content: int
    size_bytes: int


class SendPart(HarnessStep, frozen=True, kw_only=True, tag="send_part"):
    """``upload_part`` with content expanded from a number."""

    upload: str
    number: int
    content: int
    size_bytes: int


class FinishUpload(HarnessStep, frozen=True, kw_only=True, tag="finish_upload"):
    """``complete_upload`` of the parts with these numbers, as last acknowledged.

    A wrong size or digest is asked for by ``size_error_bytes`` and ``wrong_digest``; a part that
    was
    never sent is given the tag ``never-sent``.
    """

    upload: str
    numbers: tuple[int, ...]
    size_error_bytes: int = 0
    wrong_digest: bool = False


class InspectStore(HarnessStep, frozen=True, kw_only=True, tag="inspect_store"):
    """``LifeCycle.get``."""


class InitializeBad(HarnessStep, frozen=True, kw_only=True, tag="initialize_bad"):
    """``initialize`` with each of the testbed's bad configurations in turn."""


class WalkVolumes(HarnessStep, frozen=True, kw_only=True, tag="walk_volumes"):
    """List all volumes with this page size."""

    limit: int


class WalkObjects(HarnessStep, frozen=True, kw_only=True, tag="walk_objects"):
    """List all objects with this page size."""

    prefix: str
    delimiter: str
    limit: int


class MakeAddress(HarnessStep, frozen=True, kw_only=True, tag="make_address"):
    """``temporary_url``; what it answers is kept in the worker under the name ``address``."""

    address: str
    key: str
    expires_s: float


class Method(enum.StrEnum):
    """What is tried with an address; only ``GET`` may work."""

    GET = "GET"
    PUT = "PUT"
    DELETE = "DELETE"


class FetchAddress(HarnessStep, frozen=True, kw_only=True, tag="fetch_address"):
    """One request without credentials to an address that was made before.

    With ``path_of`` it goes to the path of that address, with the query of this one.
    """

    address: str
    method: Method = Method.GET
    path_of: str = ""


class FetchExpired(HarnessStep, frozen=True, kw_only=True, tag="fetch_expired"):
    """Wait until an address must have expired, and try it, for a while if it still works."""

    address: str


class Reopen(HarnessStep, frozen=True, kw_only=True, tag="reopen"):
    """Close the driver and open another on the same store."""


class InjectFault(HarnessStep, frozen=True, kw_only=True, tag="inject_fault"):
    """Put a fault in force until ``HealFault``."""

    fault: Fault


class HealFault(HarnessStep, frozen=True, kw_only=True, tag="heal_fault"):
    """End the fault that is in force."""


StoreStep = (
    InitializeStore | AttachHost | DetachHost | MaintainStore | CancelMaintenance | DeleteStore
)
"""The life cycle of a store, but for ``adopt``: no suite makes a store from before."""
Step = (
    PrimaryRequest
    | ImageRequest
    | StoreStep
    | WriteBlocks
    | ReadBlocks
    | ReadStale
    | CreateFromData
    | PutObject
    | SendPart
    | FinishUpload
    | InspectStore
    | InitializeBad
    | WalkVolumes
    | WalkObjects
    | MakeAddress
    | FetchAddress
    | FetchExpired
    | Reopen
    | InjectFault
    | HealFault
)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A list of steps for one fresh namespace.

    With ``ready`` the executor first initializes the store under ``store`` and attaches ``hosts``;
    without it the plan's own steps do. ``origin`` names the scenario, or ``random``.
    """

    id: str
    role: Role
    origin: str
    store: str
    hosts: tuple[str, ...]
    ready: bool
    steps: tuple[Step, ...]


def preparation(plan: Plan) -> tuple[Step, ...]:
    """What a ready plan's executor does first; its steps have the indices -1, -2, ... in order."""
    if not plan.ready:
        return ()
    return (
        InitializeStore(name=plan.store),
        *(AttachHost(host=host) for host in plan.hosts),
    )


def encode_plan(plan: Plan) -> bytes:
    """The canonical bytes of a plan: JSON with keys in a fixed order."""
    return msgspec.json.encode(plan, order="sorted")


def decode_plan(data: bytes) -> Plan:
    """The plan in these bytes; ``msgspec.ValidationError`` when they are no plan."""
    return msgspec.json.decode(data, type=Plan)

"""Plans: what the suite will do to a driver, as data, fixed before the driver is touched.

A plan is a function of (suite version, profile, seed, capabilities, faults of the testbed) alone.
Its steps are the driver requests themselves, since keys are the caller's to choose, and the few
things only a harness does. Each plan runs in a namespace of its own, or in two beside each other.
"""

import msgspec

from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.requests import (
    AbortUpload,
    AttachHost,
    CancelMaintenance,
    CopyObject,
    CopyVolume,
    CreateSnapshot,
    CreateVolume,
    DeleteObject,
    DeleteSnapshot,
    DeleteStore,
    DeleteVolume,
    DetachHost,
    Grant,
    ImageRequest,
    InitializeStore,
    MaintainStore,
    ModifyVolume,
    PrimaryRequest,
    Request,
    ResizeVolume,
    RevertVolume,
    Revoke,
    Role,
    StartUpload,
)
from holdfast.contract.testbed import Fault
from holdfast_conformance.address_steps import FetchAddress, FetchExpired, MakeAddress
from holdfast_conformance.byte_steps import (
    DiscardBytes,
    KeepHandle,
    ReadBytes,
    WriteBytes,
    WriteRanges,
)
from holdfast_conformance.harness_step import HarnessStep
from holdfast_conformance.list_steps import NextPage, TakePage, WalkSnapshots


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
    """``create_volume`` from a ``DataSource``: the handle of a granted volume, opened for it.

    With ``stale`` it is the handle that was opened last for this volume and host, also when the
    grant is gone by now. Of what is behind it the first ``length_bytes`` are named; 0 is all.
    """

    key: str
    size_bytes: int
    volume: str
    host: str
    length_bytes: int = 0
    stale: bool = False


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


class OlderPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part as it was sent once: its number, and what it held then."""

    number: int
    content: int
    size_bytes: int


class FinishUpload(HarnessStep, frozen=True, kw_only=True, tag="finish_upload"):
    """``complete_upload`` of the parts with these numbers, as last acknowledged.

    A wrong size or digest is asked for by ``size_error_bytes`` and ``wrong_digest``; a part that
    was never sent is given the tag ``never-sent``. Those in ``older`` are named as they were
    acknowledged when they held something else.
    """

    upload: str
    numbers: tuple[int, ...]
    older: tuple[OlderPart, ...] = ()
    size_error_bytes: int = 0
    wrong_digest: bool = False


class InspectStore(HarnessStep, frozen=True, kw_only=True, tag="inspect_store"):
    """``LifeCycle.get``."""


class InitializeBad(HarnessStep, frozen=True, kw_only=True, tag="initialize_bad"):
    """``initialize`` with each of the testbed's bad configurations in turn."""


class Adopt(HarnessStep, frozen=True, kw_only=True, tag="adopt_store"):
    """``LifeCycle.adopt`` of the store that is there, with the id that it says of itself."""

    identity: str


class WalkVolumes(HarnessStep, frozen=True, kw_only=True, tag="walk_volumes"):
    """List all volumes with this page size."""

    limit: int


class WalkObjects(HarnessStep, frozen=True, kw_only=True, tag="walk_objects"):
    """List all objects with this page size."""

    prefix: str
    delimiter: str
    limit: int


class Reopen(HarnessStep, frozen=True, kw_only=True, tag="reopen"):
    """Close the driver and open another on the same store.

    With ``identity`` it is told that it must be this one, as whoever keeps a catalogue tells it,
    and what people call it.
    """

    identity: str = ""
    name: str = ""


class UseDriver(HarnessStep, frozen=True, kw_only=True, tag="use_driver"):
    """Go on through another driver that is open on the same store, and stays open beside the first.

    Number 0 is the one that a plan begins with.
    """

    number: int


class UseStore(HarnessStep, frozen=True, kw_only=True, tag="use_store"):
    """Go on in another store of the same testbed, which nobody has made before the plan does.

    Number 0 is the one that a plan begins in. Drivers, handles, addresses and pages are of the
    store that they were opened in.
    """

    number: int


class Wait(HarnessStep, frozen=True, kw_only=True, tag="wait"):
    """Let time pass on the worker's loop, with the driver open and nothing asked of it."""

    seconds: float


class InjectFault(HarnessStep, frozen=True, kw_only=True, tag="inject_fault"):
    """Put a fault in force until ``HealFault``."""

    fault: Fault


class HealFault(HarnessStep, frozen=True, kw_only=True, tag="heal_fault"):
    """End the fault that is in force."""


ProbedCall = (
    CreateVolume
    | DeleteVolume
    | ResizeVolume
    | ModifyVolume
    | RevertVolume
    | CopyVolume
    | CreateSnapshot
    | DeleteSnapshot
    | Grant
    | Revoke
    | StartUpload
    | SendPart
    | FinishUpload
    | AbortUpload
    | DeleteObject
    | CopyObject
)
"""The calls that change something, and so can be probed; parts as the steps that send them."""


class ProbeCall(HarnessStep, frozen=True, kw_only=True, tag="probe"):
    """``probe`` of a call: of the last equal one that the plan made, or of one it never made."""

    call: ProbedCall


def subject_of(step: Request) -> Request:
    """The request that a step is about: the call which it probes or makes late, the list which it
    pages.
    """
    match step:
        case ProbeCall(call=call) | LateCall(call=call):
            return call
        case TakePage(of=of) | NextPage(of=of):
            return of
        case _:
            return step


StoreStep = (
    InitializeStore | AttachHost | DetachHost | MaintainStore | CancelMaintenance | DeleteStore
)
"""The life cycle of a store, but for ``adopt``: no suite makes a store from before."""
FencedCall = ProbedCall | AttachHost | DetachHost | MaintainStore | CancelMaintenance | DeleteStore
"""The calls that a backend with fences refuses when they come late: a place that is no store keeps
none.
"""


class GiveUp(HarnessStep, frozen=True, kw_only=True, tag="give_up"):
    """Begin a call here and give it up: a ``LateCall`` that names this moment is what comes of it.

    Nothing is asked of the driver. Of two moments of one name the latest counts.
    """

    name: str


class LateCall(HarnessStep, frozen=True, kw_only=True, tag="late"):
    """A call that was given up, and acts now.

    It has the fence of the moment that ``given_up`` names, and a lower one than all others of the
    plan where it names none, or where the call is one on the store itself. With ``former_owner`` it
    is of an owner of the catalogue before the one whose calls the plan's are, and lower than all.
    A plan without a late call makes all of its calls without fences.
    """

    call: FencedCall
    former_owner: bool = False
    given_up: str = ""


Call = (
    PrimaryRequest | ImageRequest | StoreStep | WriteBlocks | WriteBytes | SendPart | FinishUpload
)
"""What can be done at once with something else."""


class Together(HarnessStep, frozen=True, kw_only=True, tag="together"):
    """Calls that are made at once, each by a client of its own, and waited for.

    With ``apart`` every second call goes through the other driver of ``UseDriver``. Each begins
    ``stagger`` turns of the event loop after the one before it, so that they meet elsewhere.
    """

    steps: tuple[Call, ...]
    apart: bool = False
    stagger: int = 0


Step = (
    PrimaryRequest
    | ImageRequest
    | StoreStep
    | WriteBlocks
    | ReadBlocks
    | ReadStale
    | WriteBytes
    | WriteRanges
    | ReadBytes
    | DiscardBytes
    | KeepHandle
    | CreateFromData
    | PutObject
    | SendPart
    | FinishUpload
    | InspectStore
    | InitializeBad
    | Adopt
    | WalkVolumes
    | WalkObjects
    | WalkSnapshots
    | TakePage
    | NextPage
    | ProbeCall
    | GiveUp
    | LateCall
    | MakeAddress
    | FetchAddress
    | FetchExpired
    | Reopen
    | UseDriver
    | UseStore
    | Wait
    | Together
    | InjectFault
    | HealFault
)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A list of steps for a fresh namespace, and for a neighbour that is none before.

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


def namespaces_of(plan: Plan, namespace: str) -> tuple[str, ...]:
    """Where a plan works that begins in this namespace."""
    numbers = sorted({step.number for step in plan.steps if isinstance(step, UseStore)} | {0})
    return tuple(namespace_of(namespace, number) for number in numbers)


def namespace_of(namespace: str, number: int) -> str:
    """The namespace of one of a plan's stores; a neighbour's begins as that of the first one."""
    return f"{namespace}-{number}" if number else namespace


def calls_of(step: Step) -> tuple[Step, ...]:
    """The calls that a step makes: those of ``Together``, else the step alone."""
    return step.steps if isinstance(step, Together) else (step,)


def subjects_of(step: Step) -> tuple[Request, ...]:
    """The requests that a step is about: of its calls, or of the call which it probes."""
    return tuple(map(subject_of, calls_of(step)))


def encode_plan(plan: Plan) -> bytes:
    """The canonical bytes of a plan: JSON with keys in a fixed order."""
    return msgspec.json.encode(plan, order="sorted")


def decode_plan(data: bytes) -> Plan:
    """The plan in these bytes; ``msgspec.ValidationError`` when they are no plan."""
    return msgspec.json.decode(data, type=Plan)

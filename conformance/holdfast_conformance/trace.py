"""Traces: what happened when a plan was executed, complete enough to judge it without the driver.

A trace file is JSON Lines: ``Started``, then for each executed step ``Stepped`` and ``Observed``,
then ``Ended``. A step that never answered is followed by ``Broken`` instead, and the plan stops
there.
"""

import enum

import msgspec

from holdfast.contract.answers import (
    Answer,
    HealthInfo,
    ObjectData,
    ObjectPage,
    OwnedThing,
    PoolList,
    ProbeResult,
    SnapshotPage,
    StatsInfo,
    VolumePage,
)
from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.handles import Handle
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault, Inspected
from holdfast_conformance.plan import (
    Plan,
)


class Record(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """The base of everything written into a trace; what has its default value is left out."""


class BlockRead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One block as read: where it was found and what its stamp says.

    ``state`` is ``zero``, ``stamp``, ``foreign`` (a whole stamp of another plan) or ``garbage``;
    for stamps the next three fields count, for garbage, which may be parts of several stamps, the
    digest: hexadecimal digits of ``holdfast.data.block_hash``.
    """

    number: int
    state: str
    volume: str = ""
    stamped_number: int = 0
    generation: int = 0
    digest: str = ""


class BlocksRead(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="info", tag="blocks"
):
    """The answer of ``ReadBlocks``; also the handle's size."""

    size_bytes: int
    blocks: tuple[BlockRead, ...]


class BytesRead(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="info", tag="bytes"
):
    """Bytes that were read through a handle: the handle's size, their number and XXH3-128."""

    size_bytes: int
    length_bytes: int
    digest: str


class Ok(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="info", tag="ok"):
    """A harness step with nothing to report succeeded."""


class HandleRead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was read through an object's handle: the whole, and ``payload.middle`` of it.

    ``problem`` is the error that reading ended with, or empty.
    """

    size_bytes: int
    sha256: str = ""
    middle_sha256: str = ""
    problem: str = ""


class HandleAnswer(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="info",
    tag="handle",
):
    """The answer of ``open`` and ``open_object``, without what proves the right to read.

    An object's handle was also read through.
    """

    handle: Handle
    read: HandleRead | None = None


class AddressMade(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="info", tag="address"
):
    """The answer of ``temporary_url`` without the address; ``problem`` says why it is none."""

    problem: str = ""


class FetchResult(enum.StrEnum):
    """What came of a request to a temporary address."""

    GIVEN = "given"
    """The server did what was asked."""
    REFUSED = "refused"
    FAILED = "failed"
    """No answer, or one that is neither content nor a refusal."""
    NOTHING = "nothing"
    """There was no address to try."""


class Fetched(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="info",
    tag="fetched",
):
    """The answer of a request to an address; size and digest are of what was given for ``GET``."""

    result: FetchResult
    status: int = 0
    length_bytes: int = 0
    sha256: str = ""
    detail: str = ""


class ObjectBytes(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="info", tag="object_bytes"
):
    """The answer of ``get`` with the bytes replaced by their length and SHA-256."""

    data: ObjectData
    length_bytes: int
    sha256: str


class Enumerated(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="info", tag="enumerated"
):
    """The answer of ``enumerate``."""

    things: tuple[OwnedThing, ...]


class Walked(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="info", tag="walked"
):
    """The answer of a walk over all pages: the keys of each page, in order, and the prefixes."""

    pages: tuple[tuple[str, ...], ...]
    prefixes: tuple[tuple[str, ...], ...] = ()


class Continued(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="info", tag="continued"
):
    """The answer of ``NextPage``: what the page showed whose token was used, and the next one."""

    taken: tuple[str, ...]
    page: VolumePage | SnapshotPage | ObjectPage


class Refusals(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="info", tag="refusals"
):
    """The answer of ``InitializeBad``: for each configuration its name, what came, what was
    expected.
    """

    rows: tuple[tuple[str, str, tuple[ErrorKind, ...]], ...]


Reply = (
    Answer
    | StatsInfo
    | HealthInfo
    | PoolList
    | VolumePage
    | SnapshotPage
    | ObjectPage
    | BlocksRead
    | BytesRead
    | Ok
    | HandleAnswer
    | AddressMade
    | Fetched
    | ObjectBytes
    | Enumerated
    | Walked
    | Continued
    | Refusals
    | ProbeResult
)


class Returned(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="returned"):
    """The call succeeded."""

    reply: Reply


class Raised(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="raised"):
    """It failed with a driver error; ``escaped`` names the exception the guard had to type."""

    kind: ErrorKind
    verb: str
    object: str
    cause: str
    final: bool
    detail: str = ""
    escaped: str = ""


class Nonsense(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="nonsense"):
    """The call answered with something that is no answer of this verb."""

    what: str


CHANGED = "the capabilities it declares"
"""How a ``Nonsense`` begins that tells of other capabilities than before, and of no answer."""

Outcome = Returned | Raised | Nonsense


class Started(Record, frozen=True, kw_only=True, tag="started"):
    """The plan, and what it is judged against: everything a judge needs to know beforehand."""

    provider: str
    testbed: str
    capabilities: PrimaryCapabilities | ImageCapabilities
    plan: Plan
    faults: tuple[Fault, ...] = ()
    """The faults that the testbed can put in force; plans that need others are not run."""


FIRST_CLIENT = 0
"""Who makes the calls of a plan; another number is whoever goes on after a call without a return.
"""


class Stepped(Record, frozen=True, kw_only=True, tag="stepped"):
    """One call of an executed step: the only one, or one of those that ``Together`` makes at once.

    Times are seconds: virtual on the loop's clock, real on the machine's.

    ``client`` made the call, between the instants ``invoked_s`` and ``returned_s`` of the worker's
    loop, both included: calls whose intervals meet may have been carried out in any order. A client
    makes one call at a time. In real time that clock is the machine's monotonic one, which all
    workers of a machine share.

    Calls at once have clients 0, 1, ... in the order of their step, and the record of the first
    tells what was noticed during all of them. ``moved_bytes`` counts payload in both directions.
    During preparation ``index`` is -1 for
    ``initialize`` and -2, -3, ... for ``attach`` of each of the plan's hosts in turn.
    """

    index: int
    client: int
    outcome: Outcome
    invoked_s: float
    returned_s: float
    virtual_s: float
    real_s: float
    deadline_s: float
    moved_bytes: int = 0
    stdout: str = ""
    forked: bool = False
    tasks_left: int = 0
    """How many tasks the call started on the event loop that outlived it."""
    canaries: tuple[str, ...] = ()
    """Where a planted secret was seen during this step: ``message``, ``answer``, ``stdout``,
    ``stderr``, ``log``, ``argv``.
    """


class Observed(Record, frozen=True, kw_only=True, tag="observed"):
    """The backend after a step, read by the inspector; ``None`` means unchanged since the last one.

    ``blocks`` are the blocks of every granted volume, read through its host's handle:
    ``(volume, host, blocks)``. All are read, and those that read as zeroes are left out.
    ``unreadable`` are the granted volumes where that failed: ``(volume, host, cause)``. Both are
    empty while a fault is in force.
    """

    index: int
    things: tuple[Inspected, ...] | None
    outside_digest: str
    blocks: tuple[tuple[str, str, BlocksRead], ...] = ()
    unreadable: tuple[tuple[str, str, str], ...] = ()


class BrokenKind(enum.StrEnum):
    """How a driver can take its process with it."""

    HUNG = "hung"
    DIED = "died"
    BASE_EXCEPTION = "base_exception"


class Broken(Record, frozen=True, kw_only=True, tag="broken"):
    """The driver's process had to be replaced at this step; ``detail`` says what was seen.

    What ``client`` had called has no return: it may take effect at any time, or never, and whoever
    goes on calls as another client.
    """

    index: int
    client: int
    how: BrokenKind
    detail: str


class Ended(Record, frozen=True, kw_only=True, tag="ended"):
    """The plan is over and everything the model knew was deleted through the driver.

    ``left`` is what the inspector still found, ``enumerated`` what the driver still owned,
    ``failures`` the deletions that failed.
    """

    left: tuple[Inspected, ...]
    enumerated: tuple[OwnedThing, ...]
    failures: tuple[str, ...]
    outside_digest: str


class Loaded(Record, frozen=True, kw_only=True, tag="loaded"):
    """What loading and opening a driver showed (level L0), once per role.

    ``defects`` are missing or incompatible methods; ``documents`` are the capability documents as
    read twice from one driver, from a second driver, and from a second process. ``roles`` are all
    that the provider says it has, and ``faults`` those that the testbed can put in force: together
    with the capabilities they decide which plans are due.
    """

    provider: str
    role: Role
    defects: tuple[str, ...]
    documents: tuple[str, ...]
    stdout: str = ""
    roles: tuple[Role, ...] = ()
    faults: tuple[Fault, ...] = ()


TraceRecord = Loaded | Started | Stepped | Observed | Broken | Ended

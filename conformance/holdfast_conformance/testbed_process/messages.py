"""What a worker asks of the testbed's process, and what it answers: numbered frames on a socket.

Whoever gave up waiting leaves an answer behind; the number tells it from the one that is due.
"""

import msgspec

from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BackendIdentity, Fault, HostPlace, Inventory, TestbedKind
from holdfast_conformance.protocol import Message, Refused


class Introduce(Message, frozen=True, kw_only=True, tag="introduce"):
    """Say what runs, as soon as it does: answered by ``Standing`` or ``Refused``."""


class Configure(Message, frozen=True, kw_only=True, tag="configure"):
    """A good configuration: answered by ``Configured``."""

    role: Role
    namespace: str


class Misconfigure(Message, frozen=True, kw_only=True, tag="misconfigure"):
    """All bad configurations: answered by ``Misconfigured``."""

    role: Role
    namespace: str


class Look(Message, frozen=True, kw_only=True, tag="look"):
    """What the inspector finds now: answered by ``Seen``."""

    role: Role
    namespace: str


class Inject(Message, frozen=True, kw_only=True, tag="inject"):
    """Put a fault in force until ``Heal``, or until the worker is gone: answered by ``Done``."""

    fault: Fault


class Heal(Message, frozen=True, kw_only=True, tag="heal"):
    """End the fault that is in force: answered by ``Done``."""


class Clear(Message, frozen=True, kw_only=True, tag="clear"):
    """Remove a namespace: answered by ``Done``."""

    role: Role
    namespace: str


Call = Introduce | Configure | Misconfigure | Look | Inject | Heal | Clear


class Standing(Message, frozen=True, kw_only=True, tag="standing"):
    """What runs: the attributes of a ``Testbed``, and where each of its hosts is."""

    kind: TestbedKind
    identity: BackendIdentity
    second_path: str
    hosts: tuple[str, ...]
    faults: tuple[Fault, ...]
    data_plane: bool
    places: dict[str, HostPlace]


class Configured(Message, frozen=True, kw_only=True, tag="configured"):
    """A configuration, of the type that the provider names."""

    config: msgspec.Raw


class BadRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ``BadConfig``."""

    name: str
    config: msgspec.Raw
    expected: tuple[ErrorKind, ...]


class Misconfigured(Message, frozen=True, kw_only=True, tag="misconfigured"):
    """Configurations that must be refused."""

    rows: tuple[BadRow, ...]


class Seen(Message, frozen=True, kw_only=True, tag="seen"):
    """What is there."""

    inventory: Inventory


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """It is done."""


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """The testbed raised an error; ``missing`` where the machine lacks something."""

    reason: str
    missing: bool


Answer = Standing | Refused | Configured | Misconfigured | Seen | Done | Failed


class Asked(Message, frozen=True, kw_only=True):
    """A call and its number."""

    number: int
    call: Call


class Answered(Message, frozen=True, kw_only=True):
    """The answer to the call of this number."""

    number: int
    answer: Answer


_ASKED: msgspec.json.Decoder[Asked] = msgspec.json.Decoder(Asked)
_ANSWERED: msgspec.json.Decoder[Answered] = msgspec.json.Decoder(Answered)


def decode_asked(payload: bytes) -> Asked:
    """The call in a frame."""
    return _ASKED.decode(payload)


def decode_answered(payload: bytes) -> Answered:
    """The answer in a frame."""
    return _ANSWERED.decode(payload)

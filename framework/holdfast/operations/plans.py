"""A plan: what an operation will do, as data; frozen at acceptance, JSON and MessagePack both ways.

Each step is ``(kind, version, inputs)``. What a kind does is in ``holdfast.steps``; a plan only
names it, so that it can be printed, kept in the journal and resumed by another process.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from holdfast.contract.errors import HoldfastError


class UnknownStep(HoldfastError):
    """A plan names a kind or version of step that this program does not have."""


class PlannedStep(msgspec.Struct, frozen=True):
    """One step of a plan; ``inputs`` is the struct that the kind declares."""

    kind: str
    version: int
    inputs: msgspec.Struct


Plan = tuple[PlannedStep, ...]


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step whose inputs are not read yet, because only its kind knows their type."""

    kind: str
    version: int
    inputs: msgspec.Raw


class InputTypes(Protocol):
    """Knows the type of each kind's inputs; the registry of ``holdfast.steps`` does."""

    def inputs_of(self, kind: str, version: int) -> type[msgspec.Struct]:
        """The type, or ``UnknownStep``."""
        ...


_json_envelopes = msgspec.json.Decoder(tuple[_Envelope, ...])
_msgpack_envelopes = msgspec.msgpack.Decoder(tuple[_Envelope, ...])
_json_encoder = msgspec.json.Encoder()


def plan_to_json(plan: Sequence[PlannedStep]) -> bytes:
    """The plan as JSON text."""
    return _json_encoder.encode(plan)


def plan_from_json(document: bytes | msgspec.Raw, types: InputTypes) -> Plan:
    """The plan in a JSON text; ``UnknownStep`` when it names a kind or version nobody has."""
    return tuple(
        PlannedStep(
            step.kind,
            step.version,
            msgspec.json.decode(step.inputs, type=types.inputs_of(step.kind, step.version)),
        )
        for step in _json_envelopes.decode(document)
    )


def plan_to_msgpack(plan: Sequence[PlannedStep]) -> bytes:
    """The plan as MessagePack."""
    return msgspec.msgpack.encode(plan)


def plan_from_msgpack(document: bytes, types: InputTypes) -> Plan:
    """The plan in a MessagePack document; ``UnknownStep`` as for JSON."""
    return tuple(
        PlannedStep(
            step.kind,
            step.version,
            msgspec.msgpack.decode(step.inputs, type=types.inputs_of(step.kind, step.version)),
        )
        for step in _msgpack_envelopes.decode(document)
    )

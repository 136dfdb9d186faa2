"""Replay files: the smallest known way to see one property fail, as data."""

import shlex
from pathlib import Path

import msgspec

from holdfast.contract.errors import UsageError
from holdfast.contract.requests import Role
from holdfast_conformance.plan import Plan
from holdfast_conformance.plan_limits import excess_of
from holdfast_conformance.stranger_files import read_given
from holdfast_conformance.trace_lines import UNREADABLE

REPRO_SCHEMA = "holdfast-repro/1"
REPRO_MAX_BYTES = 4 << 20


class Repro(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One property's failure.

    ``plan`` is ``None`` where loading the driver is all it takes. ``confirmed`` says how often the
    property failed when the plan was executed again, and how often that was tried. ``suite`` is the
    version of Holdfast that found it. ``provider`` and ``testbed`` say what was named then,
    the latter empty for the provider's first; nothing is loaded because a file says so.
    """

    schema: str = REPRO_SCHEMA
    property: str
    provider: str
    testbed: str
    role: Role
    seed: int
    suite: str
    expected: str
    observed: str
    confirmed: tuple[int, int]
    plan: Plan | None


def replay_command(file: str, provider: str, testbed: str) -> str:
    """The command that executes a replay file, safe to paste into a shell."""
    words = ["holdfast", "replay", file, "--driver", provider]
    if testbed:
        words += ["--backend", testbed]
    return shlex.join(words)


def encode_repro(repro: Repro) -> bytes:
    """The bytes of a replay file: indented for people, keys in a fixed order."""
    return msgspec.json.format(msgspec.json.encode(repro, order="sorted"), indent=2) + b"\n"


def read_repro(path: Path) -> Repro:
    """The replay file at ``path``.

    Raises:
        UsageError: it cannot be read, or is no replay file of this schema, or contradicts itself.
    """
    return decode_repro(read_given(path, REPRO_MAX_BYTES), str(path))


def decode_repro(data: bytes, name: str) -> Repro:
    """The replay file in these bytes.

    Raises:
        UsageError: it is no replay file of this schema, or contradicts itself, or its plan asks for
            more than the suite ever does; the message begins with ``name``.
    """
    try:
        repro = msgspec.json.decode(data, type=Repro)
    except UNREADABLE as problem:
        raise UsageError(f"{name} is no replay file: {problem}") from problem
    if repro.schema != REPRO_SCHEMA:
        raise UsageError(f"{name} has schema {repro.schema!r}; this version reads {REPRO_SCHEMA!r}")
    if repro.plan is not None and repro.plan.role is not repro.role:
        raise UsageError(
            f"{name} is of the {repro.role.value} role, and its plan of {repro.plan.role.value}"
        )
    if repro.plan is not None and (excess := excess_of(repro.plan)):
        raise UsageError(f"{name} has a plan that no suite makes: {excess}")
    return repro

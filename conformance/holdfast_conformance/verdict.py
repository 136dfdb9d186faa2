"""What a judgement consists of: findings, one result per property, and the verdict."""

import enum

import msgspec


class Level(enum.StrEnum):
    """How far a driver can be trusted; each level includes those below."""

    L0 = "L0"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"


class Status(enum.StrEnum):
    """The status of one property in one run; only ``PASS`` is a pass."""

    PASS = "PASS"  # noqa: S105 - a status, not a password
    FAIL = "FAIL"
    VACUOUS = "VACUOUS"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    SKIP = "SKIP"
    ERROR = "ERROR"


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One violation: where it was seen, what was allowed and what came."""

    property: str
    plan: str
    index: int
    expected: str
    observed: str


class PropertyResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a run says of one property; ``exercised`` counts the moments it could have failed."""

    id: str
    level: Level
    status: Status
    exercised: int
    reason: str = ""
    findings: tuple[Finding, ...] = ()


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The highest level reached (``None``: not even L0), and every property's result."""

    level: Level | None
    requested: Level
    ok: bool
    results: tuple[PropertyResult, ...]

"""What scrub can find, and its report."""

import enum

import msgspec


class FindingKind(enum.StrEnum):
    """What scrub can find."""

    UNKNOWN = "unknown"
    LOST = "lost"
    DIFFERS = "differs"
    CORRUPT = "corrupt"
    UNFINISHED = "unfinished"
    UNREACHABLE = "unreachable"
    LEDGER = "ledger"
    FOUND_AGAIN = "found again"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One disagreement; ``age_s`` is how long the thing has been in quarantine."""

    kind: FindingKind
    store: str
    what: str
    key: str
    detail: str
    age_s: float = 0.0


class ScrubReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared, and every disagreement."""

    stores: int
    things: int
    rows: int
    digests: int
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether catalogue and backends agree."""
        return all(one.kind is FindingKind.FOUND_AGAIN for one in self.findings)

"""What scrub can find, and its report."""

import enum

import msgspec


class FindingKind(enum.StrEnum):
    """What scrub can find."""

    UNKNOWN = "unknown"
    LOST = "lost"
    DIFFERS = "differs"
    CORRUPT = "corrupt"
    UNREADABLE = "unreadable"
    UNFINISHED = "unfinished"
    UNREACHABLE = "unreachable"
    LEDGER = "ledger"
    FOUND_AGAIN = "found again"
    DAMAGED = "damaged"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One disagreement; ``age_s`` is how long the thing has been in quarantine."""

    kind: FindingKind
    store: str
    what: str
    key: str
    detail: str
    age_s: float = 0.0


class Findings:
    """What was found in one store so far, and how much was looked at."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.found: list[Finding] = []
        self.things = 0
        self.rows = 0
        self.digests = 0
        self.compared = False

    def add(
        self, kind: FindingKind, what: str, key: str, detail: str, *, age_s: float = 0.0
    ) -> None:
        """One finding about this store."""
        self.found.append(
            Finding(kind=kind, store=self.store, what=what, key=key, detail=detail, age_s=age_s)
        )


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


def told(problem: BaseException) -> str:
    """Why a look failed, for a finding."""
    if isinstance(problem, TimeoutError):
        return "there was no answer in time"
    return str(problem) or type(problem).__name__

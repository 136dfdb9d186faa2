"""What scrub can find, and its report."""

import enum

import msgspec

from holdfast.contract.errors import EnvironmentUnavailable, ExitCode


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
    """One disagreement; ``age_s`` is how long the thing has been in quarantine.

    ``lacking``: something outside Holdfast is missing, a secret above all, and is all there is to
    it.
    """

    kind: FindingKind
    store: str
    what: str
    key: str
    detail: str
    age_s: float = 0.0
    lacking: bool = False


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

    def unreachable(self, problem: Exception) -> None:
        """The store cannot be compared, and why."""
        self.found.append(
            Finding(
                kind=FindingKind.UNREACHABLE,
                store=self.store,
                what="store",
                key=self.store,
                detail=told(problem),
                lacking=isinstance(problem, EnvironmentUnavailable),
            )
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
        return not self._bad()

    @property
    def exit_code(self) -> ExitCode:
        """What a program that ran a scrub ends with."""
        bad = self._bad()
        if not bad:
            return ExitCode.DONE
        return ExitCode.UNAVAILABLE if all(one.lacking for one in bad) else ExitCode.FAILED

    def _bad(self) -> list[Finding]:
        return [one for one in self.findings if one.kind is not FindingKind.FOUND_AGAIN]


def told(problem: BaseException) -> str:
    """Why a look failed, for a finding."""
    if isinstance(problem, TimeoutError):
        return "there was no answer in time"
    return str(problem) or type(problem).__name__

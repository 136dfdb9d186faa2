"""What a foreign suite said, and how that compares with what is expected of a server."""

import enum
import sys
from collections.abc import Iterable, Mapping

import msgspec


class Outcome(enum.StrEnum):
    """What became of one test."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Suite(enum.StrEnum):
    """The suites of others that our servers are put through."""

    SWIFT = "Swift's functional tests"
    S3API_FUNCTIONAL = "Swift's functional/s3api tests"
    S3API_BOTO = "Swift's s3api tests with boto3"
    ISCSI = "libiscsi's iscsi-test-cu"
    CLIENTS = "rclone and restic"


class Product(enum.StrEnum):
    """What they are run against."""

    SWIFT = "OpenStack Swift"
    GATEWAY = "Swift on S3"
    MINIO = "MinIO"
    SEAWEEDFS = "SeaweedFS"
    TGT = "tgt"


class Excused(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tests that are known to fail against a server, and why that is right or tolerable.

    ``tests`` are whole ids, or with a final ``*`` all that begin so.
    """

    suite: Suite
    products: tuple[Product, ...]
    tests: tuple[str, ...]
    reason: str

    def covers(self, suite: Suite, product: Product, test: str) -> bool:
        """Whether a test of a suite is meant."""
        if self.suite is not suite or product not in self.products:
            return False
        return any(_matches(pattern, test) for pattern in self.tests)


def _matches(pattern: str, test: str) -> bool:
    return test.startswith(pattern[:-1]) if pattern.endswith("*") else test == pattern


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One suite against one server."""

    suite: Suite
    product: Product
    identity: str
    partial: bool
    seconds: float
    counts: dict[Outcome, int]
    excused: dict[str, str]
    """Failed as expected, each with its reason."""
    failed: tuple[str, ...]
    """Failed, and nobody expected it."""
    healed: tuple[str, ...]
    """Listed as failing, and passed or not met at all: the list is to be shortened."""
    messages: dict[str, str]
    """What every failed test said."""

    @property
    def good(self) -> bool:
        """Whether everything is as written down."""
        ran = self.counts.get(Outcome.PASSED, 0) > 0
        return ran and not self.failed and not self.healed


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one run of a suite gave."""

    suite: Suite
    product: Product
    identity: str
    outcomes: dict[str, Outcome]
    messages: dict[str, str] = {}
    """What the failed tests said."""
    seconds: float
    partial: bool = False


def judge(run: Run, excuses: Iterable[Excused]) -> Verdict:
    """Compare both ways: no failure that is not written down, nothing written down that passes."""
    mine = [one for one in excuses if one.suite is run.suite and run.product in one.products]
    excused: dict[str, str] = {}
    failed: list[str] = []
    for test, outcome in sorted(run.outcomes.items()):
        if outcome is Outcome.FAILED:
            reason = _reason(mine, run, test)
            if reason is None:
                failed.append(test)
            else:
                excused[test] = reason
    return Verdict(
        suite=run.suite,
        product=run.product,
        identity=run.identity,
        partial=run.partial,
        seconds=round(run.seconds, 1),
        counts=_counts(run.outcomes),
        excused=excused,
        failed=tuple(failed),
        healed=tuple(_healed(mine, run)),
        messages=run.messages,
    )


def _counts(outcomes: Mapping[str, Outcome]) -> dict[Outcome, int]:
    found = list(outcomes.values())
    return {outcome: found.count(outcome) for outcome in Outcome}


def _reason(excuses: Iterable[Excused], run: Run, test: str) -> str | None:
    for one in excuses:
        if one.covers(run.suite, run.product, test):
            return one.reason
    return None


def _healed(excuses: Iterable[Excused], run: Run) -> Iterable[str]:
    """Patterns none of whose tests failed although one of them ran, or that mean no test at all."""
    for one in excuses:
        for pattern in one.tests:
            met = [outcome for test, outcome in run.outcomes.items() if _matches(pattern, test)]
            stale = not met and not run.partial
            if stale or (Outcome.PASSED in met and Outcome.FAILED not in met):
                yield pattern


def progress(server: str, part: str, outcomes: Mapping[str, Outcome], seconds: float) -> None:
    """Say in one line what a part of a suite gave."""
    counts = _counts(outcomes)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    sys.stdout.write(f"  {server}: {part}: {told} in {seconds:.0f} s\n")
    sys.stdout.flush()

"""Puts the servers through the suites of others and says what is not as written down."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from tests.acceptance.exceptions import EXCUSED
from tests.acceptance.iscsi_suite import run_iscsi_suite
from tests.acceptance.outcomes import Outcome, Product, Run, Suite, Verdict, judge
from tests.acceptance.servers import gateway_target, s3_target, swift_target, tgt_target
from tests.acceptance.swift_suite import Target, run_swift_suite

from holdfast.errors import EnvironmentUnavailable
from holdfast.runtime import runtime

_FULL_S = 3600.0
_SUBSET_S = 150.0
_SUBSET = frozenset({Product.GATEWAY, Product.TGT})
"""What CI runs: the rows whose expected failures are known in full."""
_SWIFT_SUITES = (Suite.SWIFT, Suite.S3API_FUNCTIONAL, Suite.S3API_BOTO)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be run: suites, in full or the subset."""

    suites: frozenset[Suite]
    subset: bool

    def of(self, *suites: Suite) -> tuple[Suite, ...]:
        """Those of some suites that are wished for."""
        return tuple(suite for suite in suites if suite in self.suites)


async def _suites(wish: Wish, suites: tuple[Suite, ...], target: Target) -> list[Run]:
    timeout_s = _SUBSET_S if wish.subset else _FULL_S
    return [
        await asyncio.to_thread(
            run_swift_suite, suite, target, subset=wish.subset, timeout_s=timeout_s
        )
        for suite in suites
    ]


async def _swift(wish: Wish, run: str) -> list[Run]:
    async with swift_target(run) as target:
        return await _suites(wish, wish.of(*_SWIFT_SUITES), target)


async def _gateway(wish: Wish, run: str) -> list[Run]:
    async with gateway_target(run) as target:
        return await _suites(wish, wish.of(Suite.SWIFT), target)


async def _minio(wish: Wish, run: str) -> list[Run]:
    async with s3_target(Product.MINIO, run) as target:
        return await _suites(wish, wish.of(Suite.S3API_BOTO), target)


async def _seaweedfs(wish: Wish, run: str) -> list[Run]:
    async with s3_target(Product.SEAWEEDFS, run) as target:
        return await _suites(wish, wish.of(Suite.S3API_BOTO), target)


async def _tgt(wish: Wish, run: str) -> list[Run]:
    if not wish.of(Suite.ISCSI):
        return []
    async with tgt_target(run) as target:
        return [await asyncio.to_thread(run_iscsi_suite, target, subset=wish.subset)]


ROWS: dict[Product, Callable[[Wish, str], Awaitable[list[Run]]]] = {
    Product.SWIFT: _swift,
    Product.GATEWAY: _gateway,
    Product.MINIO: _minio,
    Product.SEAWEEDFS: _seaweedfs,
    Product.TGT: _tgt,
}


def table(verdicts: list[Verdict]) -> str:
    """The counts as they stand in docs/backends.md."""
    lines = [
        "| suite | server | passed | failed as expected | skipped | unexpected | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in verdicts:
        part = " (subset)" if one.partial else ""
        wrong = len(one.failed) + len(one.healed)
        lines.append(
            f"| {one.suite}{part} | {one.identity} | {one.counts[Outcome.PASSED]} "
            f"| {len(one.excused)} | {one.counts[Outcome.SKIPPED]} | {wrong} | {one.seconds:.0f} |"
        )
    return "\n".join(lines)


async def _all(products: list[Product], wish: Wish) -> tuple[list[Verdict], list[str]]:
    verdicts: list[Verdict] = []
    missing: list[str] = []
    for product in products:
        run = f"acceptance-{runtime().random.getrandbits(32):08x}"
        try:
            runs = await ROWS[product](wish, run)
        except EnvironmentUnavailable as why:
            missing.append(f"{product}: not run: {why}")
            continue
        for one in runs:
            verdict = judge(one, EXCUSED)
            verdicts.append(verdict)
            _say(verdict)
    return verdicts, missing


def _say(verdict: Verdict) -> None:
    head = "as expected" if verdict.good else "NOT as expected"
    sys.stdout.write(f"{verdict.suite} on {verdict.identity}: {head}\n")
    for test in verdict.failed:
        sys.stdout.write(f"  failed, and is not written down: {test}\n")
    for test in verdict.healed:
        sys.stdout.write(f"  passes, and is written down as failing: {test}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for: 0 where all is as written down, 1 where it is not."""
    parser = argparse.ArgumentParser(prog="acceptance", description=__doc__)
    parser.add_argument("--subset", action="store_true", help="at most three minutes")
    parser.add_argument("--server", action="append", choices=[one.name for one in Product])
    parser.add_argument("--suite", action="append", choices=[one.name for one in Suite])
    parser.add_argument("--out", type=Path, help="write the verdicts there, as JSON")
    asked = parser.parse_args(arguments)
    wish = Wish(
        suites=frozenset(Suite[name] for name in asked.suite or Suite.__members__),
        subset=asked.subset,
    )
    named = [Product[name] for name in asked.server or ()]
    products = named or [one for one in Product if not asked.subset or one in _SUBSET]
    verdicts, missing = asyncio.run(_all(products, wish))
    if asked.out:
        asked.out.write_bytes(msgspec.json.format(msgspec.json.encode(verdicts)))
    sys.stdout.write("\n".join(["", table(verdicts), "", *missing]) + "\n")
    # CI has everything but a MinIO, which no registry gives without one.
    needed = [line for line in missing if not line.startswith(Product.MINIO)]
    if needed and os.environ.get("CI"):
        return 1
    return 0 if verdicts and all(one.good for one in verdicts) else 1

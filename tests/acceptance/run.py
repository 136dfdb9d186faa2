"""Puts the servers through the suites of others and says what is not as written down."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

import msgspec
from tests.acceptance.clients_suite import run_clients
from tests.acceptance.exceptions import excused, summary
from tests.acceptance.iscsi_suite import run_iscsi_suite
from tests.acceptance.outcomes import Outcome, Product, Run, Suite, Verdict, judge
from tests.acceptance.servers import gateway_target, s3_target, swift_target, tgt_target
from tests.acceptance.swift_suite import Budget, Target, run_swift_suite

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable

_FULL_S = 3600.0
_FILE_S = 1800.0
_JOBS = 3
_SUBSET_S = 150.0
_SUBSET = frozenset({Product.GATEWAY, Product.TGT})
"""What CI runs: the rows whose expected failures are known in full."""
_Told = tuple[list[Verdict], list[str]]
"""The verdicts, and what could not be run."""
_SWIFT_SUITES = (Suite.SWIFT, Suite.S3API_FUNCTIONAL, Suite.S3API_BOTO)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be run: suites, in full or the subset."""

    suites: frozenset[Suite]
    subset: bool

    def of(self, *suites: Suite) -> tuple[Suite, ...]:
        """Those of some suites that are wished for."""
        return tuple(suite for suite in suites if suite in self.suites)


async def _suites(wish: Wish, suites: tuple[Suite, ...], target: Target) -> list[Run]:
    """Each within the time of its row; the subset's row is all of its suites."""
    shared = Budget(file_s=_SUBSET_S, left_s=_SUBSET_S)
    return [
        await run_swift_suite(
            suite,
            target,
            subset=wish.subset,
            budget=shared if wish.subset else Budget(file_s=_FILE_S, left_s=_FULL_S),
        )
        for suite in suites
    ]


async def _clients(wish: Wish, target: Target) -> list[Run]:
    """Both servers of Swift must give what the steps want: so they give the same."""
    wished = wish.of(Suite.CLIENTS) and not wish.subset
    return [await run_clients(target)] if wished else []


async def _swift(wish: Wish, run: str) -> list[Run]:
    async with swift_target(run) as target:
        return await _clients(wish, target) + await _suites(wish, wish.of(*_SWIFT_SUITES), target)


async def _gateway(wish: Wish, run: str) -> list[Run]:
    async with gateway_target(run) as target:
        return await _clients(wish, target) + await _suites(wish, wish.of(Suite.SWIFT), target)


async def _minio(wish: Wish, run: str) -> list[Run]:
    async with s3_target(Product.MINIO, run) as target:
        return await _suites(wish, wish.of(Suite.S3API_FUNCTIONAL, Suite.S3API_BOTO), target)


async def _seaweedfs(wish: Wish, run: str) -> list[Run]:
    async with s3_target(Product.SEAWEEDFS, run) as target:
        return await _suites(wish, wish.of(Suite.S3API_FUNCTIONAL, Suite.S3API_BOTO), target)


async def _tgt(wish: Wish, run: str) -> list[Run]:
    if not wish.of(Suite.ISCSI):
        return []
    async with tgt_target(run) as target:
        return [await run_iscsi_suite(target, subset=wish.subset)]


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


async def _all(products: list[Product], wish: Wish, jobs: int) -> _Told:
    """Several servers at a time, each with its suites one after another."""
    lanes = asyncio.Semaphore(jobs)
    async with asyncio.TaskGroup() as group:
        rows = [group.create_task(_row(product, wish, lanes)) for product in products]
    told = [row.result() for row in rows]
    verdicts = [verdict for found, _ in told for verdict in found]
    return verdicts, [line for _, lines in told for line in lines]


async def _row(product: Product, wish: Wish, lanes: asyncio.Semaphore) -> _Told:
    async with lanes:
        run = f"acceptance-{runtime().random.getrandbits(32):08x}"
        try:
            runs = await ROWS[product](wish, run)
        except EnvironmentUnavailable as why:
            return [], [f"{product}: not run: {why}"]
    verdicts = [judge(one, excused()) for one in runs]
    for verdict in verdicts:
        _say(verdict)
    return verdicts, []


def _say(verdict: Verdict) -> None:
    head = "as expected" if verdict.good else "NOT as expected"
    sys.stdout.write(f"{verdict.suite} on {verdict.identity}: {head}\n")
    for test in verdict.failed:
        why = verdict.messages.get(test, "").strip().partition("\n")[0]
        sys.stdout.write(f"  failed, and is not written down: {test}: {why}\n")
    for test in verdict.healed:
        sys.stdout.write(f"  is written down as failing, and does not fail: {test}\n")
    sys.stdout.flush()


async def _ended_by_signals(work: Coroutine[None, None, _Told]) -> _Told:
    """Let SIGTERM end it as Ctrl-C does, so that no server and no program is left behind."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for: 0 where all is as written down, 1 where it is not."""
    parser = argparse.ArgumentParser(prog="acceptance", description=__doc__)
    parser.add_argument("--subset", action="store_true", help="at most three minutes")
    parser.add_argument("--server", action="append", choices=[one.name for one in Product])
    parser.add_argument("--suite", action="append", choices=[one.name for one in Suite])
    parser.add_argument("--jobs", type=int, default=_JOBS, help="servers at a time")
    parser.add_argument("--exceptions", action="store_true", help="print the expected failures")
    parser.add_argument("--out", type=Path, help="write the verdicts there, as JSON")
    asked = parser.parse_args(arguments)
    if asked.exceptions:
        sys.stdout.write(f"{summary()}\n")
        return 0
    wish = Wish(
        suites=frozenset(Suite[name] for name in asked.suite or Suite.__members__),
        subset=asked.subset,
    )
    named = [Product[name] for name in asked.server or ()]
    products = named or [one for one in Product if not asked.subset or one in _SUBSET]
    began = time.monotonic()
    try:
        verdicts, missing = asyncio.run(_ended_by_signals(_all(products, wish, asked.jobs)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("interrupted; the servers are removed\n")
        return 130
    if asked.out:
        asked.out.write_bytes(msgspec.json.format(msgspec.json.encode(verdicts)))
    took = f"{time.monotonic() - began:.0f} seconds in all, servers' starts included"
    sys.stdout.write("\n".join(["", table(verdicts), "", took, *missing]) + "\n")
    # CI has everything but a MinIO, which no registry gives without one.
    needed = [line for line in missing if not line.startswith(Product.MINIO)]
    if needed and os.environ.get("CI"):
        return 1
    return 0 if verdicts and all(one.good for one in verdicts) else 1

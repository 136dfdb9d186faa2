"""Runs Swift's functional and s3api tests against a server, and reads what they said."""

import asyncio
import os
import re
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import msgspec
from tests.acceptance.commands import run_program
from tests.acceptance.outcomes import Outcome, Product, Run, Suite, progress
from tests.acceptance.swift_source import swift_tests

_PLUGINS = Path(__file__).parent / "plugin"
_SAID = 1500
"""Characters kept of what a failed test said."""
_MARKED = re.compile(r"^E +(.*)$", re.MULTILINE)
FILES: Mapping[Suite, tuple[str, ...]] = {
    Suite.SWIFT: tuple(
        f"test/functional/{name}.py"
        for name in (
            "test_access_control",
            "test_account",
            "test_container",
            "test_dlo",
            "test_object",
            "test_object_versioning",
            "test_slo",
            "test_staticweb",
            "test_symlink",
            "test_tempurl",
            "test_versioned_writes",
            "tests",
        )
    ),
    Suite.S3API_FUNCTIONAL: tuple(
        f"test/functional/s3api/test_{name}.py"
        for name in (
            "acl",
            "bucket",
            "multi_delete",
            "multi_upload",
            "object",
            "presigned",
            "service",
            "versioning",
            "xxe_injection",
        )
    ),
    Suite.S3API_BOTO: tuple(
        f"test/s3api/test_{name}.py"
        for name in (
            "conditional_writes",
            "input_errors",
            "mpu",
            "object",
            "object_checksums",
            "object_lock",
            "request_target_style",
            "service",
            "versioning",
        )
    ),
}
SUBSET: Mapping[Suite, tuple[str, ...]] = {
    Suite.SWIFT: (
        "test/functional/test_account.py",
        "test/functional/test_container.py",
        "test/functional/test_tempurl.py",
    ),
    Suite.S3API_FUNCTIONAL: ("test/functional/s3api/test_bucket.py",),
    Suite.S3API_BOTO: (
        "test/s3api/test_service.py",
        "test/s3api/test_conditional_writes.py",
        "test/s3api/test_object.py",
    ),
}


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """One user of the tests; ``access`` is the S3 access key, or ``account:user``."""

    account: str
    user: str
    key: str
    access: str = ""

    @property
    def access_key(self) -> str:
        """Who the user is to S3."""
        return self.access or f"{self.account}:{self.user}"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A server to test: its address and the users that the tests want.

    ``logins`` are: owner, owner of another account, plain user, second owner, reseller admin.
    """

    product: Product
    identity: str
    host: str
    port: int
    logins: tuple[Login, ...]
    plain_s3: bool = False
    """It speaks S3 alone: Swift's ``/info`` and authentication are not there."""


class Budget(msgspec.Struct, kw_only=True):
    """Seconds for one file, and what is left of those for a whole run."""

    file_s: float
    left_s: float

    def next_s(self) -> float:
        """How long the next file may take."""
        return min(self.file_s, self.left_s)


class _Session(msgspec.Struct, frozen=True, kw_only=True):
    """What every file of a run is started with."""

    source: Path
    python: Path
    folder: Path
    """For the configuration and the reports; gone with the run."""
    plugins: tuple[str, ...]

    @property
    def config(self) -> Path:
        """The suite's configuration."""
        return self.folder / "test.conf"


async def run_swift_suite(suite: Suite, target: Target, *, subset: bool, budget: Budget) -> Run:
    """Run a suite or its subset, file by file; one that does not end fails in a test of its own."""
    outcomes: dict[str, Outcome] = {}
    messages: dict[str, str] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="holdfast-acceptance-") as folder:
        session = await asyncio.to_thread(_session, target, Path(folder))
        for file in (SUBSET if subset else FILES)[suite]:
            started = time.monotonic()
            found, why = await _one_file(session, file, budget.next_s())
            took = time.monotonic() - started
            budget.left_s -= took
            outcomes |= found
            messages |= why
            progress(target.product, file.removeprefix("test/"), found, took)
    return Run(
        suite=suite,
        product=target.product,
        identity=target.identity,
        outcomes=outcomes,
        messages=messages,
        seconds=time.monotonic() - began,
        partial=subset,
    )


def _session(target: Target, folder: Path) -> _Session:
    source, python = swift_tests()
    plugins = ("-p", "holdfast_plain_s3") if target.plain_s3 else ()
    session = _Session(source=source, python=python, folder=folder, plugins=plugins)
    session.config.touch(mode=0o600)
    session.config.write_text(_config(target), encoding="utf-8")
    return session


async def _one_file(
    session: _Session, file: str, seconds: float
) -> tuple[dict[str, Outcome], dict[str, str]]:
    """What became of its tests, and why those failed that did."""
    report = session.folder / f"{Path(file).stem}.xml"
    ended = await run_program(
        (
            *(str(session.python), "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(*session.plugins, "--tb=short", f"--junit-xml={report}", file),
        ),
        folder=session.source,
        environment={
            **os.environ,
            "SWIFT_TEST_CONFIG_FILE": str(session.config),
            "PYTHONPATH": f"{_PLUGINS}{os.pathsep}{session.source}",
        },
        timeout_s=seconds,
    )
    end = f"{Path(file).stem} ended in time"
    if ended.late:
        return {end: Outcome.FAILED}, {end: ended.said[-_SAID:]}
    try:
        return await asyncio.to_thread(_read, report)
    except (FileNotFoundError, ET.ParseError) as why:
        return {end: Outcome.FAILED}, {end: f"no report: {why}: {ended.said[-_SAID:]}"}


def _read(report: Path) -> tuple[dict[str, Outcome], dict[str, str]]:
    return outcomes_of(report), messages_of(report)


def outcomes_of(report: Path) -> dict[str, Outcome]:
    """What a JUnit report says of each test; of subtests, the worst."""
    found: dict[str, Outcome] = {}
    for case in ET.parse(report).iter("testcase"):
        test = _test(case)
        kinds = {child.tag for child in case}
        outcome = Outcome.PASSED
        if kinds & {"failure", "error"}:
            outcome = Outcome.FAILED
        elif "skipped" in kinds:
            outcome = Outcome.SKIPPED
        if found.get(test) is not Outcome.FAILED:
            found[test] = outcome
    return found


def messages_of(report: Path) -> dict[str, str]:
    """Why tests failed, as a JUnit report says."""
    found: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):
        for child in case:
            if child.tag in {"failure", "error"}:
                # The message is cut by pytest; the lines that it marks in the text are not.
                marked = _MARKED.findall(child.text or "")
                why = "\n".join(marked) or child.get("message") or child.text or ""
                found[_test(case)] = why if len(why) < _SAID else f"{why[:_SAID]}..."
    return found


def _test(case: ET.Element) -> str:
    return f"{case.get('classname', '')}.{case.get('name', '')}".removeprefix("test.")


def _config(target: Target) -> str:
    owner, other, plain, second, admin = target.logins
    address = f"http://{target.host}:{target.port}"
    lines = [
        "[s3api_test]",
        f"endpoint = {address}",
        "region = us-east-1",
        f"access_key1 = {owner.access_key}",
        f"secret_key1 = {owner.key}",
        f"access_key2 = {second.access_key}",
        f"secret_key2 = {second.key}",
        f"access_key3 = {plain.access_key}",
        f"secret_key3 = {plain.key}",
        "s3_acl_tests_enabled = false",
        "[func_test]",
        f"auth_uri = {address}/auth/v1.0",
        f"s3_storage_url = {address}/",
        "s3_region = us-east-1",
        f"s3_access_key = {owner.access_key}",
        f"s3_secret_key = {owner.key}",
        f"s3_access_key2 = {second.access_key}",
        f"s3_secret_key2 = {second.key}",
        f"s3_access_key3 = {plain.access_key}",
        f"s3_secret_key3 = {plain.key}",
        "collate = C",
        "insecure = no",
        "storage_domain =",
        *_users(("", owner), ("2", other), ("3", plain), ("6", admin)),
    ]
    return "\n".join(lines) + "\n"


def _users(*numbered: tuple[str, Login]) -> list[str]:
    lines: list[str] = []
    for number, login in numbered:
        lines += [
            f"account{number} = {login.account}",
            f"username{number} = {login.user}",
            f"password{number} = {login.key}",
        ]
    return lines

"""Runs Swift's functional and s3api tests against a server, and reads what they said."""

import os
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import msgspec
from tests.acceptance.outcomes import Outcome, Product, Run, Suite
from tests.acceptance.swift_source import swift_tests

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
    Suite.S3API_FUNCTIONAL: ("test/functional/s3api",),
    Suite.S3API_BOTO: ("test/s3api",),
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
    s3_acl: bool = False


def run_swift_suite(suite: Suite, target: Target, *, subset: bool, timeout_s: float) -> Run:
    """Run a suite, or its subset; a run that does not end in time fails in a test of its own."""
    source, python = swift_tests()
    files = (SUBSET if subset else FILES)[suite]
    files = tuple(name for name in files if (source / name).exists())
    with tempfile.TemporaryDirectory(prefix="holdfast-acceptance-") as folder:
        config, report = Path(folder, "test.conf"), Path(folder, "report.xml")
        config.touch(mode=0o600)
        config.write_text(_config(target), encoding="utf-8")
        command = (str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no")
        began = time.monotonic()
        late = False
        try:
            subprocess.run(
                (*command, f"--junit-xml={report}", *files),
                cwd=source,
                env={**os.environ, "SWIFT_TEST_CONFIG_FILE": str(config)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=False,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            late = True
        outcomes = outcomes_of(report) if report.exists() else {}
        if late or not outcomes:
            outcomes["the run ended in time"] = Outcome.FAILED
        return Run(
            suite=suite,
            product=target.product,
            identity=target.identity,
            outcomes=outcomes,
            seconds=time.monotonic() - began,
            partial=subset,
        )


def outcomes_of(report: Path) -> dict[str, Outcome]:
    """What a JUnit report says of each test; of subtests, the worst."""
    found: dict[str, Outcome] = {}
    for case in ET.parse(report).iter("testcase"):
        test = f"{case.get('classname', '')}.{case.get('name', '')}".removeprefix("test.")
        kinds = {child.tag for child in case}
        outcome = Outcome.PASSED
        if kinds & {"failure", "error"}:
            outcome = Outcome.FAILED
        elif "skipped" in kinds:
            outcome = Outcome.SKIPPED
        if found.get(test) is not Outcome.FAILED:
            found[test] = outcome
    return found


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
        f"s3_acl_tests_enabled = {target.s3_acl}",
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

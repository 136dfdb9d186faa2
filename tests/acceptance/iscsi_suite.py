"""Runs libiscsi's iscsi-test-cu, one process per suite, and reads what it said.

One process for everything was seen to hang in one test and lose the results of all.
"""

import re
import shutil
import subprocess
import time

import msgspec
from tests.acceptance.outcomes import Outcome, Product, Run, Suite

_SUITE_S = 60.0
SUBSET = ("Read10", "Write10", "Read16", "Write16", "ReadCapacity16", "TestUnitReady", "Inquiry")
_TEST = re.compile(r"^\s*Test: (\S+?) ?\.\.\.(.*)", re.MULTILINE)


class IscsiTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A logical unit that may be overwritten."""

    identity: str
    url: str
    """With user and secret where CHAP is asked for; it is given in the environment only."""
    initiators: tuple[str, str]
    user: str = ""
    secret: str = ""


def run_iscsi_suite(target: IscsiTarget, *, subset: bool) -> Run:
    """Run every suite of the program, or a subset."""
    program = shutil.which("iscsi-test-cu")
    if program is None:
        raise FileNotFoundError("iscsi-test-cu is missing; install the package libiscsi-bin")
    listed = subprocess.run((program, "-l"), check=True, capture_output=True, text=True).stdout
    names = [line.split(".")[1] for line in listed.split() if line.count(".") == 1]
    chosen = [name for name in names if not subset or name in SUBSET]
    tests = [line.removeprefix("ALL.") for line in listed.split() if line.count(".") == 2]
    began = time.monotonic()
    outcomes: dict[str, Outcome] = {}
    for name in chosen:
        wanted = [test for test in tests if test.startswith(f"{name}.")]
        outcomes |= _one_suite(program, name, wanted, target)
    return Run(
        suite=Suite.ISCSI,
        product=Product.TGT,
        identity=target.identity,
        outcomes=outcomes,
        seconds=time.monotonic() - began,
        partial=subset,
    )


def _one_suite(
    program: str, name: str, wanted: list[str], target: IscsiTarget
) -> dict[str, Outcome]:
    first, second = target.initiators
    command = (program, "--dataloss", "-v", "-i", first, "-I", second, "-t", f"ALL.{name}")
    environment = {
        "LIBISCSI_CHAP_USERNAME": target.user,
        "LIBISCSI_CHAP_PASSWORD": target.secret,
    }
    try:
        done = subprocess.run(
            (*command, target.url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={key: value for key, value in environment.items() if value},
            check=False,
            timeout=_SUITE_S,
        )
        said = done.stdout
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""
    found = outcomes_of(name, said.decode(errors="replace"))
    # What the program did not come to has not passed.
    return {test: found.get(test, Outcome.FAILED) for test in wanted} | found


def outcomes_of(suite: str, said: str) -> dict[str, Outcome]:
    """What the program printed of each test of a suite.

    It calls a test passed that did nothing for lack of a feature, and says ``[SKIPPED]`` before.
    """
    outcomes: dict[str, Outcome] = {}
    starts = list(_TEST.finditer(said))
    for index, start in enumerate(starts):
        end = starts[index + 1].start() if index + 1 < len(starts) else len(said)
        text = said[start.start(2) : end]
        outcome = Outcome.FAILED
        if "FAILED" not in text and "passed" in text:
            outcome = Outcome.SKIPPED if "[SKIPPED]" in text else Outcome.PASSED
        outcomes[f"{suite}.{start[1]}"] = outcome
    return outcomes

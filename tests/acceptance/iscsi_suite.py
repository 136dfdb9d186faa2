"""Runs libiscsi's iscsi-test-cu, one process per suite, and reads what it said.

One process for everything was seen to hang in one test and lose the results of all.
"""

import re
import shutil
import time

import msgspec
from tests.acceptance.commands import run_program
from tests.acceptance.outcomes import Outcome, Product, Run, Suite, progress

_SUITE_S = 600.0
_SAID = 3000
"""Characters kept of what a failed test said."""
SUBSET = ("Read10", "Write10", "Read16", "Write16", "ReadCapacity16", "TestUnitReady", "Inquiry")
_FAILED = re.compile(r"^FAILED$", re.MULTILINE)
"""Its verdict; ``[FAILED]`` is also said by what it does between tests."""
_TEST = re.compile(r"^\s*Test: (\S+?) ?\.\.\.(.*)", re.MULTILINE)


class IscsiTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A logical unit that may be overwritten."""

    identity: str
    url: str
    """With user and secret where CHAP is asked for; it is given in the environment only."""
    initiators: tuple[str, str]
    user: str = ""
    secret: str = ""


async def run_iscsi_suite(target: IscsiTarget, *, subset: bool) -> Run:
    """Run every suite of the program, or a subset."""
    program = shutil.which("iscsi-test-cu")
    if program is None:
        raise FileNotFoundError("iscsi-test-cu is missing; install the package libiscsi-bin")
    told = await run_program((program, "-l"), environment={}, timeout_s=_SUITE_S)
    listed = told.said
    # Each suite is listed again in families of the same tests.
    all_of_them = [line for line in listed.split() if line.startswith("ALL.")]
    names = [line.split(".")[1] for line in all_of_them if line.count(".") == 1]
    chosen = [name for name in names if not subset or name in SUBSET]
    tests = [line.removeprefix("ALL.") for line in all_of_them if line.count(".") == 2]
    began = time.monotonic()
    outcomes: dict[str, Outcome] = {}
    messages: dict[str, str] = {}
    for name in chosen:
        wanted = [test for test in tests if test.startswith(f"{name}.")]
        started = time.monotonic()
        found = await _one_suite(program, name, wanted, target)
        outcomes |= {test: outcome for test, (outcome, _) in found.items()}
        messages |= {
            test: said for test, (outcome, said) in found.items() if outcome is Outcome.FAILED
        }
        only = {test: outcome for test, (outcome, _) in found.items()}
        progress(Product.TGT, name, only, time.monotonic() - started)
    return Run(
        suite=Suite.ISCSI,
        product=Product.TGT,
        identity=target.identity,
        outcomes=outcomes,
        messages=messages,
        seconds=time.monotonic() - began,
        partial=subset,
    )


async def _one_suite(
    program: str, name: str, wanted: list[str], target: IscsiTarget
) -> dict[str, tuple[Outcome, str]]:
    first, second = target.initiators
    command = (program, "--dataloss", "-v", "-i", first, "-I", second, "-t", f"ALL.{name}")
    environment = {
        "LIBISCSI_CHAP_USERNAME": target.user,
        "LIBISCSI_CHAP_PASSWORD": target.secret,
    }
    ended = await run_program(
        (*command, target.url),
        environment={key: value for key, value in environment.items() if value},
        timeout_s=_SUITE_S,
    )
    found = outcomes_of(name, ended.said)
    # What the program did not come to has not passed.
    end = "the program did not come to it" + (" in time" if ended.late else "")
    missed = (Outcome.FAILED, f"{end}: {ended.said[-_SAID:]}")
    return {test: found.get(test, missed) for test in wanted} | found


def outcomes_of(suite: str, said: str) -> dict[str, tuple[Outcome, str]]:
    """What became of each test of a suite, and what the program printed of it.

    It calls a test passed that did nothing for lack of a feature, and says ``[SKIPPED]`` before.
    """
    outcomes: dict[str, tuple[Outcome, str]] = {}
    starts = list(_TEST.finditer(said))
    for index, start in enumerate(starts):
        end = starts[index + 1].start() if index + 1 < len(starts) else len(said)
        text = said[start.start(2) : end]
        outcome = Outcome.FAILED
        if _FAILED.search(text) is None and "passed" in text:
            outcome = Outcome.SKIPPED if "[SKIPPED]" in text else Outcome.PASSED
        outcomes[f"{suite}.{start[1]}"] = (outcome, text[-_SAID:])
    return outcomes

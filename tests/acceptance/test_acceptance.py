"""How the suites of others are run and judged; the suites themselves are no tests of pytest."""

import asyncio
import os
import select
import sys
from pathlib import Path

import pytest
from tests.acceptance.clients_suite import CHANGED, Clients, Wrong, files_in, same
from tests.acceptance.clients_suite import FILES as TREE
from tests.acceptance.commands import run_program
from tests.acceptance.exceptions import FOLDER, excused, summary
from tests.acceptance.iscsi_suite import outcomes_of as iscsi_outcomes_of
from tests.acceptance.outcomes import Excused, Outcome, Product, Run, Suite, judge
from tests.acceptance.run import ROWS
from tests.acceptance.swift_suite import FILES, SUBSET, Login, Target, messages_of, outcomes_of


def _run(*, partial: bool = False, **outcomes: Outcome) -> Run:
    return Run(
        suite=Suite.ISCSI,
        product=Product.TGT,
        identity="tgt",
        outcomes=outcomes,
        messages={test: "it said no" for test, it in outcomes.items() if it is Outcome.FAILED},
        seconds=1.0,
        partial=partial,
    )


def _excused(*tests: str, product: Product = Product.TGT) -> Excused:
    return Excused(suite=Suite.ISCSI, products=(product,), tests=tests, reason="it has none")


def test_a_failure_that_is_not_written_down_is_bad() -> None:
    """A failure that is not written down makes a run bad."""
    verdict = judge(_run(one=Outcome.PASSED, two=Outcome.FAILED), ())
    assert not verdict.good
    assert verdict.failed == ("two",)
    assert verdict.messages == {"two": "it said no"}


def test_a_failure_that_is_written_down_is_as_expected() -> None:
    """A failure that is written down keeps its reason, and the run is good."""
    verdict = judge(_run(one=Outcome.PASSED, two=Outcome.FAILED), [_excused("tw*")])
    assert verdict.good
    assert verdict.excused == {"two": "it has none"}


def test_a_failure_is_written_down_for_one_server_only() -> None:
    """What is written down for one server excuses no other."""
    elsewhere = _excused("two", product=Product.MINIO)
    assert not judge(_run(one=Outcome.PASSED, two=Outcome.FAILED), [elsewhere]).good


@pytest.mark.parametrize(("outcome", "healed"), [(Outcome.PASSED, ("two",)), (Outcome.SKIPPED, ())])
def test_what_is_written_down_and_passes_is_bad(outcome: Outcome, healed: tuple[str, ...]) -> None:
    """A test that is written down as failing must fail; one that is skipped says nothing."""
    verdict = judge(_run(one=Outcome.PASSED, two=outcome), [_excused("two")])
    assert verdict.healed == healed


def test_what_is_written_down_and_not_there_is_bad() -> None:
    """A full run that does not meet a test that is written down is bad; a part of it need not."""
    assert judge(_run(one=Outcome.PASSED), [_excused("gone")]).healed == ("gone",)
    assert judge(_run(one=Outcome.PASSED, partial=True), [_excused("gone")]).good


def test_a_run_in_which_nothing_passed_is_bad() -> None:
    """Where everything was skipped nothing was shown."""
    assert not judge(_run(one=Outcome.SKIPPED), ()).good


def test_every_exception_has_its_reason_and_stands_once() -> None:
    """Every exception says why, and no test of a server is excused twice."""
    assert {path.stem for path in FOLDER.iterdir()} <= {one.name.lower() for one in Product}
    listed = [(one.suite, one.products, test) for one in excused() for test in one.tests]
    assert len(set(listed)) == len(listed)
    assert all(len(one.reason.split()) > 5 and one.tests for one in excused())


def test_the_documentation_lists_the_exceptions() -> None:
    """What docs/backends.md says is expected to fail is what is written down."""
    docs = Path(__file__).parents[2] / "docs" / "backends.md"
    assert summary() in docs.read_text(encoding="utf-8")


def test_every_server_has_a_row() -> None:
    """Every server is put through a suite, and a subset is made of files of the whole."""
    assert set(ROWS) == set(Product)
    assert all(set(SUBSET[suite]) <= set(files) for suite, files in FILES.items())


def test_a_program_that_is_interrupted_ends_with_what_it_started(tmp_path: Path) -> None:
    """Whoever is cancelled while a program runs ends it, with all that it started."""
    told = tmp_path / "child"
    os.mkfifo(told)
    command = ("/bin/sh", "-c", f"/bin/sleep 600 & echo $! > {told}; wait")

    async def interrupted() -> int:
        running = asyncio.create_task(
            run_program(command, timeout_s=600.0, environment={"PATH": "/usr/bin:/bin"})
        )
        child = await asyncio.to_thread(told.read_text, encoding="ascii")
        process = os.pidfd_open(int(child))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return process

    process = asyncio.run(interrupted())
    # It is killed, but on a busy machine it may still have to be told; left alone, it sleeps on.
    ended, _, _ = select.select([process], [], [], 300.0)
    os.close(process)

    assert ended == [process]


def test_a_program_whose_time_is_over_is_late() -> None:
    """A program that is still running when its time is over is called late."""
    command = ("/bin/sleep", "600")
    assert asyncio.run(run_program(command, timeout_s=0.0, environment={})).late


def test_a_program_that_fails_says_how() -> None:
    """Its exit status is kept, with what it said."""
    ended = asyncio.run(
        run_program(("/bin/sh", "-c", "echo no; exit 3"), timeout_s=60.0, environment={})
    )
    assert (ended.said, ended.status, ended.late) == ("no\n", 3, False)


def test_a_step_of_a_client_says_in_advance_what_it_must_give(tmp_path: Path) -> None:
    """A tree of files is what is compared: another byte, name or file is a difference."""
    login = Login(account="a", user="u", key="k")
    target = Target(product=Product.SWIFT, identity="", host="h", port=1, logins=(login,))
    it = Clients(rclone="", restic="", folder=tmp_path, target=target)
    assert files_in(it.tree("one", TREE)) == dict(TREE)
    with pytest.raises(Wrong):
        same(files_in(it.tree("one", CHANGED)), dict(TREE))
    with pytest.raises(Wrong, match="ended with 3"):
        asyncio.run(it.run("/bin/sh", "-c", "exit 3"))
    with pytest.raises(Wrong, match="ended with 0"):
        asyncio.run(it.run("/bin/sh", "-c", "exit 0", fails=True))


def test_a_program_that_ends_is_heard_to_its_end() -> None:
    """Both streams of a program are kept, in its own environment and nobody else's."""
    said = "import os, sys; print(dict(os.environ).get('ONLY')); sys.stderr.write('and this')"
    command = (sys.executable, "-c", said)
    ended = asyncio.run(run_program(command, timeout_s=60.0, environment={"ONLY": "here"}))
    assert (ended.said.splitlines(), ended.late) == (["here", "and this"], False)


def test_a_report_gives_the_worst_of_subtests_and_why(tmp_path: Path) -> None:
    """Of several results under one name the failure counts, and its message is kept."""
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="test.a.B" name="c"><failure message="no">text</failure></testcase>'
        '<testcase classname="test.a.B" name="c"/>'
        '<testcase classname="test.a.B" name="d"><skipped message="none"/></testcase>'
        "</testsuite></testsuites>",
        encoding="ascii",
    )
    assert outcomes_of(report) == {"a.B.c": Outcome.FAILED, "a.B.d": Outcome.SKIPPED}
    assert messages_of(report) == {"a.B.c": "no"}


def test_what_iscsi_test_cu_skips_has_not_passed() -> None:
    """The program calls a test passed that it skipped; here it is skipped."""
    said = (
        "  Test: Simple ...    [OK]\npassed    [FAILED] between tests\n"
        "  Test: Absent ...    [SKIPPED] not implemented\npassed\n"
        "  Test: Wrong ...    [FAILED] no\nFAILED\n    1. test.c:1  - no\n"
        "  Test: Broken ..."
    )
    assert {test: outcome for test, (outcome, _) in iscsi_outcomes_of("S", said).items()} == {
        "S.Simple": Outcome.PASSED,
        "S.Absent": Outcome.SKIPPED,
        "S.Wrong": Outcome.FAILED,
        "S.Broken": Outcome.FAILED,
    }

"""The ledger of a run, and what is cleaned up from it."""

import os
import shutil

import pytest

from holdfast.contract.errors import ConfigurationError, UsageError
from holdfast.contract.requests import Role
from holdfast_conformance.processes import RUN_VARIABLE, processes_of
from holdfast_conformance.supervision.killed_run_record import (
    Ledger,
    LedgerEntry,
    LedgerHead,
    ledgers_of,
    read_ledger,
)
from holdfast_conformance.supervision.killed_run_removal import clean_up

ODD_PROVIDER = "odd_driver:OddProvider"

pytestmark = pytest.mark.usefixtures("odd")


def test_a_run_that_cleaned_up_leaves_no_ledger() -> None:
    """There is nothing to clean up, and the message says so."""
    Ledger.begin("run-1", ODD_PROVIDER, "").close(clean=True)

    with pytest.raises(ConfigurationError, match="no run 'run-1'"):
        ledgers_of("run-1")


def test_a_mistyped_run_is_answered_with_the_nearest() -> None:
    """Run ids are long, and people type."""
    Ledger.begin("run-00aa", ODD_PROVIDER, "").close(clean=False)

    with pytest.raises(ConfigurationError, match="did you mean run-00aa"):
        ledgers_of("run-00ab")


def test_a_namespace_is_written_down_before_it_is_used() -> None:
    """What another process reads at any moment is complete, but for half a line at most."""
    ledger = Ledger.begin("run-1", ODD_PROVIDER, "embedded")
    ledger.note(Role.PRIMARY, "run-1-p1")
    head, entries = read_ledger("run-1")
    with ledger.path.open("ab") as file:
        file.write(b'{"role":"pri')
    ledger.close(clean=False)

    assert head == LedgerHead(
        run="run-1", provider=ODD_PROVIDER, testbed="embedded", process=os.getpid()
    )
    assert entries == (LedgerEntry(role=Role.PRIMARY, namespace="run-1-p1"),)
    assert read_ledger("run-1")[1] == entries


def test_a_damaged_ledger_is_named() -> None:
    """A file that is no ledger is no reason for a traceback."""
    ledger = Ledger.begin("run-1", ODD_PROVIDER, "")
    ledger.path.write_text("nothing of the kind")
    ledger.close(clean=False)

    with pytest.raises(UsageError, match="is damaged"):
        read_ledger("run-1")


@pytest.mark.slow
def test_cleaning_up_ends_processes_and_removes_namespaces() -> None:
    """Processes that carry the run's mark are killed, and the ledger is gone afterwards."""
    ledger = Ledger.begin("run-killed", ODD_PROVIDER, "")
    ledger.note(Role.PRIMARY, "run-killed-p1")
    ledger.close(clean=False)
    sleep = shutil.which("sleep") or "sleep"
    os.posix_spawn(sleep, ["sleep", "600"], {RUN_VARIABLE: "run-killed"}, setsid=True)

    cleaned = clean_up("run-killed")

    assert (cleaned.processes, cleaned.namespaces) == (1, 1)
    assert processes_of("run-killed") == ()
    with pytest.raises(ConfigurationError):
        ledgers_of("run-killed")


def test_the_lanes_of_a_run_are_found_by_the_run() -> None:
    """A certification shares its plans among lanes, and is cleaned up as one."""
    for name in ("run-1-lane1", "run-1-lane2", "run-10-lane1"):
        Ledger.begin(name, ODD_PROVIDER, "").close(clean=False)

    assert ledgers_of("run-1") == ("run-1-lane1", "run-1-lane2")

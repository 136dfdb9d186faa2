"""Removing what a killed run left: its processes, then its namespaces."""

import os

import msgspec

from holdfast.contract.errors import UsageError
from holdfast_conformance.processes import RUN_VARIABLE, backend_mark, end_processes
from holdfast_conformance.supervision.killed_run_record import (
    forget_ledger,
    ledgers_of,
    read_ledger,
)
from holdfast_conformance.supervision.supervisor import DriverRefused, Supervisor


class Cleaned(msgspec.Struct, frozen=True, kw_only=True):
    """How much was removed."""

    processes: int
    namespaces: int


def clean_up(run: str) -> Cleaned:
    """Remove whatever a run left behind in any of its lanes, and forget the run.

    Raises:
        ConfigurationError: no such run left anything.
        UsageError: the run is still going, or its driver cannot be started any more.
        EnvironmentUnavailable: the testbed needs something that is missing.
    """
    lanes = [_clean_up_lane(lane) for lane in ledgers_of(run)]
    return Cleaned(
        processes=sum(lane.processes for lane in lanes),
        namespaces=sum(lane.namespaces for lane in lanes),
    )


def _clean_up_lane(run: str) -> Cleaned:
    head, entries = read_ledger(run)
    if _is_alive(head.process, run):
        raise UsageError(f"run {run} is still going, in process {head.process}; stop that first")
    processes = end_processes(run) + end_processes(backend_mark(run))
    supervisor = Supervisor(head.provider, head.testbed, run)
    try:
        for entry in entries:
            supervisor.remove(entry.role, (entry.namespace,))
    except DriverRefused as refused:
        raise UsageError(
            f"run {run} cannot be cleaned up, because its driver {head.provider} "
            f"cannot be started: {refused}"
        ) from refused
    finally:
        supervisor.close()
    forget_ledger(run)
    return Cleaned(processes=processes, namespaces=len(entries))


def _is_alive(process: int, run: str) -> bool:
    """Whether the supervisor of the run still lives: one of its workers' parents."""
    if process == os.getpid():
        return False
    try:
        with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as file:  # noqa: PTH123 - procfs
            children = [int(child) for child in file.read().split()]
    except OSError:
        return False
    return any(_carries(child, run) for child in children)


def _carries(process: int, run: str) -> bool:
    marks = (f"{RUN_VARIABLE}={mark}".encode() for mark in (run, backend_mark(run)))
    try:
        with open(f"/proc/{process}/environ", "rb") as file:  # noqa: PTH123 - procfs
            found = file.read().split(b"\0")
    except OSError:
        return False
    return any(mark in found for mark in marks)

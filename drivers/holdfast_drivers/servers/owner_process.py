"""Whose a container, namespace or address is, and the folder where that is kept."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RUN_VARIABLE = "HOLDFAST_RUN"
"""Set for the workers of a certification; what they start belongs to the process above them."""
FOREVER = "kept"
"""The owner of what stays until ``holdfast backends down``."""


def state_folder(*parts: str) -> Path:
    """A folder of this user for what outlives a process: ``$XDG_STATE_HOME/holdfast/…``."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    folder = Path(state, "holdfast", *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def this_owner() -> str:
    """``machine/pid/start``: the process that answers for what is made now.

    A worker that is replaced leaves its servers to its successor, so they belong to the process
    that started it.
    """
    pid = os.getppid() if _RUN_VARIABLE in os.environ else os.getpid()
    return f"{_machine()}/{pid}/{_started(pid)}"


def container_name(backend: str, run: str) -> str:
    """What a backend's container in a run is called, and what else is made for it."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", f"holdfast-{backend}-{run}")


def is_dead(owner: str) -> bool:
    """Whether the owner was a process of this machine and has ended."""
    if owner == FOREVER or owner.count("/") != 2:
        return False
    machine, pid, start = owner.split("/")
    return machine == _machine() and pid.isdecimal() and _started(int(pid)) != start


def _machine() -> str:
    """Which boot and process namespace it is; outside of them a process number means nothing."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot[:8]}-{Path('/proc/self/ns/pid').stat().st_ino}"


def _started(pid: int) -> str:
    """The process's start in clock ticks since boot, and ``-`` when it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "-"
    state, *fields = stat.rpartition(")")[2].split()
    return "-" if state in "ZX" else fields[18]


@contextmanager
def machine_lock(name: str) -> Iterator[None]:
    """Blocking: one process of this user at a time does what the name says."""
    path = state_folder("locks") / name
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""What a run may leave behind if it is killed: written down before it is created.

The ledger of a run lives in the user's state folder until the run has cleaned up after itself;
``holdfast certify --cleanup RUN`` works from it.
"""

import os
from pathlib import Path

import msgspec

from holdfast.contract.errors import ConfigurationError, UsageError
from holdfast.contract.requests import Role
from holdfast.text.nearest import nearest_names
from holdfast_conformance.supervision.output_files import writing

_SUFFIX = ".jsonl"
LANE = "-lane"
"""What comes between the id of a certification and the number of one of its lanes."""


class LedgerHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first line: which run, of what, by which process."""

    run: str
    provider: str
    testbed: str
    process: int


class LedgerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A namespace that is about to be used."""

    role: Role
    namespace: str


class Ledger:
    """The ledger of a run that is under way.

    Args:
        head: what the run is.

    Raises:
        EnvironmentUnavailable: the user's state folder cannot be written.
    """

    def __init__(self, head: LedgerHead) -> None:
        folder = ledger_folder()
        self.path = folder / f"{head.run}{_SUFFIX}"
        with writing(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("xb", buffering=0)
            self._file.write(msgspec.json.encode(head) + b"\n")

    @classmethod
    def begin(cls, run: str, provider: str, testbed: str) -> "Ledger":
        """The ledger of a run that this process begins now."""
        head = LedgerHead(run=run, provider=provider, testbed=testbed, process=os.getpid())
        return cls(head)

    def note(self, role: Role, namespace: str) -> None:
        """Write a namespace down before anything is created in it."""
        entry = LedgerEntry(role=role, namespace=namespace)
        with writing(self.path):
            self._file.write(msgspec.json.encode(entry) + b"\n")

    def close(self, *, clean: bool) -> bool:
        """End the ledger, and delete it where nothing is left behind; ``clean`` again."""
        self._file.close()
        if clean:
            self.path.unlink(missing_ok=True)
        return clean


def ledger_folder() -> Path:
    """Where ledgers are kept: ``$XDG_STATE_HOME/holdfast/runs``."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "holdfast" / "runs"


def ledgers_of(run: str) -> tuple[str, ...]:
    """The runs whose ledgers are here: ``run`` itself, or the lanes of that certification.

    Raises:
        ConfigurationError: there is none; the nearest runs are named.
    """
    known = sorted(found.stem for found in ledger_folder().glob(f"*{_SUFFIX}"))
    found = tuple(name for name in known if name == run or name.startswith(f"{run}{LANE}"))
    if not found:
        near = nearest_names(run, known)
        raise ConfigurationError(f"no run {run!r} left anything behind; {near}")
    return found


def read_ledger(run: str) -> tuple[LedgerHead, tuple[LedgerEntry, ...]]:
    """The ledger of one run or lane; ``UsageError`` when it is damaged."""
    path = ledger_folder() / f"{run}{_SUFFIX}"
    # A run that was killed may have left half a line.
    lines = [line for line in path.read_bytes().split(b"\n") if line.endswith(b"}")]
    try:
        head = msgspec.json.decode(lines[0], type=LedgerHead)
        entries = tuple(msgspec.json.decode(line, type=LedgerEntry) for line in lines[1:])
    except (IndexError, msgspec.DecodeError) as problem:
        raise UsageError(f"{path} is damaged: {problem}") from problem
    return head, entries


def forget_ledger(run: str) -> None:
    """Delete the ledger of a run whose remains are removed."""
    (ledger_folder() / f"{run}{_SUFFIX}").unlink(missing_ok=True)

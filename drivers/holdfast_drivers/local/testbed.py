"""The testbed: a temporary folder with a sandbox of its own around every store."""

import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from holdfast.errors import ErrorKind
from holdfast.requests import Role
from holdfast.runtime import runtime
from holdfast.testbed import BackendIdentity, BadConfig, Fault, Inspector, Testbed, TestbedKind
from holdfast_drivers.local.config import Attach, LocalConfig
from holdfast_drivers.local.inspector import LocalInspector
from holdfast_drivers.local.names import name_of

_STORES = "stores"
_DOWN = "stores.down"
_DECOYS = (
    "store.json",
    "lock",
    "staging/decoy",
    "outer/volumes/decoy/data",
    "outer/decoy",
    "outer/root/neighbour/primary/store.json",
    "outer/root/neighbour/primary/volumes/decoy/row.json",
)


class LocalTestbed(Testbed):
    """Folders of this machine, each namespace in a sandbox with files that nobody may touch."""

    kind = TestbedKind.EMBEDDED
    second_path = "the files themselves, read without the driver's code"
    faults = frozenset({Fault.DOWN})

    def __init__(self, base: Path, attach: Attach = Attach.FILE) -> None:
        self._attach = attach
        self.data_plane = attach is Attach.DAEMON
        self._stores = base / _STORES
        self._down = base / _DOWN
        self.identity = BackendIdentity(
            vendor="Linux",
            product=_file_system_of(base),
            version=platform.release(),
            detail=f"folders under {base}",
        )

    def _sandbox(self, role: Role, namespace: str) -> Path:
        return self._stores / f"{role.value}.{name_of(namespace)}"

    def _root(self, role: Role, namespace: str) -> Path:
        return self._sandbox(role, namespace) / "outer" / "root"

    def config(self, role: Role, namespace: str) -> LocalConfig:
        """A configuration in a sandbox of its own, which is made on first use."""
        sandbox = self._sandbox(role, namespace)
        if not sandbox.exists():
            for decoy in _DECOYS:
                path = sandbox / decoy
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(decoy.encode())
        root = str(self._root(role, namespace))
        return LocalConfig(root=root, namespace=namespace, attach=self._attach)

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Roots that are missing, no folder, not absolute or closed."""
        root = Path(self.config(role, namespace).root)
        refused = (ErrorKind.INVALID,)
        roots = {
            "missing folder": root / "missing",
            "missing parent": root.parent / "missing" / "root",
            "a file": root.parent / "decoy",
            "under a file": root.parent / "decoy" / "root",
            "a relative path": Path("decoy"),
            "a path that is too long": root / ("x" * 300),
        }
        found = [
            BadConfig(
                name=name,
                config=LocalConfig(root=str(path), namespace=namespace),
                expected=refused,
            )
            for name, path in roots.items()
        ]
        found.append(
            BadConfig(
                name="no capacity",
                config=LocalConfig(root=str(root), namespace=namespace, capacity_bytes=0),
                expected=refused,
            )
        )
        if Path("/proc/self").is_dir():  # a folder in which nobody, not even root, makes anything
            found.append(
                BadConfig(
                    name="a folder that cannot be written",
                    config=LocalConfig(root="/proc/self", namespace=namespace),
                    expected=(ErrorKind.INVALID, ErrorKind.DENIED),
                )
            )
        return tuple(found)

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Reads the namespace's folder directly."""
        folder = self._root(role, namespace) / name_of(namespace) / role.value
        return LocalInspector(self._sandbox(role, namespace), folder, role)

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        """Move every root away, as if the disk under them were gone."""
        if fault is not Fault.DOWN:
            raise ValueError(f"a folder has no fault {fault}")
        self._stores.rename(self._down)
        try:
            yield
        finally:
            self._down.rename(self._stores)

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove the namespace's sandbox with all that is in it."""
        await runtime().run_blocking(
            shutil.rmtree, self._sandbox(role, namespace), ignore_errors=True
        )


def local_testbed(run: str) -> AbstractAsyncContextManager[LocalTestbed]:
    """A testbed whose volumes are used as files."""
    return _testbed(run, Attach.FILE)


def attached_testbed(run: str) -> AbstractAsyncContextManager[LocalTestbed]:
    """A testbed whose volumes are used through the host's storage daemon."""
    return _testbed(run, Attach.DAEMON)


@asynccontextmanager
async def _testbed(run: str, attach: Attach) -> AsyncIterator[LocalTestbed]:
    """A testbed in a temporary folder that is named after the run id.

    The name has nothing else in it, so that a run that was killed can be cleaned up.
    """
    base = Path(tempfile.gettempdir()) / f"holdfast-{name_of(run)}"
    base.mkdir(mode=0o700, exist_ok=True)
    if (base / _DOWN).exists():
        (base / _DOWN).rename(base / _STORES)
    (base / _STORES).mkdir(exist_ok=True)
    try:
        yield LocalTestbed(base, attach)
    finally:
        await runtime().run_blocking(shutil.rmtree, base, ignore_errors=True)


def _file_system_of(path: Path) -> str:
    """The name of the file system that holds a folder, as the kernel calls it."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "file system"
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    found = [line.split(" - ")[1].split()[0] for line in lines if line.split()[2] == wanted]
    return found[-1] if found else "file system"

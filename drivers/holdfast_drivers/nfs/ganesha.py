"""The exports of a running nfs-ganesha, by D-Bus. Runs on the storage host; blocking.

``dbus-send`` speaks for us: a call takes some milliseconds, and nothing secret is in it.
"""

import re
import subprocess
from pathlib import Path
from typing import Final

import msgspec

_SERVICE: Final = "org.ganesha.nfsd"
_OBJECT: Final = "/org/ganesha/nfsd/ExportMgr"
_INTERFACE: Final = "org.ganesha.nfsd.exportmgr"
_EXPORT: Final = re.compile(r'^\s+uint16 (\d+)\n\s+string "([^"]*)"', re.MULTILINE)
_ABSENT: Final = ("ServiceUnknown", "NameHasNoOwner", "Failed to open connection", "FileNotFound")


class GaneshaRefused(Exception):
    """ganesha answered with an error; ``active``: an export with this id is there already."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(f"nfs-ganesha refuses to {what}: {text}")
        self.active = "already active" in text
        self.unknown = "not found" in text


class GaneshaUnreachable(Exception):
    """ganesha is not on the system's D-Bus, or gave no answer; ``absent``: it was not asked."""

    def __init__(self, what: str, *, absent: bool) -> None:
        super().__init__(what)
        self.absent = absent


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """One export of one volume to one host."""

    number: int
    path: str
    pseudo: str
    client: str
    read_only: bool

    def text(self) -> str:
        """The export as ganesha's configuration has it."""
        access = "RO" if self.read_only else "RW"
        return (
            f'EXPORT {{ Export_Id = {self.number}; Path = "{self.path}"; Pseudo = {self.pseudo};'
            " Access_Type = None; Squash = None; SecType = sys; Protocols = 3; Transports = TCP;"
            f" CLIENT {{ Clients = {self.client}; Access_Type = {access}; }}"
            " FSAL { Name = VFS; } }\n"
        )


class Ganesha:
    """The server, by its place on the D-Bus and its process.

    Args:
        pid_file: where its process number is.
        timeout_s: how long one answer may take.
    """

    def __init__(self, pid_file: Path, timeout_s: float = 10.0) -> None:
        self._pid_file = pid_file
        self._timeout_s = timeout_s

    def pid(self) -> int:
        """Its process; 0 where it does not run."""
        try:
            return int(self._pid_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def instance(self) -> str:
        """Names this life of the server: another one knows nothing that this one was told."""
        pid = self.pid()
        try:
            status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return ""
        started = status.rpartition(")")[2].split()[19]
        return f"{pid}.{started}"

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            self.exports()
        except (GaneshaUnreachable, GaneshaRefused):
            return False
        return True

    def exports(self) -> dict[int, str]:
        """The pseudo path of every export, by its number."""
        answer = self._call("show exports", "ShowExports")
        return {int(number): pseudo for number, pseudo in _EXPORT.findall(answer)}

    def add(self, file: Path, number: int) -> None:
        """Serve an export that a file describes."""
        self._call(
            "add an export", "AddExport", f"string:{file}", f"string:EXPORT(Export_Id={number})"
        )

    def remove(self, number: int) -> None:
        """Serve an export no more; one that is not there is no error."""
        try:
            self._call("remove an export", "RemoveExport", f"uint16:{number}")
        except GaneshaRefused as refused:
            if not refused.unknown:
                raise

    def uses(self, inode: tuple[int, int]) -> bool:
        """Whether the server has a file open: a call to it may be under way."""
        try:
            links = list(Path(f"/proc/{self.pid()}/fd").iterdir())
        except FileNotFoundError:
            return False
        return any(_is_open(link, inode) for link in links)

    def _call(self, what: str, method: str, *arguments: str) -> str:
        argv = [
            "dbus-send",
            "--system",
            "--print-reply",
            f"--reply-timeout={int(self._timeout_s * 1000)}",
            f"--dest={_SERVICE}",
            _OBJECT,
            f"{_INTERFACE}.{method}",
            *arguments,
        ]
        try:
            result = subprocess.run(argv, capture_output=True, check=False, text=True)  # noqa: S603 - no shell
        except FileNotFoundError:
            raise GaneshaUnreachable("dbus-send is not installed", absent=True) from None
        if result.returncode == 0:
            return result.stdout
        text = " ".join(result.stderr.split())
        if any(word in text for word in _ABSENT):
            raise GaneshaUnreachable(f"nfs-ganesha is not on the D-Bus: {text}", absent=True)
        if "NoReply" in text or "Disconnected" in text:
            raise GaneshaUnreachable(f"nfs-ganesha gave no answer: {text}", absent=False)
        raise GaneshaRefused(what, text)


def _is_open(link: Path, inode: tuple[int, int]) -> bool:
    try:
        status = link.stat()
    except OSError:
        return False  # it was closed meanwhile
    return (status.st_dev, status.st_ino) == inode

"""Grants as exports of nfs-ganesha: for each grant a folder with one more name of the volume's
file, exported to the address of one host and to nobody else.

A grant is recorded in the store's folder; its export is written where ganesha reads it when it
starts. Runs on the storage host; blocking.
"""

import contextlib
import hashlib
import re
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from holdfast.contract import requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import Corrupt, Internal, Invalid, Unavailable, Unknown
from holdfast.files import mutations
from holdfast.files.trees import TreePath
from holdfast_drivers.local.grants import GrantName
from holdfast_drivers.local.names import name_of
from holdfast_drivers.local.records import note, noted
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.nfs.ganesha import Export, Ganesha, GaneshaRefused, GaneshaUnreachable
from holdfast_drivers.nfs.primary_config import address_of
from holdfast_drivers.storage_host.grant_replay import Record, RecordKeeper, recorded

VOLUME: Final = "volume"
PSEUDO: Final = "/holdfast"
_FIRST: Final = 1000
_NUMBERS: Final = 64000
_PAUSE_S: Final = 0.002
_QUIET_TRIES: Final = 2000


class GrantRecord(Record, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is under a grant's name."""

    client: str


class GaneshaKeeper(RecordKeeper[GrantRecord]):
    """Makes exports for grants and takes them away.

    Args:
        place: the store's folder.
        ganesha: serves its volumes.
        exports: the folder that ganesha reads when it starts.
        hosts: the address of each host.
    """

    def __init__(
        self, place: Place, ganesha: Ganesha, exports: Path, hosts: dict[str, str]
    ) -> None:
        self._place = place
        self._ganesha = ganesha
        self._exports = exports
        self._hosts = hosts
        self._served = place.folder / "served"

    # Where things are

    def folder(self, grant: str) -> TreePath:
        """The folder that is exported for a grant."""
        return self._served / grant

    def _described(self, grant: str) -> TreePath:
        """The file that describes a grant's export to ganesha."""
        return TreePath(self._exports) / f"{grant}.conf"

    def _marker(self, grant: str) -> TreePath:
        """Says which life of ganesha serves the export."""
        return self._served / f"{grant}.by"

    def read(self, granted: GrantName) -> GrantRecord | None:
        """What is recorded of a grant; ``None`` where it is gone."""
        return recorded(granted, GrantRecord)

    # Granting

    def prepare(self, grant: GrantName, request: requests.Grant) -> None:
        address_of(self._hosts, request.host)
        if not self._exports.is_dir():
            raise Invalid(
                f"setting `exports_folder`: there is no folder {self._exports} on the storage host"
            )
        if not self._ganesha.instance():
            raise Unavailable(
                "nfs-ganesha does not run on the storage host (setting `pid_file`); nothing was "
                "granted",
                object=request.volume,
            )

    def record(self, grant: GrantName, data: TreePath, request: requests.Grant) -> None:
        record = GrantRecord(
            volume=request.volume,
            host=request.host,
            client=address_of(self._hosts, request.host),
        )
        staged = self._staged(request.volume)
        mutations.write_new(staged, msgspec.json.encode(record))
        mutations.rename(staged, grant.path)

    def admit(self, grant: GrantName, data: TreePath) -> None:
        if self.is_admitted(grant, data):
            return
        record = self.read(grant)
        if record is None:
            raise Corrupt(f"{grant.path} is lost; grant the volume again")
        instance = self._ganesha.instance()
        with _told():
            self._offer(grant.id, data)
            self._serve(grant, record)
            self._mark(grant.id, instance)

    def _offer(self, grant: str, data: TreePath) -> None:
        """Make the folder with the volume's other name."""
        for folder in (self._served, self.folder(grant)):
            with contextlib.suppress(FileExistsError):
                mutations.mkdir(folder)
        with contextlib.suppress(FileExistsError):
            mutations.link(data, self.folder(grant) / VOLUME)
        mutations.fsync_directory(self.folder(grant))

    def _serve(self, grant: GrantName, record: GrantRecord) -> None:
        """Have ganesha serve the folder, under a number that no other export has."""
        pseudo = f"{PSEUDO}/{grant.id}"
        for attempt in range(_NUMBERS):
            number = _number(grant.id, attempt)
            export = Export(
                number=number,
                path=str(self.folder(grant.id)),
                pseudo=pseudo,
                client=record.client,
                read_only=grant.mode is AccessMode.READ_ONLY,
            )
            self._describe(grant.id, export)
            try:
                self._ganesha.add(self._described(grant.id).path, number)
            except GaneshaRefused as refused:
                if not refused.active:
                    raise
                exports = self._ganesha.exports()
                if pseudo in exports.values():
                    return
                continue  # the number is another export's
            return
        raise Internal("nfs-ganesha has no free number for an export")

    def _describe(self, grant: str, export: Export) -> None:
        path = self._described(grant)
        text = export.text().encode()
        with contextlib.suppress(FileNotFoundError):
            if path.read_bytes() == text:
                return
        staged = path.parent / f"{grant}.new"
        with contextlib.suppress(FileNotFoundError):
            mutations.unlink(staged)
        mutations.write_new(staged, text)
        mutations.rename(staged, path)
        mutations.fsync_directory(path.parent)

    def _mark(self, grant: str, instance: str) -> None:
        """Remember who serves the export, so that nobody need ask before the next life."""
        note(self._marker(grant), instance)

    def is_admitted(self, grant: GrantName, data: TreePath) -> bool:
        try:
            marked = noted(self._marker(grant.id))
        except FileNotFoundError:
            return False
        return marked == self._ganesha.instance()

    # Taking away

    def dismiss(self, grant: GrantName) -> None:
        with contextlib.suppress(FileNotFoundError):
            mutations.unlink(self._marker(grant.id))
        numbers = self._numbers(grant.id)
        with contextlib.suppress(FileNotFoundError):
            mutations.unlink(self._described(grant.id))
            mutations.fsync_directory(self._exports)
        if self._ganesha.instance():
            with _told(late=True):
                self._take_away(grant, numbers)
        mutations.remove_tree(self.folder(grant.id))

    def _numbers(self, grant: str) -> list[int]:
        """The number that a grant's export has, as it was described to ganesha."""
        try:
            text = self._described(grant).read_bytes()
        except FileNotFoundError:
            return []
        return [int(number) for number in re.findall(rb"Export_Id = (\d{1,5});", text)[:1]]

    def _take_away(self, grant: GrantName, numbers: list[int]) -> None:
        """Remove the export, and wait for the calls that came before."""
        pseudo = f"{PSEUDO}/{grant.id}"
        try:
            if not numbers:  # a killed call has removed the description
                exports = self._ganesha.exports()
                numbers = [number for number, path in exports.items() if path == pseudo]
            for number in numbers:
                self._ganesha.remove(number)
        except GaneshaUnreachable:
            if not self._ganesha.instance():
                return  # nobody serves anybody, and what starts now reads no description
            raise
        if grant.mode is AccessMode.EXCLUSIVE:
            self._wait_until_quiet(grant)

    def _wait_until_quiet(self, grant: GrantName) -> None:
        """Ganesha closes a file that no export leads to once the last call to it is over."""
        try:
            status = (self.folder(grant.id) / VOLUME).regular()
        except FileNotFoundError:
            return
        for _ in range(_QUIET_TRIES):
            if not self._ganesha.uses((status.st_dev, status.st_ino)):
                return
            select.select((), (), (), _PAUSE_S)
        raise Unknown("nfs-ganesha is still at work on the volume")

    def leftovers(self, volume: str) -> list[TreePath]:
        staged = self._staged(volume)
        return [staged] if staged.exists() else []

    def _staged(self, volume: str) -> TreePath:
        return self._place.staging / f"grant.{name_of(volume)}"


def _number(grant: str, attempt: int) -> int:
    """The number that a grant's export is to have; ganesha's numbers have 16 bits."""
    digest = hashlib.blake2b(grant.encode(), digest_size=8).digest()
    return _FIRST + (int.from_bytes(digest, "little") + attempt) % _NUMBERS


@contextlib.contextmanager
def _told(*, late: bool = False) -> Iterator[None]:
    """Let only driver errors out; ``late``: the outcome is not known."""
    try:
        yield
    except GaneshaUnreachable as error:
        kind = Unknown if late or not error.absent else Unavailable
        raise kind(str(error)) from error
    except GaneshaRefused as error:
        raise Internal(str(error)) from error

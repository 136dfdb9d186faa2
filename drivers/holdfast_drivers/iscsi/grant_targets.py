"""Grants as targets of tgt: one target for each grant, with one LUN and one host allowed.

A grant is recorded in the store's folder, and the record says all that tgt must know, since tgt
forgets everything when it ends. Runs on the storage host; blocking.
"""

import contextlib
import re
import select
from collections.abc import Iterator
from typing import Final

import msgspec

from holdfast.contract import requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import Corrupt, Internal, Unavailable, Unknown
from holdfast.data.locked_file import inode_of
from holdfast.files import mutations
from holdfast.files.trees import Strange, TreePath
from holdfast_drivers.iscsi.config import check_secret
from holdfast_drivers.iscsi.names import initiator_name, target_name
from holdfast_drivers.iscsi.tgt import Target, Tgt, TgtRefused, TgtUnreachable, number_of
from holdfast_drivers.local.grants import GrantName
from holdfast_drivers.local.names import name_of
from holdfast_drivers.local.records import decoded
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.local.volumes import VolumeRow
from holdfast_drivers.storage_host.grant_replay import Record, RecordKeeper, recorded

LUN: Final = 1
TUNED: Final = (
    ("MaxRecvDataSegmentLength", "262144"),
    ("MaxXmitDataSegmentLength", "262144"),
    ("MaxBurstLength", "1048576"),
    ("FirstBurstLength", "262144"),
    ("InitialR2T", "No"),
    ("ImmediateData", "Yes"),
)
"""What initiators are offered at their login; the defaults are several times slower."""
_SERIAL: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_PAUSE_S: Final = 0.002
_TRIES_MAX: Final = 2000


class GrantRecord(Record, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is under a grant's name; readable by its owner alone, since ``secret`` is in it."""

    target: str
    serial: str
    secret: str = ""


class MutualAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What targets prove themselves with; no user is none."""

    user: str = ""
    secret: str = ""


class TgtKeeper(RecordKeeper[GrantRecord]):
    """Makes targets for grants and takes them away.

    Args:
        place: the store's folder.
        tgt: serves its volumes.
        mutual: of every target.
    """

    def __init__(self, place: Place, tgt: Tgt, mutual: MutualAccount) -> None:
        self._place = place
        self._tgt = tgt
        self._mutual = mutual

    def prepare(self, grant: GrantName, request: requests.Grant) -> None:
        check_secret("the secret of the grant", request.secret)
        if not self._tgt.is_ready():
            raise Unavailable(
                "tgt on the storage host does not answer; nothing was granted",
                object=request.volume,
            )

    def record(self, grant: GrantName, data: TreePath, request: requests.Grant) -> None:
        path = data.parent / "row.json"
        row = decoded(path, path.read_bytes(), VolumeRow)
        record = GrantRecord(
            volume=request.volume,
            host=request.host,
            target=target_name(row.id, grant.id),
            serial=row.id,
            secret=request.secret,
        )
        staged = self._staged(request.volume)
        mutations.write_new(staged, msgspec.json.encode(record))
        mutations.rename(staged, grant.path)

    def read(self, granted: GrantName) -> GrantRecord | None:
        """What is recorded of a grant; ``None`` where it is gone."""
        record = recorded(granted, GrantRecord)
        if record is None:
            return None
        expected = target_name(record.serial, granted.id)
        if record.target != expected or not _SERIAL.fullmatch(record.serial):
            raise Corrupt(f"{granted.path} is damaged; revoke this grant")
        return record

    def admit(self, grant: GrantName, data: TreePath) -> None:
        record = self.read(grant)
        if record is None:
            raise Corrupt(f"{grant.path} is lost; grant the volume again")
        with _told():
            target = self._find(record)
            if target is not None and _is_whole(target, record, data):
                return
            number = number_of(record.target)
            if target is not None:
                self._delete_target(target)
            self._make(number, record, grant, data)

    def _make(self, number: int, record: GrantRecord, grant: GrantName, data: TreePath) -> None:
        tgt = self._tgt
        tgt.new_target(number, record.target, TUNED)
        read_only = grant.mode is AccessMode.READ_ONLY
        opened = inode_of(data.regular())
        tgt.new_lun(number, LUN, str(data), serial=record.serial, read_only=read_only)
        if inode_of(data.regular()) != opened:  # tgt opens a path by itself, and follows links
            raise Corrupt(f"{data} was replaced while tgt opened it; grant the volume again")
        if record.secret:
            tgt.set_account(grant.id, record.secret)
            tgt.bind_account(number, grant.id)
        if self._mutual.user:
            tgt.keep_account(self._mutual.user, self._mutual.secret)
            tgt.bind_account(number, self._mutual.user, outgoing=True)
        tgt.allow(number, initiator_name(record.host))  # only now can anybody log in

    def _find(self, record: GrantRecord) -> Target | None:
        target = self._tgt.target(number_of(record.target))
        if target is not None and target.name != record.target:
            raise Internal(f"tgt has {target.name} under the number of {record.target}")
        return target

    def dismiss(self, grant: GrantName) -> None:
        try:
            with _told(late=True):
                self._take_away(self._served(grant), grant.id)
        except _Absent:
            return  # a tgt that does not run serves nobody, and learns of no grant without record

    def _served(self, grant: GrantName) -> Target | None:
        """The target of a grant; where its record is damaged, the one that has the grant's id."""
        try:
            record = self.read(grant)
        except (Corrupt, Strange):
            ending = f".{grant.id}"
            matches = (target for target in self._tgt.targets() if target.name.endswith(ending))
            return next(matches, None)
        return None if record is None else self._find(record)

    def _take_away(self, target: Target | None, user: str) -> None:
        """Make every command of the host fail, wait for those at work, and remove the target."""
        if target is not None:
            for initiator in target.initiators:
                self._tgt.forbid(target.number, initiator)
            self._delete_target(target)
        self._tgt.delete_account(user)

    def _delete_target(self, target: Target) -> None:
        """Delete the LUN first, so that the host is kept from the volume as early as can be."""
        tgt, number = self._tgt, target.number
        for _ in range(_TRIES_MAX):
            if tgt.delete_lun(number, LUN) and tgt.delete_target(number):
                return
            # Somebody is always at work: no more commands from there.
            for connection in target.connections:
                tgt.hang_up(number, connection)
            select.select((), (), (), _PAUSE_S)
            target = tgt.target(number) or target
        raise Unknown(f"somebody is still at work on the volume by {target.name}")

    def is_admitted(self, grant: GrantName, data: TreePath) -> bool:
        record = self.read(grant)
        if record is None:
            return False
        with _told():
            target = self._find(record)
        return target is not None and _is_whole(target, record, data)

    def leftovers(self, volume: str) -> list[TreePath]:
        staged = self._staged(volume)
        return [staged] if staged.exists() else []

    def _staged(self, volume: str) -> TreePath:
        return self._place.staging / f"grant.{name_of(volume)}"


def _is_whole(target: Target, record: GrantRecord, data: TreePath) -> bool:
    """Whether nothing is missing; the host is allowed last of all."""
    allowed = initiator_name(record.host) in target.initiators
    return allowed and (LUN, str(data)) in target.luns


class _Absent(Exception):
    """There is no tgt."""


@contextlib.contextmanager
def _told(*, late: bool = False) -> Iterator[None]:
    """Let only driver errors out; ``late``: also ``_Absent``, and an outcome that is not known."""
    try:
        yield
    except TgtUnreachable as error:
        if late and error.absent:
            raise _Absent from error
        kind = Unknown if late else Unavailable
        raise kind(f"{error} (setting tgt_socket)") from error
    except TgtRefused as error:
        raise Internal(str(error)) from error

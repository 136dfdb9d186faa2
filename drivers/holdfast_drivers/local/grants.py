"""Grants as names: a granted volume's file has one more name for each grant, which revoke removes.

The name says everything: ``<volume>.<host>.<mode>.<grant id>.<operation>``, the host as a digest.
So a grant comes and goes with one system call and is never half there.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from holdfast import files, infos, requests
from holdfast.capabilities import AccessMode
from holdfast.errors import Conflict, InUse, NotFound
from holdfast_drivers.local.errors import after_the_fact
from holdfast_drivers.local.names import key_of, name_of
from holdfast_drivers.local.place import Place, StoreRow

_OPERATION_MAX: Final = 40
_HOST_DIGEST_BYTES: Final = 8
_MODES: Final = {AccessMode.EXCLUSIVE: "x", AccessMode.READ_ONLY: "r"}
_MODE_OF: Final = {letter: mode for mode, letter in _MODES.items()}


class GrantName(msgspec.Struct, frozen=True, kw_only=True):
    """One grant, as its name says it; ``volume`` and ``host`` are names, not keys."""

    volume: str
    host: str
    mode: AccessMode
    id: str
    operation: str
    path: Path


def host_name(host: str) -> str:
    """How a host appears in the names of its grants."""
    return hashlib.blake2b(host.encode(), digest_size=_HOST_DIGEST_BYTES).hexdigest()


class Grants:
    """The grants of one store. Callers hold the volume's lock when they change anything."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._folder = place.grants

    def all(self) -> list[GrantName]:
        """Every grant of the store."""
        found = (_parsed(path) for path in sorted(self._folder.iterdir()))
        return [granted for granted in found if granted is not None]

    def of(self, volume: str) -> list[GrantName]:
        """The grants of one volume."""
        name = name_of(volume)
        return [granted for granted in self.all() if granted.volume == name]

    def find(self, volume: str, host: str) -> GrantName | None:
        """A host's grant of a volume."""
        name = host_name(host)
        return next((granted for granted in self.of(volume) if granted.host == name), None)

    def refuse_in_use(self, volume: str) -> None:
        """``InUse`` while any host has a grant of the volume."""
        found = self.of(volume)
        if found:
            names = {host_name(host): host for host in self._place.row().hosts}
            holders = tuple(names.get(granted.host, granted.id) for granted in found)
            raise InUse(
                f"the volume is granted to {', '.join(holders)}; revoke first",
                object=volume,
                holders=holders,
            )

    def grant(
        self, store: StoreRow, request: requests.Grant, data: Path, *, operation: str, fresh: str
    ) -> infos.GrantInfo:
        """Give a volume's file the name of a new grant, or find the one there is."""
        if request.host not in store.hosts:
            raise NotFound(
                f"host {request.host} is not attached to the store; attach it first",
                object=request.volume,
            )
        for granted in self.of(request.volume):
            if granted.host == host_name(request.host):
                again = _again(granted, request)
                with after_the_fact(request.volume):
                    self.settle()
                return again
            if AccessMode.EXCLUSIVE in {granted.mode, request.mode}:
                self.refuse_in_use(request.volume)
        path = self._folder / _grant_name(request, operation, fresh)
        files.link(data, path)
        try:
            self.settle()
        except BaseException:
            with after_the_fact(request.volume):
                files.unlink(path)
            raise
        return _info(fresh, request)

    def revoke(self, volume: str, host: str) -> None:
        """Remove the name of a host's grant, if there is one."""
        granted = self.find(volume, host)
        if granted is not None:
            files.unlink(granted.path)
        with after_the_fact(volume):
            self.settle()

    def settle(self) -> None:
        """Make durable what can be seen; a killed call may not have come to that."""
        files.fsync_directory(self._folder)


def _grant_name(request: requests.Grant, operation: str, fresh: str) -> str:
    by = name_of(operation, longest=165)
    return ".".join(
        (
            name_of(request.volume),
            host_name(request.host),
            _MODES[request.mode],
            fresh,
            by if len(by) <= _OPERATION_MAX else "",
        )
    )


def _parsed(path: Path) -> GrantName | None:
    """The grant of this name; ``None`` for a name that no grant ever had."""
    match path.name.split("."):
        case [volume, host, mode, name, operation] if mode in _MODE_OF:
            pass
        case _:
            return None
    return GrantName(
        volume=volume,
        host=host,
        mode=_MODE_OF[mode],
        id=name,
        operation=key_of(operation) or "",
        path=path,
    )


def _again(granted: GrantName, request: requests.Grant) -> infos.GrantInfo:
    if granted.mode is not request.mode:
        raise Conflict(
            f"host {request.host} has the volume as {granted.mode}; revoke first",
            object=request.volume,
        )
    return _info(granted.id, request)


def _info(name: str, request: requests.Grant) -> infos.GrantInfo:
    return infos.GrantInfo(id=name, volume=request.volume, host=request.host, mode=request.mode)

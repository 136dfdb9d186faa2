"""Grants of volumes that are files, here or on a storage host: who may use one beside whom.

The name says everything: ``<volume>.<host>.<mode>.<grant id>.<operation>``, the host as a digest.
What is under the name, and what else lets a host in, is a keeper's business: here the name is one
more name of the volume's file, elsewhere a server is told to serve it.
"""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import Conflict, InUse, NotFound
from holdfast.files import mutations
from holdfast.files.trees import TreePath
from holdfast_drivers.local.errors import SET_APART, after_the_fact
from holdfast_drivers.local.keyed_folders import Unreadable
from holdfast_drivers.local.names import key_of, name_of
from holdfast_drivers.local.store_folder import Place, StoreRow

_OPERATION_MAX: Final = 40
_HOST_DIGEST_BYTES: Final = 8
_MODES: Final = {AccessMode.EXCLUSIVE: "x", AccessMode.READ_ONLY: "r"}
_NAME: Final = re.compile(r"[a-z0-9_%~-]+\.[0-9a-f]{16}\.[xr]\.[A-Za-z0-9_-]+\.[a-z0-9_%~-]*")
_MODE_OF: Final = {letter: mode for mode, letter in _MODES.items()}


class GrantName(msgspec.Struct, frozen=True, kw_only=True):
    """One grant, as its name says it; ``volume`` and ``host`` are names, not keys."""

    volume: str
    host: str
    mode: AccessMode
    id: str
    operation: str
    path: TreePath


def host_name(host: str) -> str:
    """How a host appears in the names of its grants."""
    return hashlib.blake2b(host.encode(), digest_size=_HOST_DIGEST_BYTES).hexdigest()


class GrantKeeper(ABC):
    """What a grant is made of. Blocking; callers hold the volume's lock, and every method may be
    called again after a call that was killed.
    """

    @abstractmethod
    def prepare(self, grant: GrantName, request: requests.Grant) -> None:
        """Refuse what cannot be granted, before anything is recorded."""

    @abstractmethod
    def record(self, grant: GrantName, data: TreePath, request: requests.Grant) -> None:
        """Make the grant's name appear in one step; it is synced afterwards."""

    @abstractmethod
    def admit(self, grant: GrantName, data: TreePath) -> None:
        """Let the host in, also where it is in already; the grant is recorded durably."""

    @abstractmethod
    def dismiss(self, grant: GrantName) -> None:
        """Keep the host out; once this returns, nothing it sends to the volume succeeds."""

    @abstractmethod
    def is_admitted(self, grant: GrantName, data: TreePath) -> bool:
        """Whether the host is let in, completely."""

    @abstractmethod
    def leftovers(self, volume: str) -> list[TreePath]:
        """What a killed call left of grants of a volume, besides what is recorded."""


class LinkKeeper(GrantKeeper):
    """The name is one more name of the volume's file: whoever finds it may use the volume."""

    def prepare(self, grant: GrantName, request: requests.Grant) -> None:
        """Every volume can be granted."""

    def record(self, grant: GrantName, data: TreePath, request: requests.Grant) -> None:
        mutations.link(data, grant.path)

    def admit(self, grant: GrantName, data: TreePath) -> None:
        """The name is all there is."""

    def dismiss(self, grant: GrantName) -> None:
        """Without its name the grant is useless, once calls under way have ended."""

    def is_admitted(self, grant: GrantName, data: TreePath) -> bool:
        return True

    def leftovers(self, volume: str) -> list[TreePath]:
        return []


class Grants:
    """The grants of one store. Callers hold the volume's lock when they change anything."""

    def __init__(self, place: Place, keeper: GrantKeeper | None = None) -> None:
        self.keeper = keeper or LinkKeeper()
        self._place = place
        self._folder = place.grants

    def all(self) -> list[GrantName]:
        """Every grant of the store."""
        grants = (parsed(path) for path in sorted(self._folder.iterdir()))
        return [grant for grant in grants if grant is not None]

    def survey(self) -> Iterator[GrantName | Unreadable]:
        """Every grant, and what stands beside them or in the place of one."""
        for path in sorted(self._folder.iterdir()):
            grant = parsed(path)
            if grant is None:
                yield Unreadable(path, "", "no grant has such a name")
                continue
            try:
                path.regular()
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno not in SET_APART:
                    raise
                yield Unreadable(path, key_of(grant.volume) or "", str(error.strerror))
            else:
                yield grant

    def of(self, volume: str) -> list[GrantName]:
        """The grants of one volume."""
        name = name_of(volume)
        return [grant for grant in self.all() if grant.volume == name]

    def find(self, volume: str, host: str) -> GrantName | None:
        """A host's grant of a volume."""
        name = host_name(host)
        return next((grant for grant in self.of(volume) if grant.host == name), None)

    def refuse_in_use(self, volume: str) -> None:
        """``InUse`` while any host has a grant of the volume."""
        grants = self.of(volume)
        if grants:
            names = {host_name(host): host for host in self._place.row().hosts}
            holders = tuple(names.get(grant.host, grant.id) for grant in grants)
            raise InUse(
                f"the volume is granted to {', '.join(holders)}; revoke first",
                object=volume,
                holders=holders,
            )

    def grant(
        self,
        store: StoreRow,
        request: requests.Grant,
        data: TreePath,
        *,
        operation: str,
        fresh: str,
    ) -> answers.GrantInfo:
        """Record a new grant and let the host in, or find the one there is."""
        if request.host not in store.hosts:
            raise NotFound(
                f"host {request.host} is not attached to the store; attach it first",
                object=request.volume,
            )
        for earlier in self.of(request.volume):
            if earlier.host == host_name(request.host):
                again = _again(earlier, request)
                self.keeper.prepare(earlier, request)
                with after_the_fact(request.volume):
                    self.settle()
                    self.keeper.admit(earlier, data)
                return again
            if AccessMode.EXCLUSIVE in {earlier.mode, request.mode}:
                self.refuse_in_use(request.volume)
        grant = parsed(self._folder / _grant_name(request, operation, fresh))
        assert grant is not None
        self.keeper.prepare(grant, request)
        self.purge(request.volume)
        try:
            self.keeper.record(grant, data, request)
            self.settle()
            self.keeper.admit(grant, data)
        except BaseException:
            with after_the_fact(request.volume):
                self._end(grant)
            raise
        return _info(fresh, request)

    def revoke(self, volume: str, host: str) -> None:
        """Keep a host out and remove the name of its grant, if there is one."""
        self.purge(volume)
        grant = self.find(volume, host)
        if grant is not None:
            self._end(grant)
        with after_the_fact(volume):
            self.settle()

    def _end(self, grant: GrantName) -> None:
        self.keeper.dismiss(grant)
        mutations.remove_tree(grant.path)  # whatever stands in its place

    def purge(self, volume: str) -> None:
        """Remove what a killed call left of grants of a volume."""
        for path in self.keeper.leftovers(volume):
            with after_the_fact(volume):
                mutations.remove_tree(path)

    def settle(self) -> None:
        """Make durable what can be seen; a killed call may not have come to that."""
        mutations.fsync_directory(self._folder)


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


def parsed(path: TreePath) -> GrantName | None:
    """The grant of this name; ``None`` for a name that no grant ever had."""
    if not _NAME.fullmatch(path.name):
        return None
    volume, host, mode, name, operation = path.name.split(".")
    return GrantName(
        volume=volume,
        host=host,
        mode=_MODE_OF[mode],
        id=name,
        operation=key_of(operation) or "",
        path=path,
    )


def _again(grant: GrantName, request: requests.Grant) -> answers.GrantInfo:
    if grant.mode is not request.mode:
        raise Conflict(
            f"host {request.host} has the volume as {grant.mode}; revoke first",
            object=request.volume,
        )
    return _info(grant.id, request)


def _info(name: str, request: requests.Grant) -> answers.GrantInfo:
    return answers.GrantInfo(id=name, volume=request.volume, host=request.host, mode=request.mode)

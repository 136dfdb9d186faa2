"""Secrets in a file beside the catalogue, that its owner alone can read."""

import asyncio
import os
import stat
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable
from holdfast.credentials.secret_keeper import SecretKeeper, Withheld, store_of
from holdfast.files import mutations

_BYTES_MAX = 16 << 20
_PRIVATE = 0o600


def secrets_beside(catalogue: Path) -> Path:
    """The file of secrets of a catalogue; a link and the file it leads to are one catalogue."""
    real = catalogue.resolve()
    return real.with_name(f"{real.name}.secrets")


class FileKeeper(SecretKeeper):
    """Secrets in a JSON file, of which the owner of the catalogue is the only writer.

    Each change writes the whole file anew and puts it in the old one's place, so that a crash
    leaves the one or the other. A file that holds nothing is removed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = asyncio.Lock()
        self._known: Withheld | None = None
        """What the file holds, once it was read: nobody else writes it."""
        self._stores: frozenset[str] = frozenset()
        """Of which stores that is; each operation asks, and so it is not counted up each time."""

    async def find(self, name: str) -> str | None:
        """The secret under a name; ``ConfigurationError`` where the file is no such file."""
        return (await self._all()).get(name)

    async def _all(self) -> Withheld:
        if self._known is None:
            async with self._turn:
                self._learn(await runtime().run_blocking(self._read))
        return self._known or Withheld()

    def _learn(self, known: Withheld) -> Withheld:
        self._known = known
        self._stores = frozenset(map(store_of, known))
        return known

    async def _changed(self, change: Callable[[Withheld], Withheld]) -> Withheld:
        """What the file holds after a change. One that is cut off is made all the same, and ends
        before the next begins, which would write the same file.
        """
        return await asyncio.shield(asyncio.create_task(self._in_turn(change)))

    async def _in_turn(self, change: Callable[[Withheld], Withheld]) -> Withheld:
        async with self._turn:
            return self._learn(await runtime().run_blocking(self._change, change))

    async def keep(self, secrets: Mapping[str, str]) -> None:
        """Keep these, durably before the answer."""
        await self._changed(lambda before: Withheld(before | dict(secrets)))

    async def keep_first(self, name: str, secret: str) -> str:
        """What is kept under a name, or this from now on."""
        return (await self._changed(lambda before: Withheld({name: secret} | before)))[name]

    async def stores(self) -> frozenset[str]:
        """The ids of the stores of which something is kept."""
        await self._all()
        return self._stores

    async def remove(self, stores: Collection[str]) -> None:
        """Keep nothing of these stores any more."""
        gone = frozenset(stores)
        await self._changed(
            lambda before: Withheld(
                {name: one for name, one in before.items() if store_of(name) not in gone}
            )
        )

    def _read(self) -> Withheld:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return Withheld()
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error
        with mutations.OpenFile(self._path, fd) as file:
            status = os.fstat(file.fd)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _BYTES_MAX:
                raise self._unusable("it is no file that Holdfast wrote")
            if stat.S_IMODE(status.st_mode) & ~_PRIVATE:
                os.fchmod(file.fd, _PRIVATE)
            data = mutations.read_at(file, 0, status.st_size)
        try:
            return Withheld(msgspec.json.decode(data, type=dict[str, str]))
        except msgspec.MsgspecError:  # its text may quote a secret
            raise self._unusable("it is damaged; restore it from a backup") from None

    def _change(self, change: Callable[[Withheld], Withheld]) -> Withheld:
        """What is kept afterwards."""
        before = self._read()
        after = change(before)
        if after == before:
            return after
        data = msgspec.json.encode(after)
        if len(data) > _BYTES_MAX:  # it could not be read again
            raise EnvironmentUnavailable(
                f"{self._path}: secrets cannot be kept: they are too many, or too long, for "
                f"{_BYTES_MAX} bytes; refer to them by file: or cmd: instead"
            )
        try:
            self._replace(data if after else None)
        except OSError as error:
            raise EnvironmentUnavailable(
                f"{self._path}: secrets cannot be kept: {error.strerror}"
            ) from error
        return after

    def _replace(self, data: bytes | None) -> None:
        staged = self._path.with_name(f"{self._path.name}.new")
        with suppress(FileNotFoundError):
            mutations.unlink(staged)  # of a change that was killed
        if data is not None:
            # Made for its owner alone, whatever the umask: it is never there with other rights.
            mutations.write_new(staged, data)
            mutations.rename(staged, self._path)
        else:
            mutations.unlink(self._path)
        mutations.fsync_directory(self._path.parent)

    def _unusable(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"{self._path}: secrets cannot be read: {why}")

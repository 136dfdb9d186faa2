"""The driver of files, which leaves something beside its rows whenever it makes something."""

import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from holdfast.contract.ports import PrimaryDriver
from holdfast.contract.requests import CallContext, CreateVolume, Request, Role
from holdfast.layers import Layer, LayeredPrimary
from holdfast.layers.layer import Call
from holdfast_drivers.local.config import LocalConfig
from holdfast_drivers.local.names import name_of
from holdfast_drivers.local.provider import LocalProvider


class _Untidy(LocalProvider):
    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        async with super().primary(config) as driver:
            yield LayeredPrimary(driver, _Leaves(self, config))

    def leave(self, store: Path, volume: Path) -> None:
        """Leave something in the folder of a store, or of the volume that was made in it."""
        raise NotImplementedError


class _Leaves(Layer):
    def __init__(self, provider: _Untidy, config: msgspec.Struct) -> None:
        assert isinstance(config, LocalConfig)
        self._provider = provider
        self._store = Path(config.root) / name_of(config.namespace) / Role.PRIMARY.value

    async def around(self, ctx: CallContext, request: Request, call: Call) -> Any:
        answer = await call(ctx, request)
        if isinstance(request, CreateVolume):
            self._provider.leave(self._store, self._store / "volumes" / name_of(request.key))
        return answer


class LeavesAFile(_Untidy):
    def leave(self, store: Path, volume: Path) -> None:
        (store / "volumes" / "stray").write_bytes(b"stray")


class LeavesAFolder(_Untidy):
    def leave(self, store: Path, volume: Path) -> None:
        (store / "snapshots" / "stray").mkdir(exist_ok=True)


class LeavesALink(_Untidy):
    def leave(self, store: Path, volume: Path) -> None:
        (volume / "stray").symlink_to("/proc/self/mem")


class LeavesASocket(_Untidy):
    def leave(self, store: Path, volume: Path) -> None:
        descriptor = os.open(store, os.O_PATH)
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(f"/proc/self/fd/{descriptor}/stray")
        finally:
            os.close(descriptor)


class LeavesAPipe(_Untidy):
    def leave(self, store: Path, volume: Path) -> None:
        os.mkfifo(store / "staging" / "stray")


class LeavesDamage(_Untidy):
    def leave(self, store: Path, volume: Path) -> None:
        (store / "volumes" / "stray").mkdir()
        (store / "volumes" / "stray" / "row.json").write_bytes(b'{"key":')


class LeavesNumbers(_Untidy):
    """A row in which a key is a number, and an id a list."""

    def leave(self, store: Path, volume: Path) -> None:
        (store / "volumes" / "stray~").mkdir()
        (store / "volumes" / "stray~" / "row.json").write_bytes(b'{"key":7,"id":[],"data":"data"}')
        (store / "volumes" / "stray~" / "data").write_bytes(b"")


class LeavesNoText(_Untidy):
    """A name that is no UTF-8, beside the store."""

    def leave(self, store: Path, volume: Path) -> None:
        (store.parent / os.fsdecode(b"stray\xff\xfe")).write_bytes(b"")


class LosesAShelf(_Untidy):
    def leave(self, store: Path, volume: Path) -> None:
        shutil.rmtree(store / "grants")


class DamagesTheStore(_Untidy):
    def leave(self, store: Path, volume: Path) -> None:
        (store / "store.json").write_bytes(b"{")


class ReplacesTheStore(_Untidy):
    """Where the store's record was, there is a folder."""

    def leave(self, store: Path, volume: Path) -> None:
        (store / "store.json").unlink()
        (store / "store.json").mkdir()


class ReplacesAShelf(_Untidy):
    """Where a folder was, there is a file."""

    def leave(self, store: Path, volume: Path) -> None:
        (store / "snapshots").rmdir()
        (store / "snapshots").write_bytes(b"")

"""A small driver that keeps volumes in a dictionary and misbehaves when a volume's key says so.

It is loaded by worker processes only, as ``odd_driver:OddProvider``.
"""

import asyncio
import ctypes
import logging
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import (
    AccessCapabilities,
    PrimaryCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.errors import Denied, DriverError, Internal, NotFound
from holdfast.contract.handles import Handle
from holdfast.contract.ports import LifeCycle, PrimaryDriver, Provider
from holdfast.contract.requests import CallContext, Role, ScopeKind
from holdfast.contract.testbed import (
    BackendIdentity,
    InsideTestbed,
    Inspected,
    Inspector,
    Inventory,
    Testbed,
    TestbedFactory,
    TestbedKind,
)

PAGE_BYTES = 4096
PASSWORD = "correct-horse-battery"


class OddConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    namespace: str
    password: str = ""


class Namespace:
    def __init__(self) -> None:
        self.name = ""
        self.identity = ""
        self.hosts: list[str] = []
        self.volumes: dict[str, int] = {}


NAMESPACES: dict[str, Namespace] = {}


class OddLifeCycle(LifeCycle):
    def __init__(self, config: OddConfig) -> None:
        self.place = NAMESPACES.setdefault(config.namespace, Namespace())

    def info(self) -> answers.StoreInfo:
        return answers.StoreInfo(
            id="store",
            name=self.place.name,
            state=answers.StoreState.UP,
            hosts=tuple(self.place.hosts),
            identity=self.place.identity,
        )

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> answers.StoreInfo:
        self.place.name = request.name
        self.place.identity = request.identity
        return self.info()

    async def get(self, ctx: CallContext) -> answers.StoreInfo:
        return self.info()

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        self.place.hosts = sorted({*self.place.hosts, request.host})
        return self.info()

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> answers.StoreInfo:
        self.place.hosts = [host for host in self.place.hosts if host != request.host]
        return self.info()

    async def maintain(
        self, ctx: CallContext, request: requests.MaintainStore
    ) -> answers.StoreInfo:
        return self.info()

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> answers.StoreInfo:
        return self.info()

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> answers.Gone:
        gone = answers.Gone(key=self.place.name)
        self.place.name = ""
        return gone


class Outlandish(BaseException):
    """What no caller expects."""


class OddDriver(PrimaryDriver):
    def __init__(self, config: OddConfig) -> None:
        self.config = config
        self.volumes = NAMESPACES.setdefault(config.namespace, Namespace()).volumes

    @property
    def capabilities(self) -> PrimaryCapabilities:
        return PrimaryCapabilities(
            volume=VolumeCapabilities(
                size_min_bytes=PAGE_BYTES,
                size_max_bytes=1 << 30,
                size_granularity_bytes=PAGE_BYTES,
            ),
            access=AccessCapabilities(),
        )

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        misbehave = MISBEHAVIOURS.get(request.key)
        if misbehave is not None:
            answer: Any = misbehave(self)
            odd: answers.VolumeInfo = await answer if asyncio.iscoroutine(answer) else answer
            return odd
        self.volumes[request.key] = request.size_bytes
        return self.info(request.key)

    def info(self, key: str) -> answers.VolumeInfo:
        return answers.VolumeInfo(key=key, id=f"id-{key}", size_bytes=self.volumes[key])

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> answers.VolumeInfo:
        if request.key not in self.volumes:
            raise NotFound("there is no such volume", object=request.key)
        return self.info(request.key)

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> answers.VolumePage:
        # The token never ends: whoever walks the list walks for ever.
        return answers.VolumePage(items=(), token="again")

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        if request.key == "undeletable":
            raise Denied("half a pair: \udc80", object=request.key)
        self.volumes.pop(request.key, None)
        return answers.Gone(key=request.key)

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        print(f"granting with {request.secret}")
        return answers.GrantInfo(
            id="grant", volume=request.volume, host=request.host, mode=request.mode
        )

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> answers.Gone:
        return answers.Gone(key=request.volume)

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        raise Denied("there is no grant", object=request.volume)

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> answers.PoolList:
        return answers.PoolList(items=())

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        return answers.StatsInfo(total_bytes=1, used_bytes=0, allocated_bytes=0, objects=0)

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        return answers.HealthInfo(state=answers.HealthState.UP)

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        return answers.Absent()

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        for key in self.volumes:
            yield answers.OwnedThing(kind=OwnedKind.VOLUME, id=key, key=key)


class OwnKind(DriverError):
    kind = "quota"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


class OwnFinal(NotFound):
    final = "yes"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


class Hostile(Exception):
    """Whose every field raises."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def _raise(problem: BaseException) -> Any:
    raise problem


def _raise_with(problem: DriverError, cause: Any) -> Any:
    """Raise an error with something else than a sentence as its cause."""
    problem.cause = problem.object = problem.verb = cause
    raise problem


def _flood() -> None:
    for _ in range(4000):
        print("x" * 1000)


def _fork() -> None:
    if os.fork() == 0:
        time.sleep(600)


def _detach_a_sleeper() -> None:
    subprocess.Popen(["sleep", "600"], start_new_session=True)


def _detach_without_a_mark() -> None:
    subprocess.Popen(["setsid", "-f", "sleep", "601"], env={}, start_new_session=True).wait()


def _start_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def _stop_loop() -> Any:
    asyncio.get_running_loop().stop()
    return asyncio.sleep(1)


async def _stay() -> answers.VolumeInfo:
    """Wait for ever, whatever is done to end it from within the process."""
    os._exit = print  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    while True:
        with suppress(BaseException):
            await asyncio.sleep(600)


def _then(misbehave: Callable[[], object]) -> Callable[[OddDriver], answers.VolumeInfo]:
    """Misbehave, and then answer as if nothing had been."""

    def create(driver: OddDriver) -> answers.VolumeInfo:
        misbehave()
        driver.volumes["odd"] = PAGE_BYTES
        return answers.VolumeInfo(key="odd", id="odd", size_bytes=PAGE_BYTES)

    return create


def _also(key: str) -> Callable[[OddDriver], answers.VolumeInfo]:
    """Create another volume beside the one that is asked for."""

    def create(driver: OddDriver) -> answers.VolumeInfo:
        driver.volumes[key] = driver.volumes["leaves-half-a-pair"] = PAGE_BYTES
        return driver.info("leaves-half-a-pair")

    return create


MISBEHAVIOURS: Mapping[str, Callable[[OddDriver], Any]] = {
    "sleeps": lambda _: time.sleep(600),
    "spins": lambda _: [None for _ in iter(int, 1)],
    "waits": lambda _: asyncio.sleep(600),
    "stays": lambda _: _stay(),
    "exits": lambda _: os._exit(7),
    "is-killed": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "crashes": lambda _: ctypes.string_at(0),
    "interrupts": lambda _: _raise(KeyboardInterrupt()),
    "leaves": lambda _: sys.exit(3),
    "raises-outlandish": lambda _: _raise(Outlandish("from afar")),
    "stops-the-loop": lambda _: _stop_loop(),
    "closes-everything": lambda _: os.closerange(3, 64),
    "writes-a-frame": lambda _: [
        os.write(fd, struct.pack(">IB", 3, 1) + b"xyz") for fd in _writable()
    ],
    "writes-everywhere": lambda _: [os.write(fd, b"\xff" * 64) for fd in _writable()],
    "answers-none": lambda _: None,
    "answers-a-lie": lambda _: answers.VolumeInfo(key="another", id="x", size_bytes=PAGE_BYTES),
    "answers-bad-types": lambda _: answers.VolumeInfo(key="a", id=7, size_bytes="x"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "raises-foreign": lambda _: _raise(ZeroDivisionError("of all things")),
    "raises-own-kind": lambda _: _raise(OwnKind("over quota")),
    "raises-own-final": lambda _: _raise(OwnFinal("over quota")),
    "raises-number": lambda _: _raise_with(Internal("five"), 5),
    "raises-hostile-cause": lambda _: _raise_with(NotFound("hostile"), Hostile()),
    "raises-hostile": lambda _: _raise(Hostile()),
    "raises-half-a-pair": lambda _: _raise(NotFound("half a pair: \udc80")),
    "leaves-half-a-pair": _also("\udc80"),
    "tells-its-password": lambda odd: _raise(Denied(f"{odd.config.password} is not accepted")),
    "odd": _then(lambda: print("hello from the driver")),
    "stops-the-loop-and-answers": _then(lambda: asyncio.get_running_loop().stop()),
    "floods": _then(_flood),
    "forks": _then(_fork),
    "logs-its-password": _then(lambda: logging.getLogger("odd").debug("using %s", PASSWORD)),
    "shows-its-password": _then(lambda: subprocess.run(["true", PASSWORD], check=True)),
    "leaves-an-unmarked-process": _then(_detach_without_a_mark),
    "leaves-a-thread": _then(_start_a_thread),
    "leaves-a-process": _then(_detach_a_sleeper),
}


def _writable() -> list[int]:
    """Every descriptor above the standard ones that takes bytes."""
    found: list[int] = []
    for fd in range(3, 64):
        try:
            os.write(fd, b"")
        except OSError:
            continue
        found.append(fd)
    return found


class OddInspector(Inspector):
    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    async def inventory(self) -> Inventory:
        place = NAMESPACES.get(self.namespace, Namespace())
        things = [Inspected(kind=OwnedKind.VOLUME, key=key, id=key) for key in place.volumes]
        if place.name:
            detail = f"{place.name}|up|{','.join(place.hosts)}"
            things.append(Inspected(kind=OwnedKind.STORE, key=place.name, detail=detail))
        return Inventory(things=tuple(things), outside_digest="")


class OddTestbed(Testbed):
    kind = TestbedKind.EMBEDDED
    identity = BackendIdentity(vendor="odd", product="odd", version="1")
    second_path = "the dictionary itself"

    def config(self, role: Role, namespace: str) -> OddConfig:
        return OddConfig(namespace, PASSWORD)

    def inspector(self, role: Role, namespace: str) -> OddInspector:
        return OddInspector(namespace)

    async def remove(self, role: Role, namespace: str) -> None:
        NAMESPACES.pop(namespace, None)


@asynccontextmanager
async def odd_testbed(run: str) -> AsyncIterator[Testbed]:
    yield OddTestbed()


class OddProvider(Provider):
    name = "odd"
    roles = (Role.PRIMARY,)
    scopes = (ScopeKind.HOST,)
    config_type = OddConfig
    secret_fields = ("password",)

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        assert isinstance(config, OddConfig)
        yield OddDriver(config)

    @asynccontextmanager
    async def life_cycle(self, config: msgspec.Struct, role: Role) -> AsyncIterator[LifeCycle]:
        assert isinstance(config, OddConfig)
        yield OddLifeCycle(config)

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.EMBEDDED: InsideTestbed(odd_testbed)}

"""Servers in containers: started or adopted, probed until they answer, removed at the end."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers.container_client import (
    LABEL_ADDRESS,
    LABEL_BACKEND,
    LABEL_OWNER,
    LABEL_RUN,
    docker_module,
    engine_client,
    found_container,
    testcontainers_module,
)
from holdfast_drivers.servers.container_images import image_reference
from holdfast_drivers.servers.exec_stream import ExecStream, exec_options, open_exec_stream
from holdfast_drivers.servers.leftovers import remove_container, sweep_dead
from holdfast_drivers.servers.network import NETWORK, free_server_address
from holdfast_drivers.servers.owner_process import (
    container_name,
    machine_lock,
    state_folder,
    this_owner,
)
from holdfast_drivers.servers.server_specs import (
    BackendServer,
    Mount,
    ServerFile,
    ServerSpec,
    Volume,
)

__all__ = [
    "BackendServer",
    "Completed",
    "Mount",
    "ReadyProbe",
    "Server",
    "ServerFile",
    "ServerSpec",
    "Volume",
    "run_server",
]

T = TypeVar("T")
READY_S = 90.0
_FREEZE_S = 10.0
_POLL_S = 0.02
_POLL_MAX_S = 0.25
_ENDED = ("exited", "dead")


class Completed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What became of a command: its exit status and all that it wrote."""

    status: int
    stdout: bytes
    stderr: bytes


class Server:
    """A container on the project's network; its address stays through kill and start."""

    def __init__(self, *, name: str, address: str, backend: str, run: str) -> None:
        self.name = name
        self.address = address
        self.backend = backend
        self.run = run

    async def exec(self, argv: Sequence[str], stdin: bytes = b"") -> Completed:
        """Run a command inside, about 0.1 s each; for many questions use ``connect``.

        Raises:
            EnvironmentUnavailable: the container does not run, or is paused.
        """
        exec_id, version = await self._prepared(argv, stdin=bool(stdin))
        async with await open_exec_stream(exec_id, version) as stream:
            if stdin:
                await stream.write(stdin)
                stream.end_input()
            output = await stream.read_all()
            errors = stream.errors
        status = await self._call(_exec_status, exec_id)
        return Completed(status=status, stdout=output, stderr=errors)

    async def connect(self, argv: Sequence[str]) -> ExecStream:
        """Start a command inside and keep talking to it: about 1 ms for a question.

        It costs no thread and no task here; close the stream before the loop ends.
        """
        exec_id, version = await self._prepared(argv, stdin=True)
        return await open_exec_stream(exec_id, version)

    async def pause(self) -> None:
        """Freeze all processes; connections still open, and nothing is answered.

        The kernel cannot freeze a process while it waits for a disk, so that is waited for.
        """
        ends = runtime().now() + _FREEZE_S
        while True:
            try:
                return await self._on_container("pause")
            except EnvironmentUnavailable as refusal:
                if "unable to freeze" not in str(refusal) or runtime().now() > ends:
                    raise

    async def unpause(self) -> None:
        """Let them go on."""
        await self._on_container("unpause")

    async def kill(self) -> None:
        """Kill all processes at once; the files stay, what is in memory and tmpfs does not."""
        await self._on_container("kill")

    async def stop(self) -> None:
        """Ask the server to end, and kill it after two seconds."""
        await self._on_container("stop", timeout=2)

    async def start(self) -> None:
        """Start a killed or stopped server again, under the same address. Probe it afterwards."""
        await self._on_container("start")

    async def is_running(self) -> bool:
        """Whether the container's processes are there, paused or not."""
        return await self._call(_status, self.name) in {"running", "paused"}

    async def logs(self) -> str:
        """What the server has written to its standard output and error."""
        return (await self._call(_logs, self.name)).decode(errors="replace")

    async def put_file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file inside; its folder exists already. Not into a tmpfs."""
        await self._call(_put_file, self.name, path, data, mode)

    async def pid(self) -> int:
        """The process number, on this machine, of the container's first process; 0 if none."""
        return await self._call(_pid, self.name)

    async def _prepared(self, argv: Sequence[str], *, stdin: bool) -> tuple[str, str]:
        return await self._call(_prepare_exec, self.name, tuple(argv), stdin=stdin)

    async def _on_container(self, verb: str, **arguments: Any) -> None:
        await self._call(_command_container, self.name, verb, **arguments)

    async def _call(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        def call() -> T:
            with engine_client() as client:
                return function(client, *arguments, **named)

        return await runtime().run_blocking(call)


ReadyProbe = Callable[[Server], Awaitable[bool]]
"""Whether the server answers in its own protocol; an ``OSError`` counts as no."""


@asynccontextmanager
async def run_server(spec: ServerSpec, run: str, ready: ReadyProbe) -> AsyncIterator[Server]:
    """A server, ready to be used: a new container, or the one that this run already has.

    It is removed at the end, whatever happens; after a failure its log is kept, and a note on the
    exception says where.

    Raises:
        EnvironmentUnavailable: no engine, no image, or the server did not become ready in time.
    """
    name = container_name(spec.backend, run)
    starting = asyncio.ensure_future(runtime().run_blocking(_start, spec, run, name))
    try:
        server = await asyncio.shield(starting)
        await until_ready(server, ready)
        yield server
    except GeneratorExit:
        raise
    except BaseException as error:
        await _settled(starting)
        await _keep_log(name, error)
        raise
    finally:
        await _settled(starting)
        await runtime().run_blocking(remove_container, name)


async def _settled(starting: "asyncio.Future[Server]") -> None:
    """Wait for a start whose caller may be gone, so that it leaves nothing behind."""
    await asyncio.wait([starting])
    if not starting.cancelled():
        starting.exception()


async def until_ready(server: Server, ready: ReadyProbe) -> None:
    """Return once a server that was started answers in its own protocol.

    Raises:
        EnvironmentUnavailable: it ended, or did not become ready in time; the message has its log's
            end.
    """
    deadline = runtime().now() + READY_S
    pause = _POLL_S
    last = "it was never asked"
    while runtime().now() < deadline:
        try:
            async with asyncio.timeout_at(deadline):
                if await ready(server):
                    return
            last = "it answered that it is not ready"
        except (OSError, EOFError) as error:
            last = f"{type(error).__name__}: {error}"
        except EnvironmentUnavailable as error:
            last = str(error)
        if not await server.is_running():
            raise EnvironmentUnavailable(
                f"the server {server.name} ended while it was starting: "
                f"{_tail(await server.logs())}"
            )
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _POLL_MAX_S)
    raise EnvironmentUnavailable(
        f"the server {server.name} is not ready after {READY_S:.0f} s; last: {last}; "
        f"its log ends: {_tail(await server.logs())}"
    )


def _tail(log: str) -> str:
    return " | ".join(log.strip().splitlines()[-5:]) or "(empty)"


async def _keep_log(name: str, error: BaseException) -> None:
    try:
        path = await runtime().run_blocking(_keep_log_of, name)
    except (EnvironmentUnavailable, OSError) as problem:
        error.add_note(f"the log of {name} could not be kept: {problem}")
        return
    if path is not None:
        error.add_note(f"the log of {name} is in {path}")


def _keep_log_of(name: str) -> Path | None:
    with engine_client() as client:
        if found_container(client, name) is None:
            return None
        path = state_folder("logs") / f"{name}.log"
        path.write_bytes(_logs(client, name))
        return path


def _start(spec: ServerSpec, run: str, name: str) -> Server:
    with engine_client() as client:
        container = found_container(client, name)
        if container is None:
            sweep_dead()
            image = image_reference(client, spec.image)
            container = _create(client, spec, run, name, image)
        elif container.status == "paused":
            container.unpause()
        elif container.status != "running":
            container.start()
        address = container.labels[LABEL_ADDRESS]
    return Server(name=name, address=address, backend=spec.backend, run=run)


def _create(client: Any, spec: ServerSpec, run: str, name: str, image: str) -> Any:
    module = testcontainers_module("testcontainers.core.container")
    with machine_lock("addresses"):
        address = free_server_address(client, name)
        container = module.DockerContainer(
            image, command=list(spec.command) or None, env=dict(spec.environment), name=name
        )
        container.with_kwargs(**_options(spec, run, address))
        for folder, options in spec.tmpfs.items():
            container.tmpfs[folder] = options
        for file in spec.files:
            container.with_copy_into_container(file.data, file.path, file.mode)
        try:
            container.start()
        finally:
            container.get_docker_client().client.close()
    return client.containers.get(name)


def _options(spec: ServerSpec, run: str, address: str) -> dict[str, Any]:
    endpoint = docker_module().types.EndpointConfig(
        docker_module().constants.DEFAULT_DOCKER_API_VERSION, ipv4_address=address
    )
    options: dict[str, Any] = {
        "network": NETWORK,
        "networking_config": {NETWORK: endpoint},
        "hostname": spec.backend,
        "labels": {
            LABEL_RUN: run,
            LABEL_BACKEND: spec.backend,
            LABEL_OWNER: this_owner(),
            LABEL_ADDRESS: address,
        },
        "cap_add": list(spec.cap_add),
        "security_opt": list(spec.security_opt),
        "devices": list(spec.devices),
        "mounts": [*map(_folder, spec.mounts), *(_volume(one, run) for one in spec.volumes)],
    }
    if spec.entrypoint:
        options["entrypoint"] = list(spec.entrypoint)
    if spec.memory_max_bytes:
        options["mem_limit"] = spec.memory_max_bytes
    return options


def _folder(mount: Mount) -> Any:
    types = docker_module().types
    return types.Mount(mount.target, str(mount.source), type="bind", read_only=not mount.writable)


def _volume(volume: Volume, run: str) -> Any:
    types = docker_module().types
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={volume.size_bytes}"}
    return types.Mount(
        volume.target,
        volume.name,
        labels={LABEL_RUN: run, LABEL_OWNER: this_owner()},
        driver_config=types.DriverConfig("local", options),
    )


def _status(client: Any, name: str) -> str:
    return str(client.containers.get(name).status)


def _pid(client: Any, name: str) -> int:
    return int(client.containers.get(name).attrs["State"]["Pid"])


def _logs(client: Any, name: str) -> bytes:
    return bytes(client.containers.get(name).logs())


def _command_container(client: Any, name: str, verb: str, **arguments: Any) -> None:
    getattr(client.containers.get(name), verb)(**arguments)


def _prepare_exec(client: Any, name: str, argv: tuple[str, ...], *, stdin: bool) -> tuple[str, str]:
    prepared = client.api.exec_create(name, **exec_options(argv, stdin=stdin))
    return str(prepared["Id"]), str(client.api._version)  # noqa: SLF001 - docker-py tells it nowhere else


def _exec_status(client: Any, exec_id: str) -> int:
    code = client.api.exec_inspect(exec_id)["ExitCode"]
    return -1 if code is None else int(code)


def _put_file(client: Any, name: str, path: str, data: bytes, mode: int) -> None:
    place = PurePosixPath(path)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(place.name)
        entry.size = len(data)
        entry.mode = mode
        archive.addfile(entry, io.BytesIO(data))
    client.containers.get(name).put_archive(str(place.parent), packed.getvalue())

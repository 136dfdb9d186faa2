"""The worker's life: set up, carry out commands until told to quit, end with the supervisor."""

import asyncio
import os
import select
import signal
import traceback
from typing import NoReturn

from holdfast.ports import Provider
from holdfast.testbed import Testbed
from holdfast_conformance.protocol import (
    Blame,
    Channel,
    Command,
    Execute,
    Finished,
    Leaving,
    Load,
    Message,
    Opened,
    Quit,
    Refused,
    Remove,
    Setup,
    Shown,
    Stop,
    decode_command,
    decode_report,
    encode,
)
from holdfast_conformance.trace import Broken, BrokenKind, Record
from holdfast_conformance.worker.canaries import Canaries
from holdfast_conformance.worker.caps import ERROR_MAX, IDENTITY_MAX, bounded_line, cut_texts
from holdfast_conformance.worker.capture import Capture
from holdfast_conformance.worker.clock import Clock
from holdfast_conformance.worker.containment import Containment, DriverBroke, described
from holdfast_conformance.worker.executor import Execution
from holdfast_conformance.worker.loading import Loading
from holdfast_conformance.worker.origin import Origin, origin_of
from holdfast_conformance.worker.session import (
    Session,
    Stopped,
    find_provider,
    open_hosts,
    roles_of,
    start_testbed,
)
from holdfast_conformance.worker.signatures import provider_defects

_FRAMES_MAX = 30


class Worker:
    """One worker process.

    Args:
        channel: to the supervisor.
        stdout: the read end of the pipe behind descriptor 1.
        stderr: the read end of the pipe behind descriptor 2.
    """

    def __init__(self, channel: Channel, stdout: int, stderr: int) -> None:
        self._channel = channel
        self._canaries = Canaries()
        self._capture = Capture(stdout, stderr, self._canaries.scan)
        self._execution: Execution | None = None
        self._stop_seen = False

    def run(self) -> None:
        """Serve until told to quit; whatever goes wrong is reported first."""
        try:
            asyncio.run(self._until_told_to_end())
        except (BrokenPipeError, EOFError):
            return  # The supervisor is gone; there is nobody left to tell.
        except BaseException as problem:  # noqa: BLE001 - a driver ended or stopped the loop
            self._broken(BrokenKind.BASE_EXCEPTION, described(problem))

    async def _until_told_to_end(self) -> None:
        """Serve; SIGTERM cancels that, wherever it is, so that what was begun is cleaned up.

        It is what a worker is told that does not listen yet: its testbed is still starting.
        """
        serving = asyncio.current_task()
        told = False

        def end() -> None:
            nonlocal told
            if serving is not None and not told:
                told = True
                serving.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        try:
            await self._serve_and_tell()
        except asyncio.CancelledError:
            if not told:
                raise

    async def _serve_and_tell(self) -> None:
        """Serve; what goes wrong in here is told apart from what a driver does to the loop."""
        try:
            await self._serve()
        except Stopped as stopped:
            self._say(stopped.refused)
        except DriverBroke as broke:
            self._broken(BrokenKind.BASE_EXCEPTION, str(broke))
        except (BrokenPipeError, EOFError):
            raise
        except Exception as problem:  # noqa: BLE001 - our own defect, which must be seen
            self._say(Refused(blame=Blame.HARNESS, reason=_located(problem)))

    async def _serve(self) -> None:
        setup = await self._next()
        if not isinstance(setup, Setup):
            raise TypeError(f"the first command is {type(setup).__name__}")
        provider = find_provider(setup.provider)
        if defects := provider_defects(provider):
            raise Stopped(Blame.DRIVER, "; ".join(defects))
        origin = origin_of(provider)
        clock = Clock(setup.deadline_s + setup.grace_s, self._hung)
        clock.start()
        async with (
            start_testbed(provider, setup.testbed, setup.run) as testbed,
            open_hosts(testbed) as hosts,
        ):
            session = Session(
                setup=setup,
                provider=provider,
                testbed=testbed,
                containment=Containment(clock, self._canaries),
                capture=self._capture,
                canaries=self._canaries,
                hosts=hosts,
            )
            self._say(_introduced(provider, testbed, origin))
            while not isinstance(command := await self._next(), Quit):
                await self._carry_out(session, command)
            self._say(Leaving())

    async def _carry_out(self, session: Session, command: Command) -> None:
        match command:
            case Load():
                self._say(await Loading(session, command.role, command.namespace).run())
            case Execute():
                before = session.containment.calls
                execution = Execution(
                    session, command.plan, command.namespace, self._emit, self._stopped
                )
                self._execution = execution
                self._stop_seen = False
                if not await execution.run():
                    self._leave()
                self._execution = None
                self._say(Finished(calls=session.containment.calls - before))
            case Remove():
                for namespace in command.namespaces:
                    await session.remove(command.role, namespace)
                self._say(Finished())
            case Stop():
                return  # It crossed the end of the plan that it was meant for.
            case Setup() | Quit():
                raise TypeError(f"a {type(command).__name__} in the middle of a run")

    async def _next(self) -> Command:
        """The next command, while the event loop keeps running."""
        while True:
            frame = self._channel.take()
            if frame is not None:
                return decode_command(frame[0])
            await _readable(self._channel.read_fd)
            if not self._channel.fill():
                raise EOFError

    def _stopped(self) -> bool:
        """Whether a ``Stop`` has arrived; nothing else is sent while a plan is being executed."""
        if not self._stop_seen and select.select([self._channel.read_fd], [], [], 0)[0]:
            if not self._channel.fill():
                raise EOFError
            self._stop_seen = self._channel.take() is not None
        return self._stop_seen

    def _say(self, message: Message) -> None:
        data = self._canaries.redact_bytes(encode(message))
        if not isinstance(message, Shown):  # its documents are never cut, its texts are already
            data = cut_texts(data, IDENTITY_MAX if isinstance(message, Opened) else ERROR_MAX)
        self._channel.send(data)

    def _emit(self, record: Record) -> None:
        self._channel.send(bounded_line(record, self._canaries.redact_bytes), record=True)

    def _broken(self, how: BrokenKind, detail: str) -> None:
        """Report that the driver took the process with it."""
        if self._execution is None:
            self._say(Refused(blame=Blame.DRIVER, reason=f"{how.value}: {detail}"))
        else:
            self._emit(Broken(index=self._execution.index, how=how, detail=detail[:500]))

    def _hung(self) -> NoReturn:
        self._broken(BrokenKind.HUNG, "no answer long after the deadline, while other work went on")
        self._leave()

    def _leave(self) -> NoReturn:
        """End at once: nothing a broken driver left in this process is to run again."""
        os._exit(0)


async def _readable(fd: int) -> None:
    """Return when there is something to read."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


def _introduced(provider: Provider, testbed: Testbed, origin: Origin) -> Opened:
    """Who is under test; ``Stopped`` when a provider or testbed cannot say that of itself."""
    try:
        opened = Opened(
            provider=provider.name,
            distribution=origin.distribution,
            distribution_version=origin.version,
            source_sha256=origin.source_sha256,
            roles=roles_of(provider),
            testbed=str(testbed.kind),
            identity=testbed.identity,
            second_path=testbed.second_path,
            hosts=testbed.hosts,
            faults=tuple(sorted(testbed.faults)),
            secret_fields=tuple(provider.secret_fields),
        )
        decode_report(encode(opened))
    except Exception as problem:
        reason = f"the provider or its testbed has an attribute that is wrong: {described(problem)}"
        raise Stopped(Blame.DRIVER, reason) from problem
    return opened


def _located(problem: Exception) -> str:
    """An error of our own with the place where it happened."""
    frames = traceback.extract_tb(problem.__traceback__)[-_FRAMES_MAX:]
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    return f"{described(problem)} ({where})"

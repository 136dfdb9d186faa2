"""The worker's life: set up, carry out commands until told to quit, end with the supervisor."""

import asyncio
import os
import select
import signal
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import NoReturn

from holdfast.concurrency.runtime import use_runtime
from holdfast.contract.ports import Provider
from holdfast.contract.testbed import Testbed
from holdfast_conformance.foreign_texts import described
from holdfast_conformance.protocol import (
    Blame,
    Channel,
    Chosen,
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
    readable,
)
from holdfast_conformance.testbed_process.distant_testbed import reach_testbed
from holdfast_conformance.testbed_process.provider_and_testbed import Stopped, start_testbed
from holdfast_conformance.trace import BrokenKind, Record
from holdfast_conformance.worker.canaries import Canaries
from holdfast_conformance.worker.capture import Capture
from holdfast_conformance.worker.containment import Containment, DriverBroke
from holdfast_conformance.worker.executor import Execution
from holdfast_conformance.worker.hang_watch import Clock
from holdfast_conformance.worker.loading import Loading
from holdfast_conformance.worker.output_limits import (
    ERROR_MAX,
    IDENTITY_MAX,
    bounded_line,
    cut_texts,
)
from holdfast_conformance.worker.provider_origin import Origin
from holdfast_conformance.worker.session import (
    Session,
    open_hosts,
    roles_of,
)
from holdfast_conformance.worker.subject import Subject, subject_of

_FRAMES_MAX = 30


class Worker:
    """One worker process.

    Args:
        channel: to the supervisor.
        backend: a socket that leads to the testbed's process where there is one.
        stdout: the read end of the pipe behind descriptor 1.
        stderr: the read end of the pipe behind descriptor 2.
    """

    def __init__(self, channel: Channel, backend: int, stdout: int, stderr: int) -> None:
        self._channel = channel
        self._backend = backend
        self._canaries = Canaries()
        self._capture = Capture(stdout, stderr, self._canaries.scan)
        self._execution: Execution | None = None
        self._stop_seen = False
        self._virtual = False

    def run(self) -> None:
        """Serve until told to quit; whatever goes wrong is reported first."""
        try:
            subject = self._loaded()
            if subject is not None:
                chosen = subject.runtime
                self._virtual = chosen is not None and chosen.is_virtual
                new_loop = None if chosen is None else chosen.new_loop
                with asyncio.Runner(loop_factory=new_loop) as runner:
                    self._run_in(runner, subject)
        except (BrokenPipeError, EOFError):
            return  # The supervisor is gone; there is nobody left to tell.
        except BaseException as problem:  # noqa: BLE001 - a driver ended or stopped the loop
            self._broken(BrokenKind.BASE_EXCEPTION, described(problem))

    def _run_in(self, runner: asyncio.Runner, subject: Subject) -> None:
        try:
            runner.run(self._live(subject))
        except (BrokenPipeError, EOFError):
            raise
        except Exception as problem:
            if self._execution is None:
                raise
            # The loop ended under a plan. Whatever else ends with the loop only covers up why.
            self._broken(BrokenKind.BASE_EXCEPTION, described(problem))
            self._leave()

    def _loaded(self) -> Subject | None:
        """What is under test; ``None`` where it cannot be loaded, which was told."""
        with self._telling():
            return subject_of(self._first())
        return None

    async def _live(self, subject: Subject) -> None:
        """Serve with the runtime that the testbed needs; no signal reaches a virtual loop."""
        chosen = subject.runtime
        with nullcontext() if chosen is None else use_runtime(chosen), self._telling():
            if self._virtual:
                await self._serve(subject)
            else:
                await self._until_told_to_end(subject)

    async def _until_told_to_end(self, subject: Subject) -> None:
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
            await self._serve(subject)
        except asyncio.CancelledError:
            if not told:
                raise

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell what goes wrong in here, apart from what a driver does to the loop."""
        try:
            yield
        except Stopped as stopped:
            self._say(stopped.refused)
        except DriverBroke as broke:
            self._broken(BrokenKind.BASE_EXCEPTION, str(broke))
        except (BrokenPipeError, EOFError):
            raise
        except Exception as problem:  # noqa: BLE001 - our own defect, which must be seen
            self._say(Refused(blame=Blame.HARNESS, reason=_located(problem)))

    async def _serve(self, subject: Subject) -> None:
        setup, provider = subject.setup, subject.provider
        clock = Clock(setup.deadline_s + setup.grace_s, self._hung)
        if not self._virtual:
            clock.start()
        async with (
            self._running(subject) as testbed,
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
            self._say(_introduced(provider, testbed, subject.origin))
            while not isinstance(command := await self._next(), Quit):
                await self._carry_out(session, command)
            self._say(Leaving())

    @asynccontextmanager
    async def _running(self, subject: Subject) -> AsyncIterator[Testbed]:
        """The testbed: in this process, or in one that outlives this one."""
        self._say(Chosen(inside=subject.inside))
        if subject.inside:
            async with start_testbed(subject.factory, subject.setup.run) as testbed:
                yield testbed
        else:
            yield await reach_testbed(self._backend, subject.provider.config_type)

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

    def _first(self) -> Setup:
        """The first command; what loop there is to be depends on it."""
        while (frame := self._channel.take()) is None:
            if not self._channel.fill():
                raise EOFError
        setup = decode_command(frame[0])
        if not isinstance(setup, Setup):
            raise TypeError(f"the first command is {type(setup).__name__}")
        return setup

    async def _next(self) -> Command:
        """The next command, while the event loop keeps running; virtual time stands still."""
        while (frame := self._channel.take()) is None:
            if not self._virtual:
                await readable(self._channel.read_fd)
            if not self._channel.fill():
                raise EOFError
        return decode_command(frame[0])

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
            self._emit(self._execution.broken(how, detail))

    def _hung(self) -> NoReturn:
        self._broken(BrokenKind.HUNG, "no answer long after the deadline, while other work went on")
        self._leave()

    def _leave(self) -> NoReturn:
        """End at once: nothing a broken driver left in this process is to run again."""
        os._exit(0)


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

"""The life of the testbed's process: start it, serve one worker after the other, clean up.

The supervisor hands over a socket for each worker, on a control socket of whole messages. The end
of that one, or SIGTERM, ends all this at once, also while the testbed still starts.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable

from holdfast.contract.testbed import Testbed, TestbedKind
from holdfast_conformance.foreign_texts import described
from holdfast_conformance.protocol import (
    BACKEND_HEARD,
    BACKEND_LEAVES,
    Blame,
    Refused,
    encode,
    readable,
)
from holdfast_conformance.testbed_process.messages import Answered, Standing, decode_answered
from holdfast_conformance.testbed_process.provider_and_testbed import (
    Stopped,
    chosen_testbed,
    find_provider,
    start_testbed,
)
from holdfast_conformance.testbed_process.serving import Serving, seen_through


class BackendProcess:
    """One testbed.

    Args:
        control: to the supervisor.
        run: with which everything is tagged.
    """

    def __init__(self, control: socket.socket, run: str) -> None:
        self._control = control
        self._run = run
        self._workers: asyncio.Queue[int] = asyncio.Queue()

    async def live(self, provider: str, testbed: str) -> None:
        """Serve until told to end; ``CancelledError`` never leaves here."""
        serving = asyncio.create_task(self._serve(provider, testbed))

        def end() -> None:
            if not serving.cancelling():  # Once more, and it would be torn from its cleaning up.
                serving.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        taking = asyncio.create_task(self._take_workers(end))
        try:
            await serving
        except asyncio.CancelledError:
            return  # told to end, and everything is cleaned up
        finally:
            taking.cancel()

    async def _take_workers(self, end: Callable[[], None]) -> None:
        """Take the sockets of workers, until there is nobody left to give one."""
        while True:
            await readable(self._control.fileno())
            said, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
            if not said:
                self._say(BACKEND_LEAVES)
                end()
                return
            for descriptor in descriptors:
                self._workers.put_nowait(descriptor)

    async def _serve(self, provider: str, testbed: str) -> None:
        try:
            factory = chosen_testbed(find_provider(provider), testbed)
            async with start_testbed(factory, self._run) as running:
                await self._serve_workers(running, standing_of(running))
        except Stopped as stopped:
            await self._serve_workers(None, stopped.refused)

    async def _serve_workers(
        self, testbed: Testbed | None, introduction: Standing | Refused
    ) -> None:
        """Serve the worker that came last: it takes the place of one that was killed."""
        serving: asyncio.Task[None] | None = None
        try:
            while True:
                fd = await self._workers.get()
                await _ended(serving)
                serving = asyncio.create_task(_serve(fd, testbed, introduction))
                self._say(BACKEND_HEARD)
        finally:
            await seen_through(_ended(serving))

    def _say(self, what: bytes) -> None:
        try:
            self._control.send(what)
        except OSError:
            return  # The supervisor is gone, which ends this process, too.


async def _serve(fd: int, testbed: Testbed | None, introduction: Standing | Refused) -> None:
    try:
        await Serving(fd, testbed, introduction).run()
    finally:
        os.close(fd)


async def _ended(serving: asyncio.Task[None] | None) -> None:
    """Cancel it, and return when it has put everything back.

    What keeps it from that is raised, and ends all this: the next worker gets a new testbed.
    """
    if serving is not None:
        serving.cancel()
        await asyncio.wait((serving,))
        if not serving.cancelled():
            serving.result()


def standing_of(testbed: Testbed) -> Standing:
    """What a testbed says of itself; ``Stopped`` where it cannot."""
    try:
        hosts = tuple(testbed.hosts)
        standing = Standing(
            kind=TestbedKind(testbed.kind),
            identity=testbed.identity,
            second_path=testbed.second_path,
            hosts=hosts,
            faults=tuple(sorted(testbed.faults)),
            data_plane=testbed.data_plane,
            places={host: testbed.place_of(host) for host in hosts},
        )
        decode_answered(encode(Answered(number=0, answer=standing)))
    except Exception as problem:
        reason = f"the provider or its testbed has an attribute that is wrong: {described(problem)}"
        raise Stopped(Blame.DRIVER, reason) from problem
    return standing

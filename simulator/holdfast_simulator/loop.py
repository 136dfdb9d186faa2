"""An asyncio event loop in virtual time: SimPy's queue holds all that is ready and all timers.

``await asyncio.sleep(3600)`` takes no time at all: when nothing is ready, the clock jumps to the
next timer. What is scheduled for one instant runs in the order in which it was scheduled. Nothing
else can wake the loop, so when the queue is empty and the main task is not done, it never will be:
that is ``Deadlock``.
"""

import asyncio
import sys
from asyncio import events
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple, cast
from weakref import WeakSet

import simpy
from simpy.core import EmptySchedule

from holdfast.concurrency.runtime import InlineRuntime, run_in
from holdfast.contract.errors import HoldfastError
from holdfast_simulator.event_queue import EventQueue
from holdfast_simulator.real_world import doors_closed, forbidden, watch

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Deadlock(HoldfastError):
    """Tasks wait, and nothing that is scheduled will ever wake them."""


def in_virtual_time() -> bool:
    """Whether this thread is inside a virtual loop."""
    return isinstance(events._get_running_loop(), VirtualLoop)  # noqa: SLF001 - the documented way raises outside loops


class _Timer(asyncio.TimerHandle):
    """A timer that knows its place in the queue."""

    __slots__ = ("event",)

    event: simpy.Event


class VirtualLoop(asyncio.AbstractEventLoop):
    """The loop; ``environment`` is its clock and queue, open to SimPy processes as well."""

    def __init__(self) -> None:
        self.environment = EventQueue()
        self._stopping = False
        self._closed = False
        self._debug = False
        self._generators: WeakSet[AsyncGenerator[Any, Any]] = WeakSet()
        self._problem_handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None
        self._problem_handler = None

    def time(self) -> float:
        """Seconds of virtual time since the loop was made."""
        return float(self.environment.now)

    # What runs, and when.

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback at this instant, after all that is already scheduled for it."""
        self._check_open()
        handle = asyncio.Handle(callback, args, self, context)
        self._schedule(handle, 0)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback so many virtual seconds from now."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback at an instant; one that has passed is now."""
        self._check_open()
        timer = _Timer(when, callback, args, self, context)
        timer.event = self._schedule(timer, max(0.0, when - self.time()))
        return timer

    def _schedule(self, handle: asyncio.Handle, delay: float) -> simpy.Event:
        def run(_event: simpy.Event) -> None:
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 - what a loop does with a handle

        event = self.environment.timeout(delay)
        cast("Any", event).callbacks.append(run)
        return event

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asyncio calls this once, for a timer that is due later, or has been."""
        if isinstance(handle, _Timer):
            self.environment.cancel(handle.event)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """There are no threads."""
        del callback, args, context
        forbidden("a call from another thread")

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        """There are no threads."""
        del executor, func, args
        forbidden("a thread")

    def create_future(self) -> "asyncio.Future[Any]":
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> "asyncio.Task[T]":
        """A task of this loop."""
        self._check_open()
        return asyncio.Task(coro, loop=self, name=name, context=context)

    # Running.

    def run_forever(self) -> None:
        """Step through the queue until ``stop``; ``Deadlock`` when it is empty before."""
        self._check_open()
        watch(in_virtual_time)
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._generators.add, finalizer=self._finalize)
        events._set_running_loop(self)  # noqa: SLF001 - what a loop does
        try:
            with doors_closed(in_virtual_time):
                while not self._stopping:
                    self.environment.step()
        except EmptySchedule:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(self))
            raise Deadlock(
                f"at {self.time()} s nothing is scheduled any more, and these tasks wait: "
                + ", ".join(waiting)
            ) from None
        finally:
            self._stopping = False
            events._set_running_loop(None)  # noqa: SLF001 - what a loop does
            sys.set_asyncgen_hooks(*hooks)

    def run_until_complete(self, future: Any) -> Any:
        """Run until the future is done; its result."""
        task = asyncio.ensure_future(future, loop=self)
        task.add_done_callback(self._stop_after)
        try:
            self.run_forever()
        finally:
            task.remove_done_callback(self._stop_after)
        return task.result()

    def _stop_after(self, _future: "asyncio.Future[Any]") -> None:
        self.stop()

    def stop(self) -> None:
        """Return from ``run_forever`` after this callback."""
        self._stopping = True

    def is_running(self) -> bool:
        """Whether it is this thread's running loop."""
        return events._get_running_loop() is self  # noqa: SLF001 - the documented way raises outside loops

    def is_closed(self) -> bool:
        """Whether nothing can be scheduled any more."""
        return self._closed

    def close(self) -> None:
        """Schedule nothing any more."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the virtual loop is closed")

    # Asynchronous generators end with the loop.

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generators.discard(generator)
        if not self._closed:
            self.create_task(generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        """Close every asynchronous generator that was left open."""
        left, self._generators = list(self._generators), WeakSet()
        await asyncio.gather(*(generator.aclose() for generator in left))

    async def shutdown_default_executor(self) -> None:
        """There is none."""

    # Problems.

    def get_debug(self) -> bool:
        """Whether asyncio's debug mode is on."""
        return self._debug

    def set_debug(self, enabled: bool) -> None:
        """Turn asyncio's debug mode on or off."""
        self._debug = enabled

    def set_exception_handler(
        self,
        handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None,
    ) -> None:
        """Who is told of an exception that nobody awaits."""
        self._problem_handler = handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An exception that nobody awaits ends the run, unless a handler was set."""
        if self._problem_handler is not None:
            self._problem_handler(self, context)
            return
        problem = context.get("exception")
        raise problem if problem is not None else RuntimeError(str(context.get("message")))


def _refuse(name: str) -> Callable[..., object]:
    def method(*_args: object, **_kwargs: object) -> object:
        forbidden(f"loop.{name}()")

    return method


# Descriptors, connections, processes and signals: what asyncio declares and a machine has.
for _name in (
    *("add_reader", "add_writer", "remove_reader", "remove_writer"),
    *("add_signal_handler", "remove_signal_handler"),
    *("connect_read_pipe", "connect_write_pipe", "subprocess_exec", "subprocess_shell"),
    *("create_connection", "create_datagram_endpoint", "create_server", "start_tls"),
    *("connect_accepted_socket", "create_unix_connection", "create_unix_server"),
    *("getaddrinfo", "getnameinfo", "sendfile", "set_default_executor"),
    *("sock_accept", "sock_connect", "sock_recv", "sock_recv_into", "sock_recvfrom"),
    *("sock_recvfrom_into", "sock_sendall", "sock_sendfile", "sock_sendto"),
):
    setattr(VirtualLoop, _name, _refuse(_name))


class VirtualRuntime(InlineRuntime):
    """The runtime of a virtual loop; ``holdfast_simulator.loop:VirtualRuntime`` names it."""

    is_virtual = True

    def new_loop(self) -> VirtualLoop:
        """A loop whose clock jumps."""
        make: Callable[[], VirtualLoop] = VirtualLoop  # what it lacks is set below its class
        return make()


def run_virtual(main: Coroutine[Any, Any, T], *, seed: int) -> T:
    """Run a coroutine in virtual time, with ids and random numbers from ``seed``; its result."""
    return run_in(VirtualRuntime(seed=seed), main)

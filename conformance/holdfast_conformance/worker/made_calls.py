"""The calls that a plan made, for probes: under which operation each was made last."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from holdfast.contract.errors import DriverError
from holdfast.contract.requests import CallContext, CompleteUpload, Request
from holdfast_conformance.plan import FinishUpload


class MadeCalls:
    """What a probe must name of an earlier call: its operation, and the request as it was.

    A call that was refused for good did nothing: an equal one before it stays the last.
    """

    def __init__(self) -> None:
        self._contexts: dict[Request, CallContext] = {}
        self._completions: dict[Request, CompleteUpload] = {}

    @contextmanager
    def making(self, step: Request, ctx: CallContext) -> Iterator[None]:
        """Keep under which operation a step is carried out."""
        completion = self._completions.get(step)
        try:
            yield
        except DriverError as problem:
            if not problem.final:
                self._contexts[step] = ctx
            elif completion is not None:
                self._completions[step] = completion
            self._contexts.setdefault(step, ctx)
            raise
        except BaseException:
            self._contexts[step] = ctx
            raise
        self._contexts[step] = ctx

    def context(self, call: Request, ctx: CallContext) -> CallContext:
        """The context of a probe: the operation and step of the call that it asks about."""
        made = self._contexts.get(call, ctx)
        return msgspec.structs.replace(ctx, operation=made.operation, step=made.step)

    def keep(self, step: FinishUpload, request: CompleteUpload) -> CompleteUpload:
        """Keep what a completion names; the parts may be others when it is probed."""
        self._completions[step] = request
        return request

    def kept(self, step: FinishUpload) -> CompleteUpload | None:
        """What the last equal completion named."""
        return self._completions.get(step)

"""The agent of one store as its callers see it: each verb is a call that it carries out."""

import asyncio
from typing import Any, Final, TypeVar

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreInfo, Undetermined
from holdfast.contract.errors import Busy, DriverError
from holdfast.contract.identity import ANY_STORE
from holdfast.contract.requests import CallContext, Request, verb_of
from holdfast.host_agent.client import RemoteClient
from holdfast_drivers.local.features import Features
from holdfast_drivers.storage_host.calls import (
    FEATURES,
    GET_STORE,
    PROBE,
    AgentCall,
    AgentRequest,
)

T = TypeVar("T")

_PAUSE_S: Final = 0.005
_FEATURES_S: Final = 8.0
_PREFIXES: Final[dict[type[Request], str]] = {
    requests.CreateVolume: "vol",
    requests.ResizeVolume: "size",
    requests.RevertVolume: "rev",
    requests.CreateSnapshot: "snap",
    requests.Grant: "grant",
    requests.InitializeStore: "store",
}


class Agent:
    """The agent of one store, asked in the words of its verbs."""

    def __init__(self, client: RemoteClient) -> None:
        self._client = client
        self.expected = ANY_STORE

    @property
    def where(self) -> str:
        """What people call the storage host."""
        return self._client.where

    async def features(self) -> Features:
        """What the file system of the store can do."""
        found: Features = await self._client.call(
            FEATURES, AgentCall(), Features, deadline=runtime().now() + _FEATURES_S
        )
        return found

    async def store(self, ctx: CallContext) -> StoreInfo:
        """The store as its host knows it."""
        return await self._ask(ctx, GET_STORE, AgentCall(fence=ctx.fence), StoreInfo)

    async def probe(self, ctx: CallContext, request: AgentRequest) -> answers.ProbeResult:
        """What became of a call; ``Undetermined`` where nobody can be asked."""
        call = AgentCall(
            operation=ctx.operation, fence=ctx.fence, request=request, expected=self.expected
        )
        try:
            return await self._ask(ctx, PROBE, call, answers.ProbeResult)
        except DriverError as error:
            return Undetermined(reason=error.cause)

    async def call(self, ctx: CallContext, request: AgentRequest, answer: type[T] | Any) -> T:
        """Have a verb carried out."""
        prefix = _PREFIXES.get(type(request))
        fresh = runtime().new_id(prefix) if prefix else ""
        call = AgentCall(
            operation=ctx.operation,
            fresh=fresh,
            fence=ctx.fence,
            request=request,
            expected=self.expected,
        )
        return await self._ask(ctx, verb_of(request), call, answer)

    async def _ask(self, ctx: CallContext, verb: str, call: AgentCall, answer: type[T] | Any) -> T:
        while True:
            found: T | None = await self._client.call(
                verb, call, answer | None, deadline=ctx.deadline
            )
            if found is not None:
                return found
            if runtime().now() + _PAUSE_S >= ctx.deadline:
                raise Busy("other calls are promising space; try again")
            await asyncio.sleep(_PAUSE_S)

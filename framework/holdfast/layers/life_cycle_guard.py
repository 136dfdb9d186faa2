"""The guard of a life cycle: it checks arguments and answers, and whose place it is, and turns
whatever else escapes into a typed error.
"""

from contextlib import suppress
from typing import TypeVar

from holdfast import infos, requests
from holdfast.errors import Internal, NotFound
from holdfast.identity import ExpectedStore
from holdfast.layers.calls import answered, check_answer, subject_of, typed
from holdfast.layers.checks import check_life_cycle
from holdfast.ports import LifeCycle
from holdfast.requests import CallContext, verb_of

A = TypeVar("A")


class LifeCycleGuard(LifeCycle):
    """The guard of a store's life cycle; ``life_cycle`` is what it guards.

    Args:
        life_cycle: what the provider opened.
        secrets: the configuration's secrets, which no message may repeat.
    """

    def __init__(self, life_cycle: LifeCycle, secrets: tuple[str, ...] = ()) -> None:
        self.life_cycle = life_cycle
        self._secrets = secrets

    def expect(self, store: ExpectedStore) -> None:
        super().expect(store)
        with typed("open", "", self._secrets):
            self.life_cycle.expect(store)

    async def _call(self, ctx: CallContext, request: requests.Request, expected: type[A]) -> A:
        verb = verb_of(request)
        with typed(verb, subject_of(request)):
            check_life_cycle(request)
            await self._recognize(ctx, request)
        answer: A = await answered(
            request,
            self._secrets,
            lambda: getattr(self.life_cycle, verb)(ctx, request),
            expected,
        )
        told = getattr(request, "identity", "")
        if told and getattr(answer, "identity", "") != told:
            raise Internal(
                "nonsense: the driver was given the store's identity and does not keep it",
                object=subject_of(request),
                verb=verb,
            )
        return answer

    async def _recognize(self, ctx: CallContext, request: requests.Request) -> None:
        """Refuse to change a store that is not the one expected.

        To initialize and to adopt a place is to say which store it is; those verbs compare.
        """
        if isinstance(request, requests.InitializeStore | requests.AdoptStore):
            return
        if not self.expected.identities:
            return
        with suppress(NotFound):  # the verb itself says what that means
            self.expected.check(await self.get(ctx))

    async def initialize(
        self, ctx: CallContext, request: requests.InitializeStore
    ) -> infos.StoreInfo:
        return await self._call(ctx, request, infos.StoreInfo)

    async def get(self, ctx: CallContext) -> infos.StoreInfo:
        with typed("get", "", self._secrets):
            answer = await self.life_cycle.get(ctx)
            check_answer(answer, infos.StoreInfo)
            return answer

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> infos.StoreInfo:
        return await self._call(ctx, request, infos.StoreInfo)

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> infos.StoreInfo:
        return await self._call(ctx, request, infos.StoreInfo)

    async def maintain(self, ctx: CallContext, request: requests.MaintainStore) -> infos.StoreInfo:
        return await self._call(ctx, request, infos.StoreInfo)

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> infos.StoreInfo:
        return await self._call(ctx, request, infos.StoreInfo)

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> infos.StoreInfo:
        return await self._call(ctx, request, infos.StoreInfo)

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> infos.Gone:
        return await self._call(ctx, request, infos.Gone)


def guard_life_cycle(life_cycle: LifeCycle, secrets: tuple[str, ...] = ()) -> LifeCycleGuard:
    """The life cycle under a guard; one that has a guard already is returned as it is."""
    if isinstance(life_cycle, LifeCycleGuard):
        return life_cycle
    return LifeCycleGuard(life_cycle, secrets)

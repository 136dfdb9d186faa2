"""The guard of a life cycle: it checks arguments and answers, and whose place it is, and turns
whatever else escapes into a typed error.
"""

from contextlib import suppress
from typing import Any, Final

from holdfast.contract import requests
from holdfast.contract.errors import Internal, Invalid, NotFound
from holdfast.contract.identity import ExpectedStore
from holdfast.contract.ports import LifeCycle
from holdfast.contract.requests import CallContext, LifeCycleRequest, Request, verb_of
from holdfast.layers.answer_checks import ANSWERS, answer_check, match_check
from holdfast.layers.layer import Call, GetStore, Layer
from holdfast.layers.layered import LayeredLifeCycle
from holdfast.layers.request_checks import check_life_cycle
from holdfast.layers.typed_errors import subject_of, typed

_KINDS: Final = (*LifeCycleRequest.__args__, GetStore)
_ANSWERS: Final = {kind: answer_check(ANSWERS[kind]) for kind in _KINDS}
_MATCHES: Final = {kind: match_check(kind) for kind in _KINDS}

_COMPARING: Final = (requests.InitializeStore, requests.AdoptStore, GetStore)
"""To initialize and to adopt a place is to say which store it is, and those verbs compare; the last
changes nothing, and tells what the place is.
"""


class LifeCycleChecks(Layer):
    """What is checked around every verb of a life cycle.

    Args:
        life_cycle: the guarded life cycle, which knows what is expected and is asked what is there.
        secrets: the configuration's secrets, which no message may repeat.
    """

    def __init__(self, life_cycle: LifeCycle, secrets: tuple[str, ...]) -> None:
        self._life_cycle = life_cycle
        self._secrets = secrets

    async def around(self, ctx: CallContext, request: Request, call: Call) -> Any:
        kind, subject = type(request), subject_of(request)
        with typed(call.verb, subject, self._secrets):
            if kind not in _ANSWERS or (kind is not GetStore and verb_of(request) != call.verb):
                raise Invalid(f"a {kind.__name__} is no request to {call.verb}")
            check_life_cycle(request)
            if kind not in _COMPARING:
                await self._recognize(ctx)
            answer = await call(ctx, request)
            _ANSWERS[kind](answer)
            _MATCHES[kind](request, answer)
            identity = getattr(request, "identity", "")
            if identity and getattr(answer, "identity", "") != identity:
                raise Internal(
                    "nonsense: the driver was given the store's identity and does not keep it"
                )
            return answer

    async def _recognize(self, ctx: CallContext) -> None:
        """Refuse to change a store that is not the one expected."""
        expected = self._life_cycle.expected
        if not expected.identities:
            return
        with suppress(NotFound):  # the verb itself says what that means
            expected.check(await self._life_cycle.get(ctx))


class LifeCycleGuard(LayeredLifeCycle):
    """A store's life cycle under its guard.

    Args:
        life_cycle: what the provider opened.
        secrets: the configuration's secrets, which no message may repeat.
    """

    def __init__(self, life_cycle: LifeCycle, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(life_cycle, LifeCycleChecks(self, secrets))
        self._secrets = secrets

    def expect(self, store: ExpectedStore) -> None:
        with typed("open", "", self._secrets):
            super().expect(store)


def guard_life_cycle(life_cycle: LifeCycle, secrets: tuple[str, ...] = ()) -> LifeCycleGuard:
    """The life cycle under a guard; one that has a guard already is returned as it is."""
    if isinstance(life_cycle, LifeCycleGuard):
        return life_cycle
    return LifeCycleGuard(life_cycle, secrets)

"""The guard: always the layer next to a driver, so that no driver has to check what all must check.

It refuses what the store does not declare and what can never work *before* the driver sees it,
fills verb and object into every error, turns every other exception into ``Internal``, and checks
that an answer is about what was asked. What it checks of a request and its answer is looked up once
for each type of request, when the driver is opened.
"""

from collections.abc import AsyncIterator
from typing import Any, Final, TypeVar

from holdfast.contract import answers
from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities, nonsense_in
from holdfast.contract.errors import Internal, Invalid, Unsupported
from holdfast.contract.identity import ExpectedStore
from holdfast.contract.ports import ImageDriver, PrimaryDriver
from holdfast.contract.requests import CallContext, Request, verb_of
from holdfast.layers.answer_checks import ANSWERS, Check, Match, answer_check, match_check
from holdfast.layers.entry_checks import set_apart
from holdfast.layers.layer import Call, Layer, ProbeCall, StreamCall, closing
from holdfast.layers.layered import LayeredImage, LayeredPrimary
from holdfast.layers.request_checks import IMAGE_CHECKS, MUTATING_VERBS, PRIMARY_CHECKS, Admission
from holdfast.layers.typed_errors import as_driver_error, subject_of, typed

C = TypeVar("C", PrimaryCapabilities, ImageCapabilities)


class Rule:
    """What is checked of one type of request: before the call, and of its answer."""

    __slots__ = ("admit", "answer", "match", "verb")

    def __init__(self, request_type: type[Request], admit: Admission) -> None:
        self.verb = str(request_type.__struct_config__.tag)
        self.admit = admit
        self.answer: Check = answer_check(ANSWERS[request_type])
        self.match: Match = match_check(request_type)


PRIMARY_RULES: Final = {kind: Rule(kind, admit) for kind, admit in PRIMARY_CHECKS.items()}
IMAGE_RULES: Final = {kind: Rule(kind, admit) for kind, admit in IMAGE_CHECKS.items()}

_PROBE_ANSWERS: Final[dict[type, Check]] = {
    kind: answer_check(kind)
    for kind in (answers.Absent, answers.Partial, answers.Done, answers.Undetermined)
}
_PRIMARY_CAPABILITIES: Final = answer_check(PrimaryCapabilities)
_IMAGE_CAPABILITIES: Final = answer_check(ImageCapabilities)


class Guard(Layer):
    """The guard of a driver's calls.

    Args:
        rules: those of the driver's role.
        declared: the driver's capabilities, which are enforced.
        secrets: the configuration's secrets, which no message may repeat.
    """

    def __init__(
        self,
        rules: dict[type[Request], Rule],
        declared: PrimaryCapabilities | ImageCapabilities,
        secrets: tuple[str, ...],
    ) -> None:
        self._rules = rules
        self._declared = declared
        self._secrets = secrets

    async def around(self, ctx: CallContext, request: Request, call: Call) -> Any:
        if isinstance(call, ProbeCall):
            return await self._probe(ctx, request, call)
        rule = self._rule(request)
        if rule.verb != call.verb:
            # Admitted as what it is not, it could change what its own verb would only read.
            raise Invalid(f"the request is of verb {rule.verb}, not {call.verb}", verb=call.verb)
        try:
            self.admit(rule, request)
            answer = await call(ctx, request)
            rule.answer(answer)
            rule.match(request, answer)
        except Exception as error:
            refusal = as_driver_error(error, rule.verb, subject_of(request), self._hidden(request))
            if refusal is error:
                raise
            raise refusal from error
        return answer

    def admit(self, rule: Rule, request: Request) -> None:
        """Refuse what the store does not declare and what can never work."""
        rule.admit(request, self._declared)

    async def around_stream(
        self, ctx: CallContext, request: Request, call: StreamCall
    ) -> AsyncIterator[answers.OwnedThing]:
        rule = self._rule(request)
        with typed(rule.verb, "", self._secrets):
            self.admit(rule, request)
            things = aiter(call.stream(ctx, request))
        try:
            while True:
                with typed(rule.verb, "", self._secrets):
                    try:
                        thing = set_apart(await anext(things))
                    except StopAsyncIteration:
                        return
                    rule.answer(thing)
                yield thing
        finally:
            with typed(rule.verb, "", self._secrets):
                async with closing(things):
                    pass

    async def _probe(self, ctx: CallContext, request: Request, call: Call) -> Any:
        """Ask what became of a call; the answer must be one to that very call."""
        if call.probed not in MUTATING_VERBS:
            raise Invalid(
                f"only a verb that changes something can be probed, not {call.probed}",
                verb="probe",
            )
        rule = self._rule(request)
        if call.probed != rule.verb:
            raise Invalid(
                f"the request to probe is of verb {rule.verb}, not {call.probed}", verb="probe"
            )
        with typed(rule.verb, subject_of(request), self._secrets):
            self.admit(rule, request)
        with typed("probe", subject_of(request), self._hidden(request)):
            answer: object = await call(ctx, request)
            _check_of_probe(answer)(answer)
            if isinstance(answer, answers.Done):
                rule.answer(answer.answer)
                rule.match(request, answer.answer)
            return answer

    def _rule(self, request: Request) -> Rule:
        rule = self._rules.get(type(request))
        if rule is None:
            raise Unsupported(
                f"a {type(request).__name__} is no request of this role", verb=verb_of(request)
            )
        return rule

    def _hidden(self, request: Request) -> tuple[str, ...]:
        """Everything secret that a foreign message may hold."""
        secret = getattr(request, "secret", "")
        return (*self._secrets, secret) if isinstance(secret, str) else self._secrets


def _check_of_probe(answer: object) -> Check:
    """The check for one answer to a probe; that of a class of the driver's own is its base's."""
    for kind in type(answer).__mro__:
        check = _PROBE_ANSWERS.get(kind)
        if check is not None:
            return check
    raise Internal(f"nonsense: the driver answered a probe with a {type(answer).__name__}")


def _sane(declared: C) -> C:
    """What the driver declares, where a store can be like that."""
    if wrong := nonsense_in(declared):
        raise Internal(f"nonsense: the driver declares what no store can be: {wrong}")
    return declared


class PrimaryGuard(LayeredPrimary):
    """A primary store's driver under its guard.

    Args:
        driver: what opened the store.
        secrets: the configuration's secrets, which no message may repeat.

    Raises:
        Internal: the driver declares no proper capabilities.
    """

    def __init__(
        self,
        driver: PrimaryDriver,
        secrets: tuple[str, ...] = (),
        guard: type[Guard] = Guard,
    ) -> None:
        self.driver = driver
        self._secrets = secrets
        super().__init__(driver, guard(PRIMARY_RULES, self.capabilities, secrets))

    @property
    def capabilities(self) -> PrimaryCapabilities:
        """What the driver declares now; what was declared at first is what is enforced."""
        with typed("capabilities", "", self._secrets):
            declared = self.driver.capabilities
            _PRIMARY_CAPABILITIES(declared)
            return _sane(declared)

    def expect(self, store: ExpectedStore) -> None:
        with typed("open", "", self._secrets):
            super().expect(store)


class ImageGuard(LayeredImage):
    """An image store's driver under its guard; as ``PrimaryGuard``."""

    def __init__(
        self,
        driver: ImageDriver,
        secrets: tuple[str, ...] = (),
        guard: type[Guard] = Guard,
    ) -> None:
        self.driver = driver
        self._secrets = secrets
        super().__init__(driver, guard(IMAGE_RULES, self.capabilities, secrets))

    @property
    def capabilities(self) -> ImageCapabilities:
        """What the driver declares now; what was declared at first is what is enforced."""
        with typed("capabilities", "", self._secrets):
            declared = self.driver.capabilities
            _IMAGE_CAPABILITIES(declared)
            return _sane(declared)

    def expect(self, store: ExpectedStore) -> None:
        with typed("open", "", self._secrets):
            super().expect(store)


def guard_primary(driver: PrimaryDriver, secrets: tuple[str, ...] = ()) -> PrimaryGuard:
    """The driver under a guard; one that has a guard already is returned as it is."""
    return driver if isinstance(driver, PrimaryGuard) else PrimaryGuard(driver, secrets)


def guard_image(driver: ImageDriver, secrets: tuple[str, ...] = ()) -> ImageGuard:
    """The driver under a guard; one that has a guard already is returned as it is."""
    return driver if isinstance(driver, ImageGuard) else ImageGuard(driver, secrets)

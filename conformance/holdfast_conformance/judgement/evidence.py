"""Moments: what a property is shown, one for each step, end of plan, loading, and broken process.

Everything in a moment follows from trace records and the model, so that anyone can judge again.
"""

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

import msgspec

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Request, verb_of
from holdfast.contract.testbed import Inspected
from holdfast_conformance.model.difference import Aspect, Difference, Where
from holdfast_conformance.model.role_model import Expectation, ModelState
from holdfast_conformance.plan import Plan, Step, Together, subject_of
from holdfast_conformance.trace import (
    Broken,
    Ended,
    Loaded,
    Outcome,
    Raised,
    Reply,
    Returned,
    Stepped,
)

Capabilities: TypeAlias = PrimaryCapabilities | ImageCapabilities
Situation = TypeVar("Situation", bound=str)


def outcome_text(outcome: Outcome) -> str:
    """What came of a call, for a person."""
    match outcome:
        case Returned():
            return "success"
        case Raised():
            return f"{outcome.kind.value}: {outcome.cause}"
        case _:
            return f"nonsense: {outcome.what}"


class Earlier(msgspec.Struct, frozen=True):
    """An equal request that succeeded before, with nothing changed by anybody since."""

    reply: Reply


class StepMoment(msgspec.Struct, frozen=True, kw_only=True):
    """One executed step with the observation that follows it.

    ``after`` is the model's state when the outcome was allowed, else ``None``. ``differences`` are
    all ways in which reply, backend and handles depart from ``after`` (from ``before`` when the
    outcome was not allowed). ``inventory_after`` is ``None`` where the step was not observed.
    ``figures`` are the allocated bytes and the number of objects, by verb, as the store reported
    them when it last held exactly the same things. ``owned`` are the keys of everything that lives
    after the step, the store and its grants excepted. ``crossed`` says that another driver of the
    plan made the last change of what the step names.
    """

    capabilities: Capabilities
    plan: Plan
    index: int
    step: Step
    expectation: Expectation[ModelState]
    before: ModelState
    after: ModelState | None
    stepped: Stepped
    differences: tuple[Difference, ...]
    inventory_before: tuple[Inspected, ...]
    inventory_after: tuple[Inspected, ...] | None
    outside_before: str
    outside_after: str
    repeats: Earlier | None
    figures: Mapping[str, tuple[int, ...]]
    owned: frozenset[str]
    crossed: bool = False
    refused_before: bool = False
    """Whether a call of this verb about the same object was rightly refused before."""

    @property
    def outcome(self) -> Outcome:
        """What came."""
        return self.stepped.outcome

    @property
    def verb(self) -> str:
        """The verb of the step."""
        return verb_of(self.step)

    @property
    def kind(self) -> ErrorKind | None:
        """The error that came, or ``None``."""
        return self.outcome.kind if isinstance(self.outcome, Raised) else None

    @property
    def succeeded(self) -> bool:
        """Whether the call returned an answer."""
        return isinstance(self.outcome, Returned)

    @property
    def reply(self) -> Reply | None:
        """The answer, where there is one."""
        return self.outcome.reply if isinstance(self.outcome, Returned) else None

    @property
    def allowed(self) -> bool:
        """Whether the outcome is one that the model allows."""
        return self.after is not None

    @property
    def expected_outcome(self) -> str:
        """The allowed outcomes, for a person."""
        kinds = self.expectation.kinds
        names = sorted("success" if kind is None else kind.value for kind in kinds)
        return " or ".join(names)

    @property
    def observed_outcome(self) -> str:
        """What came, for a person."""
        return outcome_text(self.outcome)

    def is_situation(self, *situations: str) -> bool:
        """Whether the step is of one of these situations."""
        return not self.expectation.situations.isdisjoint(situations)

    def differing(
        self,
        *aspects: Aspect,
        where: Where | None = None,
        kind: OwnedKind | None = None,
        key: str | None = None,
    ) -> tuple[Difference, ...]:
        """The differences of these aspects (of all, when none is named) that match the filters."""
        return tuple(
            difference
            for difference in self.differences
            if (not aspects or difference.aspect in aspects)
            and (where is None or difference.where is where)
            and (kind is None or difference.kind is kind)
            and (key is None or difference.key == key)
        )


class EndMoment(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a plan that never diverged, after everything was deleted through the driver."""

    capabilities: Capabilities
    plan: Plan
    ended: Ended
    outside_before: str
    held: frozenset[OwnedKind]
    """The kinds of things that were alive at some moment of the plan."""

    def left(self, *kinds: OwnedKind) -> str:
        """What the inspector or the driver still found (of these kinds), for a person."""
        inspected = [(thing.kind, thing.key or thing.detail) for thing in self.ended.left]
        owned = [(thing.kind, thing.key or thing.id) for thing in self.ended.enumerated]
        names = [
            f"{kind.value} {name!r}"
            for kind, name in (*inspected, *owned)
            if not kinds or kind in kinds
        ]
        return ", ".join(dict.fromkeys(names))


class LoadMoment(msgspec.Struct, frozen=True, kw_only=True):
    """What loading the driver showed."""

    loaded: Loaded


class BrokenMoment(msgspec.Struct, frozen=True, kw_only=True):
    """A step at which the driver's process had to be replaced."""

    capabilities: Capabilities
    plan: Plan
    step: Step | None
    broken: Broken


class TogetherMoment(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that were made at once, with the observation that follows the last of them.

    ``stepped`` are their records in the order of the step's calls. ``after`` is a state that some
    order of them leaves, ``None`` where no order allows what came. ``differences`` are what that
    order does not explain.
    """

    capabilities: Capabilities
    plan: Plan
    index: int
    step: Together
    after: ModelState | None
    stepped: tuple[Stepped, ...]
    differences: tuple[Difference, ...]

    @property
    def allowed(self) -> bool:
        """Whether some order of the calls allows their outcomes."""
        return self.after is not None

    @property
    def calls(self) -> tuple[tuple[Step, Stepped], ...]:
        """Each call with its record."""
        return tuple(zip(self.step.steps, self.stepped, strict=False))

    @property
    def verb(self) -> str:
        """The verbs of the calls."""
        return " and ".join(verb_of(call) for call in self.step.steps)

    @property
    def observed_outcome(self) -> str:
        """What came, for a person."""
        return " and ".join(outcome_text(stepped.outcome) for stepped in self.stepped)


Moment: TypeAlias = StepMoment | TogetherMoment | EndMoment | LoadMoment | BrokenMoment


class Held(msgspec.Struct, frozen=True):
    """The property could have failed here, and held; ``aspects`` are what was thereby covered."""

    aspects: tuple[str, ...] = ()


class Violated(msgspec.Struct, frozen=True):
    """The property does not hold: what it demands, and what was seen instead."""

    expected: str
    observed: str


Judgement: TypeAlias = Held | Violated | None
"""``None`` where the moment says nothing about the property."""

HELD = Held()


def violated_by(differences: tuple[Difference, ...]) -> Judgement:
    """Violated by the first of the differences, or held where there is none."""
    if not differences:
        return HELD
    first = differences[0]
    return Violated(f"{first.subject}: {first.expected}", first.observed or "nothing")


def outcome_judgement(moment: StepMoment) -> Judgement:
    """Held where the outcome is allowed, else violated."""
    if moment.allowed:
        return HELD
    return Violated(f"{moment.verb}: {moment.expected_outcome}", moment.observed_outcome)


def agreed(
    moment: StepMoment, *differences: Difference, aspects: tuple[str, ...] = ()
) -> Judgement:
    """Held where the outcome is allowed and there is none of these differences."""
    if not moment.allowed:
        return outcome_judgement(moment)
    return violated_by(differences) if differences else Held(aspects)


def agreed_in(moment: StepMoment, *situations: str) -> Judgement:
    """As ``agreed``, about every difference, in these situations while the backend is up."""
    if not moment.is_situation(*situations) or moment.before.down:
        return None
    return agreed(moment, *moment.differences)


def none_left(moment: EndMoment, expected: str, *kinds: OwnedKind) -> Judgement:
    """Violated where something (of these kinds) is left, and nothing where that is not so."""
    leftovers = moment.left(*kinds)
    return Violated(expected, leftovers) if leftovers else None


def covered(moment: StepMoment, named: Mapping[Situation, str]) -> tuple[str, ...]:
    """The names of those situations that the step is of."""
    return tuple(name for situation, name in named.items() if moment.is_situation(situation))


def agreed_on(
    moment: StepMoment, named: Mapping[Situation, str], differences: tuple[Difference, ...]
) -> Judgement:
    """As ``agreed``, with the situations as aspects; nothing where the step is of none of them."""
    aspects = covered(moment, named)
    return agreed(moment, *differences, aspects=aspects) if aspects else None


def object_of(step: Request) -> str:
    """The key of the object that a step is about, or an empty string."""
    subject = subject_of(step)
    for name in ("key", "volume", "upload", "host", "name"):
        value = getattr(subject, name, "")
        if value:
            return str(value)
    return ""

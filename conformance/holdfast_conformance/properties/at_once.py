"""CON: calls that are made at once are as if they had been made in some order."""

from collections.abc import Iterator

from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Role, StartUpload, verb_of
from holdfast_conformance.byte_steps import WriteBytes
from holdfast_conformance.judgement.evidence import (
    Capabilities,
    Held,
    Judgement,
    Moment,
    TogetherMoment,
    Violated,
    violated_by,
)
from holdfast_conformance.judgement.registry import checks
from holdfast_conformance.plan import (
    FinishUpload,
    Plan,
    SendPart,
    Step,
    StoreStep,
    WriteBlocks,
    calls_of,
)
from holdfast_conformance.primary_limits import can_write
from holdfast_conformance.trace import Raised
from holdfast_conformance.verdict import Level

_NAMES = ("key", "volume", "upload", "target")


@checks(
    "CON-01",
    Level.L1,
    "Equal requests at once make one thing, and get one answer.",
)
def _equal(moment: Moment) -> Judgement:
    return _as_in_some_order(moment, "CON-01")


@checks(
    "CON-02",
    Level.L1,
    "Requests at once about one object are answered, and leave it, as some order of them would.",
)
def _rivals(moment: Moment) -> Judgement:
    return _as_in_some_order(moment, "CON-02")


@checks(
    "CON-08",
    Level.L1,
    "Requests at once about different objects all have their effect, and no other; whoever lists "
    "meanwhile sees all that lasts.",
)
def _strangers(moment: Moment) -> Judgement:
    return _as_in_some_order(moment, "CON-08")


def _nothing_is_copied(declared: Capabilities) -> str | None:
    if not isinstance(declared, PrimaryCapabilities):
        return None
    if not can_write(declared):
        return "no host can write a whole block"
    copies = declared.clone is not None and declared.clone.from_volume
    if declared.snapshot is not None or copies:
        return None
    return "the store declares neither snapshots nor volumes from volumes"


@checks(
    "CON-07",
    Level.L1,
    "What is taken of a volume while it is written is of one moment: it has each block as it was "
    "before or after, and no write without those that were durable before it began; the volume has "
    "what was written.",
    roles=(Role.PRIMARY,),
    gate=_nothing_is_copied,
    min_exercise=2,
)
def _written(moment: Moment) -> Judgement:
    return _as_in_some_order(moment, "CON-07")


def _as_in_some_order(moment: Moment, identifier: str) -> Judgement:
    if not isinstance(moment, TogetherMoment) or _property_of(moment) != identifier:
        return None
    if not moment.allowed:
        expected = f"{moment.verb} at once: what some order of them allows"
        return Violated(expected, moment.observed_outcome)
    if moment.differences:
        return violated_by(moment.differences)
    outcomes = [stepped.outcome for stepped in moment.stepped]
    if all(isinstance(one, Raised) and one.kind is ErrorKind.BUSY for one in outcomes):
        return None  # Nothing was done at once.
    return Held((" and ".join(sorted(map(verb_of, moment.step.steps))),))


def _property_of(moment: TogetherMoment) -> str:
    """The property that calls at once are a test of; each is of exactly one."""
    calls = moment.step.steps
    if all(call == calls[0] for call in calls):
        return "CON-01"
    if any(isinstance(call, WriteBlocks | WriteBytes) for call in calls):
        return "CON-07"
    if any(isinstance(call, StoreStep) for call in calls):
        return "CON-02"
    named = [frozenset(_named(call, moment.plan)) for call in calls]
    shared = any(one & other for place, one in enumerate(named) for other in named[:place])
    return "CON-02" if shared else "CON-08"


def _named(call: Step, plan: Plan) -> Iterator[str]:
    """The objects that a call is about, as that which an upload becomes; a host is none."""
    if isinstance(call, SendPart | FinishUpload):
        calls = (known for step in plan.steps for known in calls_of(step))
        for known in calls:
            if isinstance(known, StartUpload) and known.upload == call.upload:
                yield known.key
    for owner in (call, getattr(call, "source", None)):
        for name in (*_NAMES, "snapshot"):
            if value := getattr(owner, name, ""):
                yield str(value)

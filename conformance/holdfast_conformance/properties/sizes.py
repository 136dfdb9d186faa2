"""SIZ: sizes are what was asked for, rounded up and never down."""

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.requests import ResizeVolume, Role
from holdfast_conformance.judgement.evidence import (
    Capabilities,
    Held,
    Judgement,
    StepMoment,
    agreed,
)
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.model.difference import Aspect
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.primary_limits import can_clone, has_size_between, has_two_sizes
from holdfast_conformance.verdict import Level

_S = Situation
_PRIMARY = (Role.PRIMARY,)
_VOLUME = OwnedKind.VOLUME


def _no_resize(declared: Capabilities) -> str | None:
    if isinstance(declared, PrimaryCapabilities) and declared.resize is None:
        return "the store does not declare resizing"
    return None


def _no_growth(declared: Capabilities) -> str | None:
    if isinstance(declared, PrimaryCapabilities) and not has_two_sizes(declared):
        return _no_resize(declared) or "all volumes of the store have one size"
    return _no_resize(declared)


def _no_source(declared: Capabilities) -> str | None:
    if isinstance(declared, PrimaryCapabilities):
        clone = declared.clone
        if clone is None or not (clone.from_snapshot or clone.from_volume or clone.from_data):
            return "the store does not declare volumes from a source"
        if not (can_clone(declared) and has_two_sizes(declared)):
            return "the store has no volume that could be larger than its source"
    return None


def _rounding(declared: Capabilities) -> tuple[str, ...]:
    if not isinstance(declared, PrimaryCapabilities):
        return ()
    return ("rounded",) if has_size_between(declared) else ()


def _resizing(declared: Capabilities) -> tuple[str, ...]:
    if not isinstance(declared, PrimaryCapabilities) or not has_two_sizes(declared):
        return ("same",)
    shrinks = declared.resize is not None and declared.resize.shrink
    return ("same", "smaller", *(("shrink",) if shrinks else ()))


@checks_steps(
    "SIZ-01",
    Level.L1,
    "A volume is at least as large as asked for, rounded up to the declared granularity and no "
    "further, and its true size is returned.",
    roles=_PRIMARY,
    aspects=_rounding,
)
def _rounded_up(moment: StepMoment) -> Judgement:
    if moment.before.down or not moment.is_situation(_S.CREATE_NEW, _S.GROW):
        return None
    if not (moment.succeeded and moment.allowed):
        return None
    rounded = ("rounded",) if moment.is_situation(_S.SIZE_ROUNDED) else ()
    return agreed(moment, *moment.differing(Aspect.SIZE, kind=_VOLUME), aspects=rounded)


@checks_steps(
    "SIZ-02",
    Level.L1,
    "A volume that grew is larger for everybody who looks; one that did not has its old size.",
    roles=_PRIMARY,
    gate=_no_growth,
)
def _grown(moment: StepMoment) -> Judgement:
    if not moment.is_situation(_S.GROW, _S.RESIZE_ABSENT) or moment.before.down:
        return None
    return agreed(moment, *moment.differing(Aspect.SIZE, Aspect.DIGEST, Aspect.BLOCK))


@checks_steps(
    "SIZ-04",
    Level.L1,
    "Resizing to the present size or below it, without shrink, changes nothing; shrink works where "
    "declared, keeps the front, and is Unsupported elsewhere.",
    roles=_PRIMARY,
    gate=_no_resize,
    aspects=_resizing,
)
def _not_grown(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    differences = moment.differing(kind=_VOLUME)
    names = {_S.RESIZE_SAME: "same", _S.RESIZE_SMALLER: "smaller", _S.SHRINK: "shrink"}
    for situation, name in names.items():
        if moment.is_situation(situation):
            judged = agreed(moment, *differences, aspects=(name,))
            refused = moment.is_situation(_S.RESIZE_GRANTED) and judged == Held((name,))
            return Held() if refused else judged
    step = moment.step
    undeclared = moment.is_situation(_S.UNDECLARED)
    if undeclared and isinstance(step, ResizeVolume) and step.shrink:
        return agreed(moment, *differences)
    return None


@checks_steps(
    "SIZ-05",
    Level.L1,
    "A volume made larger than its source has the larger size from the first use on.",
    roles=_PRIMARY,
    gate=_no_source,
)
def _larger_than_source(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.CREATE_LARGER):
        return agreed(moment, *moment.differing(Aspect.SIZE, kind=_VOLUME))
    if moment.is_situation(_S.CREATE_SMALLER):
        return agreed(moment, *moment.differing(kind=_VOLUME))
    return None


@checks_steps(
    "SIZ-07",
    Level.L1,
    "Sizes at the limits work and sizes past them are refused, with nothing made.",
    roles=_PRIMARY,
)
def _edges(moment: StepMoment) -> Judgement:
    if not moment.is_situation(_S.SIZE_EDGE) or moment.before.down:
        return None
    sizes = (Aspect.SIZE, Aspect.MISSING, Aspect.EXTRA, Aspect.DUPLICATE)
    return agreed(moment, *moment.differing(*sizes, kind=_VOLUME))

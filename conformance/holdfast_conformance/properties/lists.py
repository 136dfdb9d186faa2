"""LST: lists show everything once and in order, page by page, and tokens stand for a place."""

from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.requests import Role
from holdfast_conformance.judgement.evidence import (
    Capabilities,
    Judgement,
    StepMoment,
    agreed,
    covered,
)
from holdfast_conformance.judgement.registry import checks_steps, no_aspects, these
from holdfast_conformance.list_steps import WalkSnapshots
from holdfast_conformance.model.difference import Where
from holdfast_conformance.model.image_state import ImageSituation
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.primary_limits import holds_two
from holdfast_conformance.trace import Continued, Raised
from holdfast_conformance.verdict import Level

_S = Situation
_I = ImageSituation
_PAGES_MIN = 3
"""A list of fewer things has no page to go on from."""


def _no_snapshots(declared: Capabilities) -> str | None:
    if isinstance(declared, PrimaryCapabilities) and declared.snapshot is None:
        return "the store does not declare snapshots"
    return None


def _walks_of_snapshots(declared: Capabilities) -> tuple[str, ...]:
    """Those of one volume, and of all where there can be more than one."""
    several = isinstance(declared, PrimaryCapabilities) and holds_two(declared)
    return ("all", "volume") if several else ("volume",)


@checks_steps(
    "LST-01",
    Level.L1,
    "Pages of snapshots, of all volumes and of one, show each snapshot once and in byte order, "
    "whatever their size.",
    roles=(Role.PRIMARY,),
    gate=_no_snapshots,
    aspects=_walks_of_snapshots,
    min_exercise=1,
)
def _snapshots(moment: StepMoment) -> Judgement:
    step = moment.step
    if moment.before.down or not isinstance(step, WalkSnapshots):
        return None
    if not moment.is_situation(_S.SNAPSHOT_WALK):
        return None
    wrong = moment.differing(where=Where.REPLY)
    return agreed(moment, *wrong, aspects=("volume" if step.volume else "all",))


_PAGES = {
    _S.PAGE_NEXT: "next",
    _S.PAGE_RESIZED: "another size",
    _S.PAGE_CHANGED: "changed",
    _S.PAGE_FOREIGN: "another list",
}


def _too_few(declared: Capabilities) -> str | None:
    if not isinstance(declared, PrimaryCapabilities):
        return None
    limit = declared.volume.volumes_max
    few = limit is not None and limit < _PAGES_MIN
    return f"the store holds no {_PAGES_MIN} volumes" if few else None


@checks_steps(
    "LST-02",
    Level.L1,
    "A page token stands for the place where its page ended: after changes, a reopening or with "
    "another page size nothing is repeated and nothing left out; with the token of another list "
    "nothing is shown that does not belong to this one.",
    gate=_too_few,
    aspects=these("next", "changed"),
)
def _tokens(moment: StepMoment) -> Judgement:
    aspects = covered(moment, _PAGES)
    if not aspects or moment.before.down:
        return None
    if not isinstance(moment.reply, Continued) and moment.allowed:
        return None if not isinstance(moment.outcome, Raised) else agreed(moment, aspects=aspects)
    return agreed(moment, *moment.differing(where=Where.REPLY), aspects=aspects)


_LITERAL = {_I.WALK_LITERAL: "literal", _I.WALK_EXACT: "key", _I.WALK_DELIMITER: "delimiter"}


def _literal(declared: Capabilities) -> tuple[str, ...]:
    if isinstance(declared, PrimaryCapabilities):
        return no_aspects(declared)
    return ("literal", "key", *(("delimiter",) if declared.list.delimiter else ()))


@checks_steps(
    "LST-03",
    Level.L1,
    "A prefix and a delimiter are texts, whatever characters they have, and a key that is the "
    "prefix is listed, too.",
    roles=(Role.IMAGE,),
    aspects=_literal,
)
def _texts(moment: StepMoment) -> Judgement:
    aspects = covered(moment, _LITERAL)
    if not aspects or moment.before.down:
        return None
    return agreed(moment, *moment.differing(where=Where.REPLY), aspects=aspects)

"""PRB: what became of a call, and what a namespace owns; recovery trusts both."""

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.requests import verb_of
from holdfast_conformance.judgement.evidence import (
    HELD,
    Capabilities,
    Judgement,
    StepMoment,
    agreed,
    violated_by,
)
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.model.difference import Where
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.plan import ProbeCall
from holdfast_conformance.verdict import Level

_S = Situation
_IMAGE = ("start_upload", "send_part", "finish_upload", "abort_upload", "delete")


def _probed(declared: Capabilities) -> tuple[str, ...]:
    """The verbs of which a probe has one right answer, as far as the store declares them.

    A revert may leave nothing by which it could be told: it is judged, and not demanded.
    """
    if not isinstance(declared, PrimaryCapabilities):
        return (*_IMAGE, *(("copy",) if declared.copy is not None else ()))
    snapshot = declared.snapshot
    return (
        "create_volume",
        "delete_volume",
        *(("grant", "revoke") if declared.access.modes else ()),
        *(("resize_volume",) if _has_two_sizes(declared) else ()),
        *(("create_snapshot", "delete_snapshot") if snapshot is not None else ()),
    )


def _has_two_sizes(declared: PrimaryCapabilities) -> bool:
    """Whether a volume can be made larger than it is, within what plans try."""
    volume = declared.volume
    return declared.resize is not None and volume.size_max_bytes > volume.size_min_bytes


@checks_steps(
    "PRB-01",
    Level.L1,
    "A probe of a call whose effect is there answers Done, with the answer of the call.",
    aspects=_probed,
)
def _done(moment: StepMoment) -> Judgement:
    step = moment.step
    if not isinstance(step, ProbeCall) or moment.before.down:
        return None
    wrong = moment.differing(where=Where.REPLY)
    if moment.is_situation(_S.PROBE_EITHER):
        return violated_by(wrong) if wrong else None
    if not moment.is_situation(_S.PROBE_DONE):
        return None
    return agreed(moment, *wrong, aspects=(verb_of(step.call),))


@checks_steps(
    "PRB-02",
    Level.L1,
    "A probe of a call that was never made, was refused or is undone answers Absent.",
    aspects=_probed,
)
def _absent(moment: StepMoment) -> Judgement:
    step = moment.step
    if not isinstance(step, ProbeCall) or moment.before.down:
        return None
    if not moment.is_situation(_S.PROBE_ABSENT):
        return None
    return agreed(moment, *moment.differing(where=Where.REPLY), aspects=(verb_of(step.call),))


@checks_steps(
    "PRB-03",
    Level.L1,
    "A probe changes nothing: it neither makes, changes nor ends what it asks about.",
)
def _nothing_changed(moment: StepMoment) -> Judgement:
    if not isinstance(moment.step, ProbeCall) or moment.inventory_after is None:
        return None
    changed = (*moment.differing(where=Where.BACKEND), *moment.differing(where=Where.HANDLE))
    return violated_by(changed) if changed else HELD


@checks_steps(
    "PRB-04",
    Level.L1,
    "While the backend is down, a probe says that it cannot tell, or what is true.",
)
def _down(moment: StepMoment) -> Judgement:
    if not isinstance(moment.step, ProbeCall) or not moment.before.down:
        return None
    return agreed(moment, *moment.differing(where=Where.REPLY))


def _owned_kinds(declared: Capabilities) -> tuple[str, ...]:
    if not isinstance(declared, PrimaryCapabilities):
        return ("object", "upload")
    granted = ("grant",) if declared.access.modes else ()
    return ("volume", *granted, *(("snapshot",) if declared.snapshot is not None else ()))


@checks_steps(
    "PRB-05",
    Level.L1,
    "Everything that a namespace owns is enumerated, each thing once and as it is, and nothing "
    "else: volumes, snapshots and grants, objects and open uploads.",
    aspects=_owned_kinds,
)
def _owned(moment: StepMoment) -> Judgement:
    if not moment.is_situation(_S.ENUMERATE) or moment.before.down:
        return None
    wrong = moment.differing(where=Where.REPLY)
    kinds = {thing.kind.value for thing in moment.inventory_before} - {OwnedKind.STORE.value}
    return agreed(moment, *wrong, aspects=tuple(sorted(kinds)))

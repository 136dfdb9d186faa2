"""IDM: doing it again is doing it once."""

from holdfast.contract.answers import PartInfo
from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.requests import StartUpload
from holdfast_conformance.judgement.evidence import (
    Capabilities,
    Judgement,
    StepMoment,
    Violated,
    agreed,
)
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.model.image_state import ImageSituation
from holdfast_conformance.plan import FinishUpload, SendPart
from holdfast_conformance.primary_limits import resizes
from holdfast_conformance.verdict import Level

_LIFE = ("initialize", "attach", "detach", "maintain", "cancel_maintenance", "delete_store")
_PRIMARY = ("create_volume", "delete_volume", "grant", "revoke")
_IMAGE = ("start_upload", "send_part", "finish_upload", "abort_upload", "delete")


def _mutating(declared: Capabilities) -> tuple[str, ...]:
    if not isinstance(declared, PrimaryCapabilities):
        return (*_IMAGE, *(("copy",) if declared.copy is not None else ()), *_LIFE)
    optional = (
        *(("resize_volume",) if resizes(declared) else ()),
        *(("create_snapshot", "delete_snapshot") if declared.snapshot is not None else ()),
        *(("revert_volume",) if declared.snapshot and declared.snapshot.revert else ()),
    )
    return (*_PRIMARY, *optional, *_LIFE)


@checks_steps(
    "IDM-01",
    Level.L1,
    "Every changing operation, repeated with an equal request, leaves the same state and gives the "
    "same answer.",
    aspects=_mutating,
)
def _repeated(moment: StepMoment) -> Judgement:
    if dropped := _dropped(moment):
        return dropped
    if moment.repeats is None or moment.verb not in _mutating(moment.capabilities):
        return None
    completed = isinstance(moment.step, FinishUpload)
    if completed and not moment.is_situation(ImageSituation.COMPLETE_AGAIN):
        return None  # What it made is gone, or another upload had its key: nobody says what comes.
    if not moment.succeeded:
        return agreed(moment) if not moment.allowed else None
    # A part that is sent again may be given another tag: it is another copy.
    same = moment.reply == moment.repeats.reply or isinstance(moment.reply, PartInfo)
    if not same:
        return Violated(f"the same answer: {moment.repeats.reply}", str(moment.reply))
    return agreed(moment, *moment.differences, aspects=(moment.verb,))


def _dropped(moment: StepMoment) -> Violated | None:
    """A completion that fails after its upload was started again: the repeat dropped the parts."""
    step = moment.step
    if not isinstance(step, FinishUpload) or moment.allowed:
        return None
    before = moment.plan.steps[: max(0, moment.index)]
    about = [earlier for earlier in before if getattr(earlier, "upload", "") == step.upload]
    starts = [i for i, earlier in enumerate(about) if isinstance(earlier, StartUpload)]
    parts = [i for i, earlier in enumerate(about) if isinstance(earlier, SendPart)]
    repeated = any(start > min(parts, default=len(about)) for start in starts)
    equal = len({about[start] for start in starts}) == 1
    if not (repeated and equal):
        return None
    expected = f"the parts sent before the repeated start: {moment.expected_outcome}"
    return Violated(expected, moment.observed_outcome)

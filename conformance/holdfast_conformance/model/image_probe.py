"""What a probe of an image store's call may say."""

from holdfast.contract.requests import AbortUpload, CopyObject, DeleteObject, StartUpload
from holdfast_conformance.model.image_copy import alike
from holdfast_conformance.model.image_state import ImageState
from holdfast_conformance.model.image_upload import arguments_of
from holdfast_conformance.model.probed_calls import (
    ABSENT,
    DONE,
    EITHER,
    Fate,
    ended,
    reached,
    sent_slot,
    slot_of,
)
from holdfast_conformance.payload import same_bytes
from holdfast_conformance.plan import FinishUpload, ProbedCall, SendPart


def fate_of(state: ImageState, call: ProbedCall) -> Fate:
    """What has become of a call, as far as it shows in the state."""
    match call:
        case StartUpload():
            return _started(state, call)
        case SendPart():
            return _sent(state, call)
        case FinishUpload():
            return _finished(state, call)
        case AbortUpload(upload=upload):
            return ended(state, call, gone=upload not in state.uploads)
        case DeleteObject(key=key):
            return ended(state, call, gone=key not in state.objects)
        case CopyObject():
            return _copied(state, call)
        case _:
            raise TypeError(f"an image store has no call {type(call).__name__}")


def _started(state: ImageState, call: StartUpload) -> Fate:
    upload = state.uploads.get(call.upload)
    if upload is not None:
        return reached(state, call, there=arguments_of(upload) == arguments_of(call))
    # What was completed was started once; a store need not know.
    return EITHER if call.upload in state.settled else ABSENT


def _sent(state: ImageState, call: SendPart) -> Fate:
    upload = state.uploads.get(call.upload)
    if upload is None:
        return EITHER if call.upload in state.settled else ABSENT
    piece = upload.parts.get(call.number)
    if piece is not None and same_bytes(piece, (call.content, call.size_bytes)):
        return reached(state, call, there=True)
    # A part that another one replaced may still be kept.
    return EITHER if state.acted.get(sent_slot(call)) == call else ABSENT


def _finished(state: ImageState, call: FinishUpload) -> Fate:
    settled = state.settled.get(call.upload)
    if settled is None or state.objects.get(settled.key) != settled.made:
        return ABSENT
    # Under an upload's key that was used again, or with other parts, its object may be told or not.
    plainly = settled.step == call and call.upload not in state.uploads
    return DONE if plainly else EITHER


def _copied(state: ImageState, call: CopyObject) -> Fate:
    source, there = state.objects.get(call.key), state.objects.get(call.target)
    if there is None:
        return ABSENT
    slot = slot_of(call)
    acted = slot is not None and state.acted.get(slot) == call
    if source is not None and alike(source, there):
        return DONE if acted else EITHER
    # Without its source nobody can compare, and a source that was replaced since proves nothing.
    return EITHER if acted or source is None else ABSENT

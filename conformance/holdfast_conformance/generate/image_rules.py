"""Further rules of random image plans: parts by class, uploads that are over, what is replaced."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from holdfast.contract.requests import (
    AbortUpload,
    CopyObject,
    DeleteObject,
    GetObject,
    HeadObject,
    ListObjects,
    OpenObject,
    StartUpload,
)
from holdfast_conformance.address_steps import FetchAddress
from holdfast_conformance.model.image_state import ImageState, UploadModel
from holdfast_conformance.payload import HEAD_BYTES, Shape, shaped
from holdfast_conformance.plan import FencedCall, FinishUpload, GiveUp, LateCall, OlderPart, Step
from holdfast_conformance.scenarios.image_versions import CONTENT_TYPES

if TYPE_CHECKING:
    from holdfast_conformance.generate.image_steps import ImageChance

_OLDER_MIN_BYTES = 16
"""Shorter parts may be equal by chance."""
_PARTS_SENT_MAX = 12
_GAPS = (1, 2, 3, 9, 10, 11, 20, 21, 99, 100, 101)


def many_numbers(chance: "ImageChance", state: ImageState) -> Iterator[Step]:
    """Several parts of one open upload, with gaps between their numbers."""
    if (entry := chance.upload(state)) is None:
        return
    start = opened(*entry)
    limits = chance.declared.upload
    numbers = [number for number in _GAPS if number <= limits.parts_max]
    count = 2 + chance.choices.below(4)
    room = max(0, _PARTS_SENT_MAX - len(entry[1].parts))
    for number in chance.choices.shuffled(numbers)[: min(count, room)]:
        yield chance.script.part(start, number, chance.part_size())


def same_bytes(chance: "ImageChance", state: ImageState) -> Iterator[Step]:
    """A part with the bytes of another one."""
    if (entry := chance.upload(state)) is None or not entry[1].parts:
        return
    name, upload = entry
    number = chance.choices.pick(sorted(upload.parts))
    content, size_bytes = upload.parts[number]
    if number < chance.declared.upload.parts_max:
        part = chance.script.part(opened(name, upload), number + 1, size_bytes)
        yield msgspec.structs.replace(part, content=content)


def late_call(chance: "ImageChance", state: ImageState) -> Iterator[Step]:
    """A call that was made before, or one of its kind on another object, comes late."""
    if not chance.declared.fences:
        return
    key = chance.taken(state)
    calls: list[FencedCall] = [*chance.calls, DeleteObject(key=key), chance.script.start(key)]
    if (entry := chance.upload(state)) is not None:
        calls.append(AbortUpload(upload=entry[0]))
    for _ in range(1 + chance.choices.below(2)):
        yield LateCall(
            call=chance.choices.pick(calls),
            former_owner=bool(chance.choices.below(2)),
            given_up=chance.choices.pick(("", "before", "long before")),
        )
    yield GiveUp(name=chance.choices.pick(("before", "before", "long before")))


def older(chance: "ImageChance", state: ImageState) -> Iterator[Step]:
    """Replace a part by one of its size, and complete with what it was before."""
    if (entry := chance.upload(state)) is None:
        return
    name, upload = entry
    for number, (content, size_bytes) in sorted(upload.parts.items())[-1:]:
        if size_bytes >= _OLDER_MIN_BYTES:
            start, numbers = opened(name, upload), sorted(upload.parts)
            yield chance.script.part(start, number, size_bytes)
            before = OlderPart(number=number, content=content, size_bytes=size_bytes)
            yield msgspec.structs.replace(chance.script.finish(start, *numbers), older=(before,))
            yield HeadObject(key=upload.key)


def late(chance: "ImageChance", state: ImageState) -> Iterator[Step]:
    """Complete an upload again that was completed at any time before."""
    done = [settled.step for settled in state.settled.values() if settled.step is not None]
    steps = [step for step in done if step.upload not in state.uploads]
    if steps:
        step: FinishUpload = chance.choices.pick(steps)
        yield step
        yield GetObject(key=state.settled[step.upload].key)


def over_and_again(chance: "ImageChance", state: ImageState) -> Iterator[Step]:
    """Open an upload under a key that was an upload's before, aborted or completed."""
    names = sorted({*state.aborted, *_completed(state)} - set(state.uploads))
    if names:
        kind = chance.choices.pick(chance.kinds)
        start = chance.script.start(chance.key(), upload=chance.choices.pick(names), kind=kind)
        yield start
        if chance.choices.one_in(2):
            yield chance.script.finish(start, 1)
        yield chance.script.part(start, 1 + chance.choices.below(2), chance.part_size())


def give_up(chance: "ImageChance", state: ImageState) -> Iterator[Step]:
    """Abort an open upload, and see that its key and its object are as they were."""
    if (entry := chance.upload(state)) is not None:
        yield AbortUpload(upload=entry[0])
        yield HeadObject(key=entry[1].key)


def replace(chance: "ImageChance", state: ImageState) -> Iterator[Step]:
    """Put another object in place of one, and look by several verbs."""
    key = chance.taken(state)
    content_type = chance.choices.pick(CONTENT_TYPES)
    kind = chance.choices.pick(chance.kinds)
    yield chance.script.put(
        key,
        chance.size(),
        kind=kind,
        content_type=content_type,
        content=chance.script.shaped_content(),
    )
    looks: list[Step] = [
        HeadObject(key=key),
        GetObject(key=key),
        OpenObject(key=key),
        ListObjects(prefix=key, limit=1),
    ]
    if chance.declared.range is not None:
        looks.append(GetObject(key=key, offset_bytes=1))
    fetched = [name for name, address in state.addresses.items() if address.key == key]
    looks.extend(FetchAddress(address=name) for name in fetched[-1:])
    yield from chance.choices.shuffled(looks)[:2]


def replace_alike(chance: "ImageChance", state: ImageState) -> Iterator[Step]:
    """Put what is the same as an object, or almost, under its key or another."""
    whole = [
        (key, model)
        for key, model in state.objects.items()
        if len(model.pieces) == 1 and model.size_bytes > HEAD_BYTES
    ]
    if not whole:
        yield chance.script.put(chance.key(), chance.script.fitting(HEAD_BYTES + 800))
        return
    key, model = chance.choices.pick(whole)
    ((content, size_bytes),) = model.pieces
    if chance.choices.below(2):
        content = shaped(content, Shape.OTHER_TAIL)
    kind = chance.choices.pick((model.kind, *chance.kinds))
    target = key if chance.choices.below(2) else chance.key()
    yield chance.script.put(target, size_bytes, kind=kind, content=content)
    if chance.declared.copy is not None and target != key:
        yield CopyObject(key=key, target=target)
    yield GetObject(key=target)


def copy_then_change(chance: "ImageChance", state: ImageState) -> Iterator[Step]:
    """Copy an object, then replace or delete it, or copy it over itself; the copy stays."""
    if chance.declared.copy is None or not state.objects:
        return
    source, target = chance.taken(state), chance.key()
    yield CopyObject(key=source, target=target)
    changes: tuple[Step, ...] = (
        DeleteObject(key=source),
        chance.script.put(source, chance.size()),
        CopyObject(key=source, target=source),
        CopyObject(key=target, target=source),
    )
    yield chance.choices.pick(changes)
    yield GetObject(key=target)


def power_range(chance: "ImageChance", state: ImageState) -> Iterator[Step]:
    """Read around a power of two, or nothing at all."""
    if chance.declared.range is None:
        return
    key = chance.taken(state)
    model = state.objects.get(key)
    size = model.size_bytes if model else 10
    powers = [1 << exponent for exponent in range(22) if 1 << exponent <= size] or [1]
    power = chance.choices.pick(powers)
    offset = max(0, power - 1 + chance.choices.below(3))
    length = chance.choices.pick((2, 1, None, power, power + 1, 0))
    yield GetObject(key=key, offset_bytes=offset, length_bytes=length)


def opened(name: str, upload: UploadModel) -> StartUpload:
    """The step that opened an upload."""
    return StartUpload(
        upload=name, key=upload.key, kind=upload.kind, content_type=upload.content_type
    )


def _completed(state: ImageState) -> set[str]:
    """The keys of uploads that plans completed step by step."""
    return {name for name, settled in state.settled.items() if settled.step is not None}

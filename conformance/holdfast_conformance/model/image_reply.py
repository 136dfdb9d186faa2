"""What is wrong with an image store's answers: sizes, digests, ranges, lists."""

from collections.abc import Iterator
from itertools import pairwise

from holdfast.contract.answers import (
    Gone,
    HealthInfo,
    HealthState,
    ObjectInfo,
    ObjectPage,
    OwnedKind,
    PartInfo,
    StatsInfo,
    UploadInfo,
)
from holdfast.contract.requests import (
    AbortUpload,
    CheckHealth,
    CopyObject,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    GetStats,
    HeadObject,
    ListObjects,
    OpenObject,
    StartUpload,
)
from holdfast_conformance.address_steps import FetchAddress, FetchExpired, MakeAddress
from holdfast_conformance.model.difference import Aspect, Difference, Where
from holdfast_conformance.model.expected_store import is_another
from holdfast_conformance.model.image_address import fetch_differences, make_differences
from holdfast_conformance.model.image_state import ImageState, ObjectModel
from holdfast_conformance.model.life_cycle import (
    LIFE_CYCLE_STEPS,
    store_reply_differences,
    wrong_type,
)
from holdfast_conformance.payload import middle
from holdfast_conformance.plan import (
    FinishUpload,
    GiveUp,
    HealFault,
    InjectFault,
    PutObject,
    Reopen,
    SendPart,
    Step,
    UseDriver,
    UseStore,
    Wait,
    WalkObjects,
)
from holdfast_conformance.trace import (
    AddressMade,
    Enumerated,
    Fetched,
    HandleAnswer,
    HandleRead,
    ObjectBytes,
    Ok,
    Reply,
    Walked,
)

_Found = Iterator[Difference]


def differences(  # noqa: C901, PLR0912 - one short arm per verb reads best
    after: ImageState, step: Step, reply: Reply
) -> _Found:
    """What is wrong with the reply of a successful step."""
    if isinstance(step, LIFE_CYCLE_STEPS):
        yield from store_reply_differences(after.store, step, reply)
        return
    kind = OwnedKind.UPLOAD
    match step, reply:
        case StartUpload() as start, UploadInfo() as opened:
            yield from _same(kind, start.upload, Aspect.KEY, start.upload, opened.upload)
            yield from _same(kind, start.upload, Aspect.KEY, start.key, opened.key)
        case SendPart() as send, PartInfo(part=part):
            yield from _same(kind, send.upload, Aspect.KEY, send.number, part.number)
            yield from _same(kind, send.upload, Aspect.SIZE, send.size_bytes, part.size_bytes)
        case (FinishUpload() | PutObject()) as finish, ObjectInfo() as stored:
            if after.is_settled(finish.upload):
                settled = after.settled[finish.upload]
                yield from _object(settled.key, settled.made, stored)
        case HeadObject() as head, ObjectInfo() as stored:
            yield from _object(head.key, after.objects[head.key], stored)
        case GetObject() as get, ObjectBytes() as read:
            yield from _bytes(get, after.objects[get.key], read)
        case CopyObject() as copying, ObjectInfo() as stored:
            yield from _object(copying.target, after.objects[copying.target], stored)
        case OpenObject() as opening, HandleAnswer(handle, read):
            yield from _opened(opening.key, after.objects[opening.key], handle.size_bytes, read)
        case MakeAddress() as making, AddressMade() as address:
            yield from make_differences(making, address)
        case FetchAddress() | FetchExpired() as fetching, Fetched() as fetched:
            yield from fetch_differences(after, fetching, fetched)
        case (DeleteObject() | AbortUpload(), Gone()) | (
            Reopen() | UseDriver() | UseStore() | Wait() | GiveUp() | InjectFault() | HealFault(),
            Ok(),
        ):
            pass
        case ListObjects() as listing, ObjectPage() as page:
            yield from _page(after, listing, page)
        case WalkObjects() as walk, Walked() as walked:
            yield from _walk(after, walk, walked)
        case GetStats(), StatsInfo() as figures:
            yield from _stats(figures)
        case CheckHealth(), HealthInfo() as health:
            yield from _health(after, health)
        case EnumerateOwned(), Enumerated():
            pass  # compared with everything that there is, by the model
        case _:
            yield wrong_type(f"an answer of {type(step).__name__}", reply)


def range_of(step: GetObject, size_bytes: int) -> tuple[int, int]:
    """Where the bytes of a ranged read start in the object, and how many there are."""
    start = step.offset_bytes if step.offset_bytes >= 0 else size_bytes + step.offset_bytes
    start = min(max(start, 0), size_bytes)
    rest = size_bytes - start
    return start, rest if step.length_bytes is None else min(step.length_bytes, rest)


def listed(state: ImageState, prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    """The keys and the common prefixes that a listing must show, each in byte order."""
    keys: list[str] = []
    prefixes: dict[str, None] = {}
    for key in sorted(state.objects, key=str.encode):
        if key.startswith(prefix):
            head, separator, _ = (
                key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            )
            if separator:
                prefixes[prefix + head + separator] = None
            else:
                keys.append(key)
    return keys, list(prefixes)


def _same(kind: OwnedKind, key: str, aspect: Aspect, right: object, seen: object) -> _Found:
    if right != seen:
        yield Difference(Where.REPLY, kind, key, aspect, str(right), str(seen))


def item_differences(state: ImageState, item: ObjectInfo) -> Iterator[Difference]:
    """What is wrong with one item of a list."""
    if item.key in state.objects:
        yield from _object(item.key, state.objects[item.key], item)


def _object(key: str, model: ObjectModel, seen: ObjectInfo) -> _Found:
    kind = OwnedKind.OBJECT
    yield from _same(kind, key, Aspect.KEY, key, seen.key)
    yield from _same(kind, key, Aspect.SIZE, model.size_bytes, seen.size_bytes)
    yield from _same(kind, key, Aspect.DIGEST, model.sha256, seen.sha256)
    yield from _same(kind, key, Aspect.KIND, model.kind.value, seen.kind.value)
    yield from _same(kind, key, Aspect.CONTENT_TYPE, model.content_type, seen.content_type)


def _bytes(step: GetObject, stored: ObjectModel, seen: ObjectBytes) -> _Found:
    kind = OwnedKind.OBJECT
    start, length = range_of(step, stored.size_bytes)
    right = stored.sha256_of(start, length)
    yield from _object(step.key, stored, seen.data.object)
    yield from _same(kind, step.key, Aspect.OFFSET, start, seen.data.offset_bytes)
    yield from _same(kind, step.key, Aspect.LENGTH, length, seen.length_bytes)
    yield from _same(kind, step.key, Aspect.BYTES, right, seen.sha256)


def _opened(key: str, model: ObjectModel, size_bytes: int, seen: HandleRead | None) -> _Found:
    """An object's handle, and what was read through it: the whole and a range."""
    kind = OwnedKind.OBJECT
    yield from _same(kind, key, Aspect.SIZE, model.size_bytes, size_bytes)
    if seen is None or seen.problem:
        problem = seen.problem if seen else "nobody read it"
        yield Difference(Where.REPLY, kind, key, Aspect.BYTES, "bytes through its handle", problem)
        return
    yield from _same(kind, key, Aspect.LENGTH, model.size_bytes, seen.size_bytes)
    yield from _same(kind, key, Aspect.BYTES, model.sha256, seen.sha256)
    right = model.sha256_of(*middle(model.size_bytes))
    yield from _same(kind, key, Aspect.BYTES, right, seen.middle_sha256)


def _page(state: ImageState, step: ListObjects, page: ObjectPage) -> _Found:
    keys, prefixes = listed(state, step.prefix, step.delimiter)
    seen = [item.key for item in page.items]
    kind = OwnedKind.OBJECT
    # A first page shows the first keys; how many prefixes count towards it is the backend's choice.
    if not step.token:
        yield from _same(kind, step.prefix, Aspect.ORDER, keys[: len(seen)], seen)
        complete = len(seen) == len(keys) and len(page.prefixes) == len(prefixes)
        if not complete and not page.token:
            yield from _same(
                kind, step.prefix, Aspect.MISSING, (keys, prefixes), (seen, page.prefixes)
            )
    if len(seen) > step.limit:
        yield from _same(kind, step.prefix, Aspect.EXTRA, f"{step.limit} items", len(seen))
    for item in page.items:
        yield from item_differences(state, item)


def _walk(state: ImageState, step: WalkObjects, walked: Walked) -> _Found:
    keys, prefixes = listed(state, step.prefix, step.delimiter)
    for page in walked.pages:
        if len(page) > step.limit:
            full = f"at most {step.limit} on a page"
            yield from _same(OwnedKind.OBJECT, step.prefix, Aspect.EXTRA, full, len(page))
    seen = [key for page in walked.pages for key in page]
    folded = [prefix for page in walked.prefixes for prefix in page]
    yield from _sequence(step.prefix, keys, seen)
    yield from _sequence(step.prefix, prefixes, folded)


def _sequence(prefix: str, right: list[str], seen: list[str]) -> _Found:
    kind = OwnedKind.OBJECT
    for name in right:
        if name not in seen:
            yield Difference(Where.REPLY, kind, name, Aspect.MISSING, "listed", "not listed")
    for name in dict.fromkeys(seen):
        if name not in right:
            yield Difference(Where.REPLY, kind, name, Aspect.EXTRA, "not listed", "listed")
        elif seen.count(name) > 1:
            yield Difference(Where.REPLY, kind, name, Aspect.DUPLICATE, "once", "several times")
    if any(first.encode() > second.encode() for first, second in pairwise(seen)):
        yield Difference(Where.REPLY, kind, prefix, Aspect.ORDER, "byte order", str(seen))


def _stats(reply: StatsInfo) -> _Found:
    if not 0 <= reply.used_bytes <= reply.total_bytes:
        seen = f"{reply.used_bytes} of {reply.total_bytes}"
        yield Difference(Where.REPLY, None, "", Aspect.FIGURE, "0 <= used <= total", seen)
    if reply.allocated_bytes < 0 or reply.objects < 0:
        seen = f"{reply.allocated_bytes} bytes, {reply.objects} objects"
        yield Difference(Where.REPLY, None, "", Aspect.FIGURE, "nothing below 0", seen)


def _health(state: ImageState, reply: HealthInfo) -> _Found:
    down = state.down or is_another(state)
    right = HealthState.DOWN if down else HealthState.UP
    yield from _same(OwnedKind.STORE, "", Aspect.STATE, right.value, reply.state.value)
    if down and not reply.dependency:
        missing = "the name of what failed"
        yield Difference(Where.REPLY, OwnedKind.STORE, "", Aspect.DETAIL, missing, "")

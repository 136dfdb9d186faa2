"""IMG: image stores - objects, uploads, ranges, lists."""

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import ImageCapabilities
from holdfast.contract.requests import Role
from holdfast_conformance.image_limits import (
    LARGE_MAX_BYTES,
    binding_minimum,
    can_exceed_part,
    can_join,
    large_bytes,
)
from holdfast_conformance.judgement.evidence import (
    Capabilities,
    Held,
    Judgement,
    Moment,
    StepMoment,
    agreed_on,
)
from holdfast_conformance.judgement.registry import checks
from holdfast_conformance.model.difference import Aspect, Where
from holdfast_conformance.model.image_state import ImageSituation, ImageState
from holdfast_conformance.verdict import Level

_S = ImageSituation
_IMAGE = (Role.IMAGE,)
_CONTENT = (
    Aspect.TYPE,
    Aspect.SIZE,
    Aspect.DIGEST,
    Aspect.LENGTH,
    Aspect.BYTES,
    Aspect.OFFSET,
    Aspect.CONTENT_TYPE,
)


def _range_undeclared(declared: Capabilities) -> str | None:
    if isinstance(declared, ImageCapabilities) and declared.range is None:
        return "the store does not declare ranged reads"
    return None


def _one_part_only(declared: Capabilities) -> str | None:
    if isinstance(declared, ImageCapabilities) and declared.upload.parts_max == 1:
        return "the store declares objects of one part only"
    return None


def _parts_too_large(declared: Capabilities) -> str | None:
    if isinstance(declared, ImageCapabilities) and large_bytes(declared) is None:
        too_large = f"one part holds all of the {LARGE_MAX_BYTES >> 20} MiB that a plan stores"
        return _one_part_only(declared) or too_large
    return None


_ROUND_TRIP = {
    _S.PUT: "an object",
    _S.PUT_EMPTY: "an object of 0 bytes",
    _S.COMPLETE: "an object",
    _S.COMPLETE_EMPTY: "an object of 0 bytes",
    _S.GET_WHOLE: "reading",
    _S.GET_EMPTY: "reading 0 bytes",
    _S.HEAD: "what is known of it",
    _S.OPEN: "its handle",
}


@checks(
    "IMG-01",
    Level.L1,
    "What was put is read back: the same bytes, length, content type and checksum, also of an "
    "object of 0 bytes, by the driver and through the object's handle.",
    roles=_IMAGE,
    aspects=lambda _: tuple(dict.fromkeys(_ROUND_TRIP.values())),
)
def _round_trip(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment):
        return None
    return agreed_on(
        moment,
        _ROUND_TRIP,
        moment.differing(*_CONTENT, where=Where.REPLY)
        + moment.differing(where=Where.BACKEND, kind=OwnedKind.OBJECT),
    )


_REFUSED = {
    _S.COMPLETE_WRONG_SIZE: "a wrong size",
    _S.COMPLETE_WRONG_DIGEST: "a wrong digest",
}
_KEPT = "an earlier object stays"


@checks(
    "IMG-02",
    Level.L1,
    "Completing with a wrong size or digest is Corrupt: the object stays absent, or its earlier "
    "version intact.",
    roles=_IMAGE,
    aspects=lambda _: (*_REFUSED.values(), _KEPT),
)
def _wrong_is_refused(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment):
        return None
    judgement = agreed_on(
        moment, _REFUSED, moment.differing(where=Where.BACKEND, kind=OwnedKind.OBJECT)
    )
    if isinstance(judgement, Held) and _completes_over_another(moment):
        return Held((*judgement.aspects, _KEPT))
    return judgement


def _completes_over_another(moment: StepMoment) -> bool:
    state = moment.before
    upload = getattr(moment.step, "upload", "")
    return (
        isinstance(state, ImageState)
        and upload in state.uploads
        and state.uploads[upload].key in state.objects
    )


_RANGES = {
    _S.GET_RANGE: "a range",
    _S.GET_CUT: "a range that is cut at the end",
    _S.GET_PAST: "a range past the end",
    _S.GET_EDGE: "a range at the very end",
    _S.GET_NOTHING: "a range of 0 bytes",
    _S.GET_SUFFIX: "a range from the end",
}


def _range_aspects(declared: Capabilities) -> tuple[str, ...]:
    names = tuple(_RANGES.values())
    suffix = isinstance(declared, ImageCapabilities) and declared.range and declared.range.suffix
    return names if suffix else names[:-1]


@checks(
    "IMG-04",
    Level.L1,
    "A ranged read returns exactly the bytes asked for and says where they start: all edges, from "
    "the end, past the end, of an empty object.",
    roles=_IMAGE,
    gate=_range_undeclared,
    min_exercise=10,
    aspects=_range_aspects,
)
def _ranges(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment):
        return None
    return agreed_on(moment, _RANGES, moment.differing(*_CONTENT, where=Where.REPLY))


_PARTS = {
    _S.PART_NEW: "a part",
    _S.PART_BEFORE: "a part sent after a later one",
    _S.PART_AGAIN: "a part sent again",
    _S.PART_EMPTY: "a part of 0 bytes",
    _S.PART_NUMBER: "a part number out of range",
    _S.PART_LARGE: "a part over the maximum",
    _S.COMPLETE_ONE: "one part",
    _S.COMPLETE_SEVERAL: "several parts",
    _S.COMPLETE_SOME: "only some of the parts",
    _S.COMPLETE_MIXED: "part numbers in another order",
    _S.COMPLETE_REPLACED: "a part that replaced another",
    _S.COMPLETE_MINIMUM: "parts at the minimum",
    _S.COMPLETE_SMALL: "a part below the minimum",
    _S.COMPLETE_BAD_PARTS: "a part that is missing or named twice",
    _S.COMPLETE_OLDER: "a part as it was before it was replaced",
}


_ONLY_JOINED = (
    _S.PART_BEFORE,
    _S.COMPLETE_SEVERAL,
    _S.COMPLETE_SOME,
    _S.COMPLETE_MIXED,
)


def _part_aspects(declared: Capabilities) -> tuple[str, ...]:
    names = dict(_PARTS)
    if isinstance(declared, ImageCapabilities):
        if not can_exceed_part(declared):
            del names[_S.PART_LARGE]
        if not can_join(declared):
            for situation in _ONLY_JOINED:
                del names[situation]
        if binding_minimum(declared) is None:
            del names[_S.COMPLETE_MINIMUM], names[_S.COMPLETE_SMALL]
    return tuple(names.values())


@checks(
    "IMG-05",
    Level.L1,
    "Parts come in any order, may be sent again, and have sizes down to the declared minimum; the "
    "object is their concatenation by number, and a missing or repeated part is refused.",
    roles=_IMAGE,
    gate=_one_part_only,
    min_exercise=10,
    aspects=_part_aspects,
)
def _parts(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment):
        return None
    return agreed_on(
        moment,
        _PARTS,
        moment.differing(*_CONTENT, where=Where.REPLY)
        + moment.differing(where=Where.BACKEND, kind=OwnedKind.OBJECT)
        + moment.differing(where=Where.BACKEND, kind=OwnedKind.UPLOAD)
        + moment.differing(where=Where.BACKEND, kind=OwnedKind.TEMPORARY),
    )


@checks(
    "IMG-08",
    Level.L1,
    "An object larger than one part is put like any other, and its size is that of the whole.",
    roles=_IMAGE,
    gate=_parts_too_large,
)
def _larger_than_one_part(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment):
        return None
    large = {_S.PUT_LARGE: "", _S.PUT_LARGEST: "", _S.GET_JOINED: ""}
    if moment.is_situation(_S.HEAD) and _of_several_parts(moment):
        large[_S.HEAD] = ""
    judgement = agreed_on(
        moment,
        large,
        moment.differing(Aspect.SIZE, Aspect.LENGTH, where=Where.REPLY)
        + moment.differing(Aspect.SIZE, where=Where.BACKEND, kind=OwnedKind.OBJECT),
    )
    return Held() if isinstance(judgement, Held) else judgement


def _of_several_parts(moment: StepMoment) -> bool:
    state = moment.before
    key = getattr(moment.step, "key", "")
    return isinstance(state, ImageState) and key in state.objects and state.objects[key].parts > 1


_DELETES = {
    _S.DELETE: "an object",
    _S.DELETE_JOINED: "an object of several parts",
    _S.DELETE_ABSENT: "an absent object",
    _S.GET_ABSENT: "reading an absent object",
    _S.HEAD_ABSENT: "asking for an absent object",
    _S.OPEN_ABSENT: "opening an absent object",
    _S.ABORT: "an upload",
    _S.ABORT_ABSENT: "an absent upload",
}


def _delete_aspects(declared: Capabilities) -> tuple[str, ...]:
    names = dict(_DELETES)
    if isinstance(declared, ImageCapabilities) and not can_join(declared):
        del names[_S.DELETE_JOINED]
    return tuple(names.values())


@checks(
    "IMG-09",
    Level.L1,
    "Deleting removes an object and all that it is made of, twice is fine, and what is absent is "
    "NotFound.",
    roles=_IMAGE,
    aspects=_delete_aspects,
)
def _deletes(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment):
        return None
    return agreed_on(moment, _DELETES, moment.differing(where=Where.BACKEND))


_OVER = {
    _S.COMPLETE_LATE: "a completion that comes again too late",
    _S.COMPLETE_USED: "an upload under a key that was used before",
}


@checks(
    "IMG-19",
    Level.L1,
    "An upload that is over brings nothing back: completing it again changes nothing once its "
    "object was replaced or deleted, and one that takes its key has its own parts and object only.",
    roles=_IMAGE,
    aspects=lambda _: tuple(_OVER.values()),
)
def _over(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment):
        return None
    return agreed_on(
        moment,
        _OVER,
        moment.differing(*_CONTENT, Aspect.KEY, where=Where.REPLY)
        + moment.differing(where=Where.BACKEND),
    )


_LISTS = {
    _S.LIST: "one page",
    _S.LIST_TOKEN: "a token that was never issued",
    _S.WALK: "all pages",
    _S.WALK_PAGES: "more keys than fit into one page",
    _S.WALK_ENCODED: "keys that a backend has to encode",
    _S.WALK_FOLDED: "keys folded into prefixes",
}


def _list_aspects(declared: Capabilities) -> tuple[str, ...]:
    names = tuple(_LISTS.values())
    folds = isinstance(declared, ImageCapabilities) and declared.list.delimiter
    return names if folds else names[:-1]


@checks(
    "IMG-10",
    Level.L1,
    "A list shows every key under the prefix once and in byte order, over several pages, with each "
    "common prefix once; keys come back as they were given.",
    roles=_IMAGE,
    aspects=_list_aspects,
)
def _lists(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment):
        return None
    return agreed_on(moment, _LISTS, moment.differing(where=Where.REPLY))


@checks(
    "IMG-15",
    Level.L1,
    "Objects of every declared kind are stored, and come back as that kind.",
    roles=_IMAGE,
    aspects=lambda declared: (
        tuple(kind.value for kind in declared.upload.kinds)
        if isinstance(declared, ImageCapabilities)
        else ()
    ),
)
def _kinds(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment):
        return None
    stores = {_S.PUT: "", _S.START_NEW: ""}
    reads = {_S.COMPLETE: "", _S.HEAD: "", _S.GET_WHOLE: ""}
    judgement = agreed_on(moment, stores | reads, moment.differing(Aspect.KIND))
    if not isinstance(judgement, Held):
        return judgement
    kind = getattr(moment.step, "kind", None)
    return Held((kind.value,)) if kind is not None and moment.is_situation(_S.PUT) else Held()

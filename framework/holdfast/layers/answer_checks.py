"""What a driver may answer: a well-formed value of the verb's own type, about what was asked.

The check of a verb is made once, from the types; see ``answer_check``.
"""

import enum
import operator
from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any, Final, get_origin

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import BYTES_MAX
from holdfast.contract.errors import Internal
from holdfast.contract.handles import Handle
from holdfast.layers.layer import GetStore

_ENCODER: Final = msgspec.msgpack.Encoder()
_HANDLES: Final[tuple[type, ...]] = tuple(Handle.__args__)

ANSWERS: Final[dict[type[requests.Request], Any]] = {
    requests.ListPools: answers.PoolList,
    requests.CreateVolume: answers.VolumeInfo,
    requests.GetVolume: answers.VolumeInfo,
    requests.ListVolumes: answers.VolumePage,
    requests.DeleteVolume: answers.Gone,
    requests.ResizeVolume: answers.VolumeInfo,
    requests.ModifyVolume: answers.VolumeInfo,
    requests.RevertVolume: answers.VolumeInfo,
    requests.CopyVolume: answers.VolumeInfo,
    requests.CreateSnapshot: answers.SnapshotInfo,
    requests.GetSnapshot: answers.SnapshotInfo,
    requests.ListSnapshots: answers.SnapshotPage,
    requests.DeleteSnapshot: answers.Gone,
    requests.Grant: answers.GrantInfo,
    requests.Revoke: answers.Gone,
    requests.Open: Handle,
    requests.GetStats: answers.StatsInfo,
    requests.CheckHealth: answers.HealthInfo,
    requests.EnumerateOwned: answers.OwnedThing,
    requests.StartUpload: answers.UploadInfo,
    requests.UploadPart: answers.PartInfo,
    requests.CompleteUpload: answers.ObjectInfo,
    requests.AbortUpload: answers.Gone,
    requests.GetObject: answers.ObjectData,
    requests.OpenObject: Handle,
    requests.HeadObject: answers.ObjectInfo,
    requests.ListObjects: answers.ObjectPage,
    requests.DeleteObject: answers.Gone,
    requests.CopyObject: answers.ObjectInfo,
    requests.TemporaryUrl: answers.UrlInfo,
    requests.InitializeStore: answers.StoreInfo,
    GetStore: answers.StoreInfo,
    requests.AttachHost: answers.StoreInfo,
    requests.DetachHost: answers.StoreInfo,
    requests.MaintainStore: answers.StoreInfo,
    requests.CancelMaintenance: answers.StoreInfo,
    requests.AdoptStore: answers.StoreInfo,
    requests.DeleteStore: answers.Gone,
}
"""For each request the type of its answer; of ``enumerate`` that of each item."""

_SAME_FIELDS: Final[dict[type[requests.Request], tuple[tuple[str, str], ...]]] = {
    requests.CreateVolume: (("key", "key"),),
    requests.GetVolume: (("key", "key"),),
    requests.DeleteVolume: (("key", "key"),),
    requests.ResizeVolume: (("key", "key"),),
    requests.ModifyVolume: (("key", "key"),),
    requests.RevertVolume: (("key", "key"),),
    requests.CopyVolume: (("target", "key"),),
    requests.CreateSnapshot: (("key", "key"), ("volume", "volume")),
    requests.GetSnapshot: (("key", "key"),),
    requests.DeleteSnapshot: (("key", "key"),),
    requests.Grant: (("volume", "volume"), ("host", "host"), ("mode", "mode")),
    requests.Revoke: (("volume", "key"),),
    requests.StartUpload: (("upload", "upload"), ("key", "key")),
    requests.UploadPart: (("number", "part.number"),),
    requests.AbortUpload: (("upload", "key"),),
    requests.GetObject: (("key", "object.key"),),
    requests.HeadObject: (("key", "key"),),
    requests.DeleteObject: (("key", "key"),),
    requests.CopyObject: (("target", "key"),),
}
"""For each request, which of its fields the answer must repeat, and under which name."""

Check = Callable[[object], None]
"""Raises ``Internal`` for an answer that is none."""
Match = Callable[[requests.Request, object], None]
"""Raises ``Internal`` for an answer about another object than the request."""


def _plainly_right(expected: type) -> Callable[[Any], bool]:
    """What tells, without encoding anything, that a struct is certainly well-formed.

    It knows texts, numbers and enumerations; of whatever else a struct holds it says only that it
    is not sure. Most answers are of that sort, and this is a tenth of the time of ``_encodable``.
    """
    fields = msgspec.structs.fields(expected)
    names = tuple(field.name for field in fields)
    kinds = tuple(_plain_kind(field.type) for field in fields)
    texts = _values_of([name for name, kind in zip(names, kinds, strict=True) if kind is str])
    numbers = _values_of([name for name, kind in zip(names, kinds, strict=True) if kind is int])
    values = _values_of(names)

    def right(answer: Any) -> bool:
        return (
            tuple(map(type, values(answer))) == kinds
            and all(map(str.isascii, texts(answer)))
            and all(0 <= number <= BYTES_MAX for number in numbers(answer))
        )

    return right


def _plain_kind(declared: Any) -> type:
    """The exact class that a field's value has when it is plain, or one that no value has."""
    if get_origin(declared) is Annotated:
        declared = declared.__origin__
    if declared in (str, int, bool) or isinstance(declared, enum.EnumMeta):
        return declared  # type: ignore[no-any-return]  # it is one of those
    if NoneType in getattr(declared, "__args__", ()):
        return NoneType
    return _Unsure


class _Unsure:
    """Of this class is no value of a struct."""


def _values_of(names: Any) -> Callable[[Any], tuple[Any, ...]]:
    """The values of these attributes, always as a tuple."""
    if not names:
        return lambda _: ()
    if len(names) == 1:
        only = operator.attrgetter(names[0])
        return lambda value: (only(value),)
    return operator.attrgetter(*names)


def _encodable(expected: Any) -> Callable[[object], bool]:
    """What tells whether all fields have the types they claim, however deep.

    A struct built by hand is not checked by its class.
    """
    decoder = msgspec.msgpack.Decoder(type=expected)

    def right(answer: object) -> bool:
        try:
            decoder.decode(_ENCODER.encode(answer))
        except (msgspec.MsgspecError, TypeError, UnicodeError, OverflowError):
            return False
        return True

    return right


def _can_be_reckoned(answer: object) -> bool:
    """Whether what is not limited by its own type is: sums, and what is told back in requests."""
    match answer:
        case answers.PoolList(items=pools):
            figures = ("total_bytes", "used_bytes", "allocated_bytes")
            return all(sum(getattr(one, name) for one in pools) <= BYTES_MAX for name in figures)
        case answers.PartInfo(part=part):
            return 0 <= part.size_bytes <= BYTES_MAX
        case _:
            return True


def well_formed(expected: type) -> Callable[[object], bool]:
    """What tells whether a struct of this type is what it claims; make it once and keep it."""
    plain, encodable = _plainly_right(expected), _encodable(expected)
    return lambda value: (type(value) is expected and plain(value)) or encodable(value)


def answer_check(expected: Any) -> Check:
    """The check for answers of one type; make it once and keep it."""
    if expected is answers.ObjectData:
        return _check_object_data
    kinds = _HANDLES if expected is Handle else (expected,)
    plain = {kind: _plainly_right(kind) for kind in kinds}
    encodable = _encodable(expected)

    def check(answer: object) -> None:
        right = plain.get(type(answer))
        if right is not None and right(answer):
            return
        if not (isinstance(answer, kinds) and encodable(answer) and _can_be_reckoned(answer)):
            raise _nonsense(answer, expected)

    return check


def _check_object_data(answer: object) -> None:
    # The payload can be large: look at it without copying it.
    right = (
        isinstance(answer, answers.ObjectData)
        and type(answer.data) is bytes
        and type(answer.offset_bytes) is int
        and 0 <= answer.offset_bytes <= BYTES_MAX
        and _is_object(answer.object)
    )
    if not right:
        raise _nonsense(answer, answers.ObjectData)


_is_object: Final = well_formed(answers.ObjectInfo)


def _nonsense(answer: object, expected: Any) -> Internal:
    noun = "handle" if expected is Handle else expected.__name__
    return Internal(
        f"nonsense: the driver answered with a {type(answer).__name__} that is no proper {noun}"
    )


def match_check(request_type: type[requests.Request]) -> Match:
    """The check that an answer is about what was asked; make it once and keep it."""
    pairs = _SAME_FIELDS.get(request_type, ())
    question = _values_of([field for field, _ in pairs])
    answered = _values_of([field for _, field in pairs])

    def check(request: requests.Request, answer: object) -> None:
        expected, actual = question(request), answered(answer)
        if expected != actual:
            raise Internal(
                f"nonsense: asked about {_together(expected)!r}, "
                f"the driver answered about {_together(actual)!r}"
            )

    return check


def _together(values: tuple[Any, ...]) -> str:
    return "|".join(map(str, values))

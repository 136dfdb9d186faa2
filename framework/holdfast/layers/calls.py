"""One driver call, typed on the way out: every error becomes a ``DriverError``, every answer is
what it should be.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from holdfast import infos, requests
from holdfast.capabilities import BYTES_MAX
from holdfast.errors import DriverError, Internal
from holdfast.handles import Handle
from holdfast.requests import verb_of

A = TypeVar("A")

_MESSAGE_MAX = 300
_ENCODER = msgspec.msgpack.Encoder()
_DECODERS: dict[object, msgspec.msgpack.Decoder[Any]] = {}


def _foreign(error: Exception, secrets: tuple[str, ...]) -> str:
    """What to say of an exception that no driver should raise; no message that holds a secret."""
    name = type(error).__name__
    if isinstance(error, DriverError):
        return f"the driver raised {name}, which is not one of the errors a driver may raise"
    try:
        text = str(error)
        message = " ".join(text.split())[:_MESSAGE_MAX]
        hidden = not message or any(secret and secret in text for secret in secrets)
    except Exception as broken:  # noqa: BLE001 - the message is foreign code, too
        return f"the driver raised {name}, whose message raised {type(broken).__name__}"
    return f"the driver raised {name}" if hidden else f"the driver raised {name}: {message}"


def subject_of(request: requests.Request) -> str:
    """The key of the object that a request is about, or an empty string."""
    for field in ("key", "upload", "volume", "host", "name"):
        value = getattr(request, field, "")
        if isinstance(value, str) and value:
            return value
    return ""


@contextmanager
def typed(verb: str, subject: str, secrets: tuple[str, ...] = ()) -> Iterator[None]:
    """Let only driver errors out, each with its verb and object filled in.

    Anything else that is an ``Exception`` becomes ``Internal`` with the original as its cause;
    cancellation and other ``BaseException`` pass.
    """
    try:
        yield
    except DriverError as error:
        if not hasattr(error, "kind"):
            raise Internal(_foreign(error, secrets), object=subject, verb=verb) from error
        error.verb = verb
        error.object = error.object or subject
        raise
    except Exception as error:
        raise Internal(_foreign(error, secrets), object=subject, verb=verb) from error


def _survives_encoding(answer: object, expected: object) -> bool:
    """Whether all fields have the types they claim; a struct built by hand is not checked."""
    decoder = _DECODERS.get(expected)
    if decoder is None:
        decoder = _DECODERS[expected] = msgspec.msgpack.Decoder(type=expected)
    try:
        decoder.decode(_ENCODER.encode(answer))
    except (msgspec.MsgspecError, TypeError, UnicodeError, OverflowError):
        return False
    return True


def _can_be_reckoned(answer: object) -> bool:
    """Whether what is not limited by its own type is: sums, and what is told back in requests."""
    match answer:
        case infos.PoolList(items=pools):
            figures = ("total_bytes", "used_bytes", "allocated_bytes")
            return all(sum(getattr(one, name) for one in pools) <= BYTES_MAX for name in figures)
        case infos.PartInfo(part=part):
            return 0 <= part.size_bytes <= BYTES_MAX
        case _:
            return True


def check_answer(answer: object, expected: object) -> None:
    """Raise ``Internal`` when the answer is not a well-formed value of the expected type."""
    right_type = isinstance(answer, expected if isinstance(expected, type) else _HANDLES)
    if right_type and isinstance(answer, infos.ObjectData):
        # The payload can be large: look at it without copying it.
        right = type(answer.data) is bytes and type(answer.offset_bytes) is int
        right = right and 0 <= answer.offset_bytes <= BYTES_MAX
        right = right and _survives_encoding(answer.object, infos.ObjectInfo)
    else:
        right = right_type and _survives_encoding(answer, expected) and _can_be_reckoned(answer)
    if not right:
        wanted = getattr(expected, "__name__", "handle")
        raise Internal(
            f"nonsense: the driver answered with a {type(answer).__name__} "
            f"that is no proper {wanted}"
        )


_HANDLES: tuple[type, ...] = tuple(Handle.__args__)

_SAME_FIELDS: dict[type[requests.Request], tuple[tuple[str, str], ...]] = {
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
    requests.AbortUpload: (("upload", "key"),),
    requests.HeadObject: (("key", "key"),),
    requests.DeleteObject: (("key", "key"),),
    requests.CopyObject: (("target", "key"),),
}
"""For each request, which of its fields the answer must repeat, and under which name."""


def check_match(request: requests.Request, answer: object) -> None:
    """Raise ``Internal`` when an answer is about another object than the request."""
    pairs = _SAME_FIELDS.get(type(request), ())
    if isinstance(request, requests.GetObject) and isinstance(answer, infos.ObjectData):
        got, wanted = answer.object.key, request.key
    elif isinstance(request, requests.UploadPart) and isinstance(answer, infos.PartInfo):
        got, wanted = str(answer.part.number), str(request.number)
    else:
        got = "|".join(str(getattr(answer, field)) for _, field in pairs)
        wanted = "|".join(str(getattr(request, field)) for field, _ in pairs)
    if got != wanted:
        raise Internal(f"nonsense: asked about {wanted!r}, the driver answered about {got!r}")


async def answered(
    request: requests.Request,
    secrets: tuple[str, ...],
    call: Callable[[], Awaitable[A]],
    expected: type[A] | Any,
) -> A:
    """Make one call and return its answer, checked against the request."""
    with typed(verb_of(request), subject_of(request), secrets):
        answer = await call()
        check_answer(answer, expected)
        check_match(request, answer)
        return answer


async def streamed(
    verb: str, secrets: tuple[str, ...], call: Callable[[], AsyncIterator[infos.OwnedThing]]
) -> AsyncIterator[infos.OwnedThing]:
    """Pass a stream through, its items checked and its errors typed."""
    with typed(verb, "", secrets):
        stream = call()
        iterator = aiter(stream)
    while True:
        with typed(verb, "", secrets):
            try:
                item = await anext(iterator)
            except StopAsyncIteration:
                return
            item = _set_apart(item)
            check_answer(item, infos.OwnedThing)
        yield item


def _is_proper(thing: infos.OwnedThing) -> bool:
    return _survives_encoding(thing, infos.OwnedThing)


def _set_apart(thing: Any) -> infos.OwnedThing:
    """An entry as it is; one that is told improperly as what cannot be read: all others count."""
    if not isinstance(thing, infos.OwnedThing) or _is_proper(thing):
        return thing  # type: ignore[no-any-return]  # what is no entry at all is refused after this
    wrong = [
        name
        for name in thing.__struct_fields__
        if not _is_proper(infos.OwnedThing(**(_PROPER | {name: getattr(thing, name)})))
    ]
    return infos.OwnedThing(
        kind=infos.OwnedKind.UNREADABLE,
        id=_shown(thing.id) or "an entry without an id",
        key=_shown(thing.key),
        operation=_shown(thing.operation),
        reason=f"nonsense: what the driver says of its {' and '.join(wrong)} cannot be",
    )


_PROPER: dict[str, Any] = {"kind": infos.OwnedKind.TEMPORARY, "id": ""}


def _shown(text: object) -> str:
    """What a driver says where there should be text."""
    return text.encode(errors="backslashreplace").decode() if isinstance(text, str) else ""

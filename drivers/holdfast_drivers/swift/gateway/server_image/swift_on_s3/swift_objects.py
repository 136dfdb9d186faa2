"""What Swift's object server would answer, from records and data in S3."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from swift.common import constraints
from swift.common.exceptions import ChunkReadError, ChunkReadTimeout
from swift.common.header_key_dict import HeaderKeyDict
from swift.common.request_helpers import (
    is_backend_open_expired,
    is_object_transient_sysmeta,
    is_sys_meta,
    is_user_meta,
    resolve_etag_is_at_header,
    resolve_ignore_range_header,
)
from swift.common.swob import (
    HTTPAccepted,
    HTTPBadRequest,
    HTTPClientDisconnect,
    HTTPConflict,
    HTTPCreated,
    HTTPNoContent,
    HTTPNotFound,
    HTTPPreconditionFailed,
    HTTPRequestEntityTooLarge,
    HTTPRequestTimeout,
    HTTPUnprocessableEntity,
    Request,
    Response,
    multi_range_iterator,
    normalize_etag,
    wsgi_to_str,
)
from swift.common.utils import Timestamp, extract_swift_bytes

from . import keys
from .body import Reader, Received, Short, TooLarge, store_body
from .records import Container, Listing, Object
from .removal import Written, settle
from .s3 import S3Error
from .store import Store

_OK = 200
_LOOKS = 20
"""How often an object is looked at that is replaced each time before its bytes can be read."""
_PLAIN = frozenset(
    {
        "content-disposition",
        "content-encoding",
        "x-delete-at",
        "x-object-manifest",
        "cache-control",
        "content-language",
        "expires",
        "x-robots-tag",
    }
)
_FIXED = frozenset({"x-static-large-object"})
_OVERRIDES = (
    "x-backend-container-update-override-",
    "x-object-sysmeta-container-update-override-",
)


def _seen(record: Object | None, req: Any) -> Object | None:
    """A record as this request may see it: not when its time has come."""
    if record is None or is_backend_open_expired(req):
        return record
    now = req.headers.get("X-Timestamp")
    return None if record.expired(float(Timestamp(now) if now else Timestamp.now())) else record


def _described(record: Object) -> dict[str, str]:
    return {
        **record.headers,
        **record.fixed,
        "Content-Type": record.content_type,
        "Content-Length": str(record.size),
        "ETag": record.etag,
        "X-Timestamp": record.changed,
    }


def read_object(store: Store, req: Any, account: str, container: str, name: str) -> Any:
    """GET and HEAD, with every condition and range judged by Swift's own response class."""
    place = store.container(account, container)
    if place is None:
        return HTTPNotFound(request=req, conditional_response=True)
    key = keys.object_key(place.id, name)
    for looks_to_go in reversed(range(_LOOKS)):
        lease = store.leases.begin(key)
        try:
            record = _seen(store.object(place, name), req)
            if record is None:
                lease.end()
                return HTTPNotFound(request=req, conditional_response=True)
            return _answer(store, req, record, lease.end)
        except BaseException as why:
            lease.end()
            gone = isinstance(why, S3Error) and why.missing  # replaced through another gateway
            if not gone or not looks_to_go:
                raise
    raise AssertionError("unreachable")


def _answer(store: Store, req: Any, record: Object, ended: Callable[[], None]) -> Any:
    """The response, its conditions judged and its bytes open: what is missing is missed here."""
    described = HeaderKeyDict(_described(record))
    req = Request(dict(req.environ))  # what is ignored here counts again in the layers above
    resolve_ignore_range_header(req, described)
    body = None
    if req.method == "GET":
        body = Reader(store.bucket, record.data, multi_range_iterator, ended)
    resp = Response(
        request=req,
        conditional_response=True,
        conditional_etag=resolve_etag_is_at_header(req, described),
        **({"app_iter": body} if body else {}),
    )
    changed = Timestamp(max(record.changed, record.written))
    resp.headers["Content-Type"] = record.content_type
    for key, value in (record.headers | record.fixed).items():
        resp.headers[key] = value
    resp.headers["Etag"] = record.etag  # bare: the property of the class would quote it
    resp.last_modified = changed
    resp.content_length = record.size
    resp.accept_ranges = "bytes"
    resp.headers["X-Timestamp"] = changed.normal
    resp.headers["X-Backend-Timestamp"] = changed.internal
    resp.headers["X-Backend-Data-Timestamp"] = record.written
    if body is None:
        ended()
        return resp
    resp.fix_conditional_response()
    if resp.response_iter is body and resp.status_int == _OK:
        body.prepare()
    return resp


class _Timed:
    """A client's body, which may be cut or come too slowly."""

    def __init__(self, chunks: Iterator[bytes], timeout_s: float) -> None:
        self._chunks, self._timeout_s = chunks, timeout_s

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with ChunkReadTimeout(self._timeout_s):
                try:
                    chunk = next(self._chunks)
                except StopIteration:
                    return
            yield chunk


def put_object(
    store: Store,
    req: Any,
    names: tuple[str, str, str],
    chunks: Iterator[bytes],
    timeout_s: float,
) -> Any:
    """PUT: the bytes first, under a key of their own, then the record that shows them."""
    account, container, name = names
    place = store.container(account, container)
    if place is None:
        return HTTPNotFound(request=req)
    refusal = _early_refusal(store, req, place, name)
    if refusal is not None:
        return refusal
    with store.new_data(place, name) as data:
        received = _receive(store, req, data, _Timed(chunks, timeout_s))
        if not isinstance(received, Received):
            return received
        return _commit(store, req, names, place, (data, received))


def _early_refusal(store: Store, req: Any, place: Container, name: str) -> Any:
    delete_at = int(req.headers.get("X-Delete-At") or 0)
    if delete_at and delete_at < float(req.timestamp):
        return HTTPBadRequest(request=req, body="X-Delete-At in past", content_type="text/plain")
    if req.if_none_match is None:
        return None
    record = _seen(store.object(place, name), req)
    return HTTPPreconditionFailed(request=req) if record else None


def _receive(store: Store, req: Any, data: str, chunks: Iterable[bytes]) -> Any:
    """The bytes' size and MD5, or the response that says what was wrong with them."""
    try:
        return store_body(
            store.bucket, data, chunks, req.message_length(), constraints.MAX_FILE_SIZE
        )
    except TooLarge:
        return HTTPRequestEntityTooLarge(request=req)
    except (Short, ChunkReadError):
        return HTTPClientDisconnect(request=req)
    except ChunkReadTimeout:
        return HTTPRequestTimeout(request=req)


def _commit(
    store: Store,
    req: Any,
    names: tuple[str, str, str],
    place: Container,
    sent: tuple[str, Received],
) -> Any:
    data, received = sent
    name = names[2]
    footers = HeaderKeyDict()
    try:
        if "swift.callback.update_footers" in req.environ:
            req.environ["swift.callback.update_footers"](footers)
        etag = normalize_etag(footers.get("Etag", req.headers.get("Etag", "")))
        record = _record(req, name, data if received.size else "", received, footers)
    except BaseException:
        store.drop_data(_key(place, name), data)  # nothing can name them yet
        raise
    if etag and etag != received.md5:
        store.drop_data(_key(place, name), record.data)
        return HTTPUnprocessableEntity(request=req)
    return _show(store, req, names[:2], place, record)


def _show(store: Store, req: Any, names: tuple[str, str], place: Container, record: Object) -> Any:
    """Write the record, and remove what it replaced once it is certain to stay."""
    key = _key(place, record.name)
    record = replace(record, container=keys.container_key(*names))
    refused: Any = None
    before: Object | None = None

    def edit(old: Object | None) -> Object | None:
        nonlocal refused, before
        seen = _seen(old, req)
        before = old
        if old is not None:
            spare(old.data)  # until it is certain that they are not shown again
        if seen is not None and req.if_none_match is not None:
            refused = HTTPPreconditionFailed(request=req)
            return None
        if seen is not None and seen.written >= record.written:
            refused = HTTPAccepted(request=req)  # a newer one is there: this one lost, as in Swift
            return None
        return record

    with store.alone(key), store.sparing() as spare:
        try:
            result = store.change(Object, key, edit)
        except S3Error as why:
            if not why.uncertain:
                store.drop_data(key, record.data)
            raise  # else the record may name the data: they stay until the sweeper knows
        if result is None:
            if before is None or record.data != before.data:
                store.drop_data(key, record.data)
            return refused
        written = Written(key, result, before)
        if not settle(store, written, keys.container_key(*names), place.id):
            return HTTPNotFound(request=req)
    resp = HTTPCreated(request=req, headers={"Etag": record.etag})
    resp.last_modified = Timestamp(record.written)
    return resp


def _key(place: Container, name: str) -> str:
    return keys.object_key(place.id, name)


def _record(req: Any, name: str, data: str, received: Received, footers: Any) -> Object:
    headers = HeaderKeyDict(req.headers)
    headers.update(
        (key, value)
        for key, value in footers.items()
        if key.lower() not in {"etag", "content-type", "content-length"}
    )
    stamp = req.timestamp.internal
    content_type = headers["Content-Type"]
    listing = _listing(
        Listing(received.size, received.md5, wsgi_to_str(content_type)), req.headers, footers
    )
    fixed = {k: v for k, v in headers.items() if is_sys_meta("object", k) or k.lower() in _FIXED}
    return Object(
        name=name,
        data=data,
        size=received.size,
        etag=received.md5,
        content_type=content_type,
        written=stamp,
        typed=stamp,
        changed=stamp,
        listing=listing,
        fixed=fixed,
        headers=_replaceable(headers),
        delete_at=int(headers.get("X-Delete-At") or 0),
    )


def _replaceable(headers: Any) -> dict[str, str]:
    return {
        key: value
        for key, value in headers.items()
        if is_user_meta("object", key) or is_object_transient_sysmeta(key) or key.lower() in _PLAIN
    }


def _listing(plain: Listing, *sources: Any) -> Listing:
    """What middleware wants a listing to say instead; the later source and prefix win.

    Headers hold their bytes as Latin-1; what a listing says is text already.
    """
    values: dict[str, str] = {}
    for prefix in _OVERRIDES:
        for source in sources:
            for key, value in source.items():
                if key.lower().startswith(prefix):
                    values[key.lower().removeprefix(prefix)] = wsgi_to_str(value)
    return Listing(
        size=int(values.get("size", plain.size)),
        etag=values.get("etag", plain.etag),
        content_type=values.get("content-type", plain.content_type),
    )


def post_object(store: Store, req: Any, account: str, container: str, name: str) -> Any:
    """POST: a new record over the same bytes."""
    place = store.container(account, container)
    if place is None:
        return HTTPNotFound(request=req)
    delete_at = int(req.headers.get("X-Delete-At") or 0)
    if delete_at and delete_at < float(req.timestamp):
        return HTTPBadRequest(request=req, body="X-Delete-At in past", content_type="text/plain")
    stamp = req.timestamp.internal
    conflict = False

    def edit(old: Object | None) -> Object | None:
        nonlocal conflict
        seen = _seen(old, req)
        if seen is None:
            return None
        conflict = seen.changed >= stamp
        return None if conflict else _reposted(req, seen, stamp, delete_at)

    key = _key(place, name)
    with store.alone(key):
        record = store.change(Object, key, edit)
    if record is None:
        return (HTTPConflict if conflict else HTTPNotFound)(request=req)
    headers = {"X-Backend-Content-Type": record.content_type}
    headers |= {k: v for k, v in record.fixed.items() if is_sys_meta("object", k)}
    return HTTPAccepted(request=req, headers=headers)


def _reposted(req: Any, old: Object, stamp: str, delete_at: int) -> Object:
    new = replace(
        old, changed=stamp, headers=_replaceable(HeaderKeyDict(req.headers)), delete_at=delete_at
    )
    content_type = req.headers.get("Content-Type")
    if not content_type:
        return new
    # The size of a large object travels in the listing's content type and must stay there.
    _, size = extract_swift_bytes(old.content_type)
    listing_type = wsgi_to_str(content_type) + (f";swift_bytes={size}" if size else "")
    plain = Listing(old.listing.size, old.listing.etag, listing_type)
    return replace(new, content_type=content_type, typed=stamp, listing=_listing(plain, old.fixed))


def delete_object(store: Store, req: Any, account: str, container: str, name: str) -> Any:
    """DELETE."""
    place = store.container(account, container)
    if place is None:
        return HTTPNotFound(request=req)
    try:
        only_at = req.headers.get("X-If-Delete-At")
        only_at = None if only_at is None else int(Timestamp(only_at))
    except ValueError:
        return HTTPBadRequest(request=req, body="Bad X-If-Delete-At header value")
    key = _key(place, name)
    with store.alone(key):
        row_and_tag = store.read(Object, key)
        if row_and_tag is None:
            return HTTPNotFound(request=req)
        record, tag = row_and_tag
        if only_at is not None and only_at != record.delete_at:
            return HTTPPreconditionFailed(request=req)
        if record.written >= req.timestamp.internal:
            return HTTPConflict(request=req)
        if not store.discard(key, record, tag):
            return HTTPConflict(request=req)  # written anew through another gateway: a newer one
    return (HTTPNoContent if _seen(record, req) else HTTPNotFound)(request=req)

"""What Swift's container server would answer, from records in S3."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

import json
import uuid
from dataclasses import replace
from typing import Any

from swift.common.storage_policy import POLICIES
from swift.common.swob import (
    HTTPAccepted,
    HTTPConflict,
    HTTPCreated,
    HTTPNoContent,
    HTTPNotFound,
    HTTPOk,
    HTTPServiceUnavailable,
    str_to_wsgi,
)
from swift.common.utils import Timestamp, override_bytes_from_content_type

from . import keys
from .records import Container, Object
from .store import Store
from .swift_accounts import merged, query_of

_KEPT = frozenset(
    {
        "x-container-read",
        "x-container-write",
        "x-container-sync-key",
        "x-container-sync-to",
        "x-versions-location",
    }
)


def read_container(store: Store, req: Any, account: str, name: str, limit: int) -> Any:
    """GET and HEAD."""
    record = store.container(account, name)
    if record is None:
        return HTTPNotFound(request=req)
    now = float(Timestamp.now())
    count, size = store.usage(record, now)
    headers = {
        "X-Container-Object-Count": str(count),
        "X-Container-Bytes-Used": str(size),
        "X-Timestamp": Timestamp(record.created).normal,
        "X-PUT-Timestamp": Timestamp(record.put).normal,
        "X-Backend-Timestamp": record.created,
        "X-Backend-PUT-Timestamp": record.put,
        "X-Backend-Storage-Policy-Index": str(int(POLICIES.default)),
        "X-Backend-Sharding-State": "unsharded",
        "X-Storage-Policy": POLICIES.default.name,
        **{str_to_wsgi(k): str_to_wsgi(v) for k, v in record.headers.items()},
    }
    if req.method == "HEAD":
        resp = HTTPNoContent(request=req, headers=headers, charset="utf-8")
    else:
        found = store.objects(record, query_of(req, limit), now)
        lines = [_line(line, row) for line, row in found]
        resp = HTTPOk(request=req, headers=headers, body=json.dumps(lines).encode())
    resp.content_type, resp.charset = "application/json", "utf-8"
    resp.last_modified = Timestamp(record.put)
    return resp


def _line(name: str, row: Object | None) -> dict[str, Any]:
    if row is None:
        return {"subdir": name}
    line = {
        "name": name,
        "bytes": row.listing.size,
        "hash": row.listing.etag,
        "content_type": row.listing.content_type,
        "last_modified": Timestamp(max(row.written, row.changed)).isoformat,
    }
    override_bytes_from_content_type(line)
    return line


def write_container(
    store: Store, req: Any, method: str, names: tuple[str, str], headers: Any
) -> Any:
    """PUT, POST and DELETE."""
    key = keys.container_key(*names)
    with store.alone(key):
        if method == "DELETE":
            return _remove(store, req, key)
        return _save(store, req, method, (key, names[1]), headers)


def _save(store: Store, req: Any, method: str, place: tuple[str, str], headers: Any) -> Any:
    key, name = place
    stamp = Timestamp(headers["X-Timestamp"]).internal
    made = closing = False

    def edit(old: Container | None) -> Container | None:
        nonlocal made, closing
        closing = old is not None and old.closing
        if closing or (old is None and method != "PUT"):
            return None
        made = old is None
        return Container(
            name=name,
            id=old.id if old else uuid.uuid4().hex,
            created=old.created if old else stamp,
            put=stamp,
            headers=merged(old.headers if old else {}, headers, "container", _KEPT),
        )

    if store.change(Container, key, edit) is None:
        return (HTTPServiceUnavailable if closing else HTTPNotFound)(request=req)
    if method == "POST":
        return HTTPNoContent(request=req)
    policy = {"X-Backend-Storage-Policy-Index": str(int(POLICIES.default))}
    return (HTTPCreated if made else HTTPAccepted)(request=req, headers=policy)


def _remove(store: Store, req: Any, key: str) -> Any:
    """Close the container to writers, look whether it is empty, and only then remove it.

    A PUT reads the container's record again after it wrote: so either it is seen here, or it sees
    that the container is closing and takes itself back. A gateway that dies in between leaves a
    closing container, which the next DELETE goes on with.
    """
    record = store.change(Container, key, lambda old: replace(old, closing=True) if old else None)
    if record is None:
        return HTTPNotFound(request=req)
    if store.empty(record, float(Timestamp.now())):
        store.bucket.delete(key)
        return HTTPNoContent(request=req)
    store.change(Container, key, lambda old: replace(old, closing=False) if old else None)
    return HTTPConflict(request=req)

"""What Swift's container server would answer, from records in S3."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

import json
import uuid
from typing import Any

from swift.common.storage_policy import POLICIES
from swift.common.swob import (
    HTTPAccepted,
    HTTPConflict,
    HTTPCreated,
    HTTPNoContent,
    HTTPNotFound,
    HTTPOk,
    str_to_wsgi,
)
from swift.common.utils import Timestamp, override_bytes_from_content_type

from . import keys
from .records import Container, Object
from .removal import Removal, remove_container
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
        rows = store.objects(record, query_of(req, limit), now)
        lines = [_line(line, row) for line, row in rows]
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
    is_new = False

    def edit(old: Container | None) -> Container | None:
        nonlocal is_new
        old = None if old is not None and old.deleted else old
        if old is None and method != "PUT":
            return None
        is_new = old is None
        return Container(
            name=name,
            id=old.id if old else uuid.uuid4().hex,
            created=old.created if old else stamp,
            put=stamp,
            headers=merged(old.headers if old else {}, headers, "container", _KEPT),
        )

    if store.change(Container, key, edit) is None:
        return HTTPNotFound(request=req)
    if method == "POST":
        return HTTPNoContent(request=req)
    policy = {"X-Backend-Storage-Policy-Index": str(int(POLICIES.default))}
    return (HTTPCreated if is_new else HTTPAccepted)(request=req, headers=policy)


def _remove(store: Store, req: Any, key: str) -> Any:
    answers = {
        Removal.ABSENT: HTTPNotFound,
        Removal.DONE: HTTPNoContent,
        Removal.IN_USE: HTTPConflict,
    }
    return answers[remove_container(store, key, float(Timestamp.now()))](request=req)

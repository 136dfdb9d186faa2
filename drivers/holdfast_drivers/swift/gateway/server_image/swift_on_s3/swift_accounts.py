"""What Swift's account server would answer, from records in S3."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

import json
from typing import Any

from swift.common.db import DatabaseBroker
from swift.common.request_helpers import get_param, is_sys_or_user_meta
from swift.common.storage_policy import POLICIES
from swift.common.swob import (
    HTTPAccepted,
    HTTPCreated,
    HTTPForbidden,
    HTTPNoContent,
    HTTPNotFound,
    HTTPOk,
    str_to_wsgi,
    wsgi_to_str,
)
from swift.common.utils import Timestamp, config_true_value

from . import keys
from .listing import Query
from .records import Account, Container
from .store import Store


def merged(old: dict[str, str], changes: Any, kind: str, extra: frozenset[str]) -> dict[str, str]:
    """Metadata after a request: what it gives replaces, and what it gives empty is removed.

    Raises Swift's own 400 where there would be too many or too long ones.
    """
    headers = dict(old)
    for key, value in changes.items():
        name = key.lower()
        if name in extra or is_sys_or_user_meta(kind, name):
            headers[wsgi_to_str(key).title()] = wsgi_to_str(value)
    headers = {key: value for key, value in headers.items() if value != ""}
    DatabaseBroker.validate_metadata({key: (value, "0") for key, value in headers.items()})
    return headers


def query_of(req: Any, limit: int) -> Query:
    """The listing that a request asks for."""
    prefix, delimiter = get_param(req, "prefix", "") or "", get_param(req, "delimiter", "") or ""
    path = get_param(req, "path")
    if path is not None:
        prefix = f"{path.rstrip('/')}/" if path else ""
        delimiter = "/"
    text = get_param(req, "limit")
    most = int(text) if text and text.isascii() and text.isdigit() else limit
    return Query(
        limit=min(most, limit),
        prefix=prefix,
        delimiter=delimiter,
        marker=get_param(req, "marker", "") or "",
        end_marker=get_param(req, "end_marker", "") or "",
        reverse=config_true_value(get_param(req, "reverse", "")),
        reserved=bool(req.allow_reserved_names),
        children=path is not None,
    )


def _totals(store: Store, account: str, now: float) -> tuple[int, int, int]:
    rows = store.containers(account, Query(limit=10**9, reserved=True))
    used = [store.usage(row, now) for _, row in rows if row is not None]
    return len(rows), sum(count for count, _ in used), sum(size for _, size in used)


def _headers(store: Store, record: Account, now: float) -> dict[str, str]:
    containers, objects, size = _totals(store, record.name, now)
    policy = f"X-Account-Storage-Policy-{POLICIES.default.name}-"
    headers = {
        "X-Account-Container-Count": str(containers),
        "X-Account-Object-Count": str(objects),
        "X-Account-Bytes-Used": str(size),
        "X-Timestamp": Timestamp(record.created).normal,
        "X-PUT-Timestamp": Timestamp(record.put).normal,
    }
    if containers:
        headers |= {
            f"{policy}Container-Count": str(containers),
            f"{policy}Object-Count": str(objects),
            f"{policy}Bytes-Used": str(size),
        }
    return headers | {str_to_wsgi(k): str_to_wsgi(v) for k, v in record.headers.items()}


def read_account(store: Store, req: Any, name: str, limit: int) -> Any:
    """GET and HEAD."""
    record = store.account(name)
    if record is None or record.deleted:
        status = {"X-Account-Status": "Deleted"} if record else {}
        return HTTPNotFound(request=req, headers=status)
    now = float(Timestamp.now())
    headers = _headers(store, record, now)
    if req.method == "HEAD":
        resp = HTTPNoContent(request=req, headers=headers, charset="utf-8")
        resp.content_type = "application/json"
        return resp
    lines = [
        _line(store, line, row, now) for line, row in store.containers(name, query_of(req, limit))
    ]
    resp = HTTPOk(request=req, headers=headers, body=json.dumps(lines).encode())
    resp.content_type, resp.charset = "application/json", "utf-8"
    return resp


def _line(store: Store, name: str, row: Container | None, now: float) -> dict[str, Any]:
    if row is None:
        return {"subdir": name}
    count, size = store.usage(row, now)
    return {
        "name": name,
        "count": count,
        "bytes": size,
        "last_modified": Timestamp(row.put).isoformat,
        "storage_policy": POLICIES.default.name,
    }


def write_account(store: Store, req: Any, method: str, name: str, headers: Any) -> Any:
    """PUT, POST and DELETE; a deleted account stays deleted, as in Swift until it is reaped."""
    stamp = Timestamp(headers["X-Timestamp"]).internal
    is_new = False
    gone = False

    def edit(old: Account | None) -> Account | None:
        nonlocal is_new, gone
        gone = old is not None and old.deleted
        if gone or (old is None and method != "PUT"):
            return None
        is_new = old is None
        metadata = merged(old.headers if old else {}, headers, "account", frozenset())
        return Account(
            name=name,
            created=old.created if old else stamp,
            put=stamp,
            deleted=method == "DELETE",
            headers={} if method == "DELETE" else metadata,
        )

    if store.change(Account, keys.account_key(name), edit) is None:
        if gone and method == "PUT":
            return HTTPForbidden(request=req, body="Recently deleted")
        return HTTPNotFound(request=req)
    if method == "PUT":
        return (HTTPCreated if is_new else HTTPAccepted)(request=req)
    return HTTPNoContent(request=req)

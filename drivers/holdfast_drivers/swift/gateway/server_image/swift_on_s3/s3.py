"""A small S3 client for green threads: pooled connections, streams in both directions.

An answer that is not there is an ``S3Error``; one without a status means that none came, so that
what was asked for may or may not have happened. Only a request that does the same when it is
carried out twice is ever sent twice here: reads, and what is about bytes under a key that nobody
else writes to. Whoever asks for anything else looks what became of it, and repeats it knowingly.
"""

import hashlib
import http.client
import select
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .signing import UNSIGNED, Credentials, quoted_path, quoted_query, signed_headers

_CHUNK = 65536
_PAGE = 1000
_LATE = frozenset({500, 502, 503, 504})
"""What a server, or one before it, answers that may have begun and not seen the end."""
_IDLE_MAX = 64
_PREFIX = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class S3Error(Exception):
    """The S3 server refused, or did not answer."""

    def __init__(self, status: int | None, code: str, what: str) -> None:
        super().__init__(f"{what}: {code} ({status if status is not None else 'no answer'})")
        self.status = status
        self.code = code

    @property
    def uncertain(self) -> bool:
        """Whether what was asked for may have happened, or may happen yet."""
        return self.status is None or self.status in _LATE

    @property
    def unready(self) -> bool:
        """Whether the server is still starting, or asks to be asked later."""
        return self.status in {None, http.HTTPStatus.SERVICE_UNAVAILABLE}

    @property
    def missing(self) -> bool:
        """Whether there is no such thing."""
        return self.status == http.HTTPStatus.NOT_FOUND

    @property
    def precondition(self) -> bool:
        """Whether somebody else was first."""
        return self.status in {http.HTTPStatus.PRECONDITION_FAILED, http.HTTPStatus.CONFLICT}

    @property
    def full(self) -> bool:
        """Whether there is no space left."""
        return self.status == http.HTTPStatus.INSUFFICIENT_STORAGE or "Full" in self.code


@dataclass(frozen=True)
class Listed:
    """One key of a listing."""

    key: str
    etag: str
    size: int
    modified: str


@dataclass(frozen=True)
class Page:
    """Part of a listing, in the order of keys."""

    entries: tuple[Listed, ...]
    more: bool


@dataclass(frozen=True)
class Unfinished:
    """An upload in parts that has not ended."""

    key: str
    id: str
    begun: str


class Download:
    """The bytes of one key as they come; whoever opens it ends it."""

    def __init__(
        self, bucket: "Bucket", line: http.client.HTTPConnection, reply: http.client.HTTPResponse
    ) -> None:
        self._bucket, self._line, self._got = bucket, line, reply
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            while chunk := self._got.read(_CHUNK):
                yield chunk
        except (OSError, http.client.HTTPException) as why:
            raise S3Error(None, type(why).__name__, "reading data") from why
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back where all was read; else cut it."""
        if self._ended:
            return
        self._ended = True
        self._bucket.give_back(self._line, reusable=self._got.isclosed())


class Bucket:
    """One bucket of an S3 server."""

    def __init__(
        self, endpoint: str, name: str, credentials: Credentials, timeout_s: float = 30.0
    ) -> None:
        parts = urllib.parse.urlsplit(endpoint)
        self._secure = parts.scheme == "https"
        self._host = parts.netloc
        self._root = f"/{name}"
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._idle: list[http.client.HTTPConnection] = []

    def give_back(self, line: http.client.HTTPConnection, *, reusable: bool) -> None:
        """Keep a connection for the next request, or close it."""
        if reusable and line.sock is not None and len(self._idle) < _IDLE_MAX:
            self._idle.append(line)
        else:
            line.close()

    def close(self) -> None:
        """Close the connections that wait for a next request."""
        while self._idle:
            self._idle.pop().close()

    def _new(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, timeout=self._timeout_s)

    def _waiting(self) -> http.client.HTTPConnection | None:
        """A connection that is open and idle, as far as can be seen."""
        while self._idle:
            try:
                line = self._idle.pop()
            except IndexError:  # another thread took the last one
                return None
            if not select.select((line.sock,), (), (), 0)[0]:
                return line
            line.close()  # the server has closed it, or sends what nobody asked for
        return None

    def _send(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        again: bool = False,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        path = f"{self._root}/{key}" if key else self._root
        query = query or {}
        streamed = not isinstance(body, bytes)
        digest = hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else UNSIGNED
        every = signed_headers(
            self._credentials,
            method,
            f"{self._host}{path}",
            query=query,
            headers=headers or {},
            payload=digest,
        )
        if isinstance(body, bytes) and (body or method in {"PUT", "POST"}):
            every["content-length"] = str(len(body))
        target = quoted_path(path) + (f"?{quoted_query(query)}" if query else "")
        line = None if streamed else self._waiting()
        reused = line is not None
        line = line or self._new()
        while True:
            try:
                line.request(method, target, body or None, every)
                return line, line.getresponse()
            except (OSError, http.client.HTTPException) as why:
                line.close()
                if (
                    again
                    and reused
                    and isinstance(why, ConnectionError | http.client.BadStatusLine)
                ):
                    reused, line = False, self._new()
                    continue
                raise S3Error(None, type(why).__name__, f"{method} {key or 'bucket'}") from why
            except BaseException:
                line.close()  # also where the one who reads the client's body gives up
                raise

    def ask(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        again: bool = False,
    ) -> tuple[Mapping[str, str], bytes]:
        """Send a request and read its whole answer: its headers and its body.

        ``again`` says that it may be sent twice: where a connection that was used before breaks
        in place of the answer, as it does where the server has closed it meanwhile.
        """
        line, reply = self._send(method, key, query=query, headers=headers, body=body, again=again)
        try:
            data = reply.read()
        except (OSError, http.client.HTTPException) as why:
            line.close()
            raise S3Error(None, type(why).__name__, f"{method} {key or 'bucket'}") from why
        self.give_back(line, reusable=not reply.will_close)
        if reply.status >= http.HTTPStatus.MULTIPLE_CHOICES:
            what = f"{method} {key or 'bucket'}"
            raise S3Error(reply.status, _code_of(data) or reply.reason, what)
        return {name.lower(): value for name, value in reply.getheaders()}, data

    def make(self) -> None:
        """Make the bucket; it may be there already."""
        try:
            self.ask("PUT", "", again=True)
        except S3Error as why:
            if why.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise

    def get(self, key: str) -> tuple[bytes, str]:
        """All bytes of a small key, and their entity tag."""
        headers, data = self.ask("GET", key, again=True)
        return data, headers.get("etag", "")

    def put(self, key: str, data: bytes, *, replaces: str | None = None, new: bool = False) -> str:
        """Write a small key that others may write too, and return its entity tag.

        ``replaces`` is the entity tag of what it takes the place of; ``new`` says that there is
        nothing. Where another was first, the error is a ``precondition``.
        """
        condition = {"if-none-match": "*"} if new else {}
        if replaces is not None:
            condition = {"if-match": replaces}
        headers, _ = self.ask("PUT", key, headers=condition, body=data)
        return headers.get("etag", "")

    def put_data(self, key: str, data: bytes) -> None:
        """Write a key that nobody else writes."""
        self.ask("PUT", key, body=data, again=True)

    def upload(self, key: str, size: int, chunks: Iterable[bytes]) -> str:
        """Write a key from a stream of known length; the entity tag that the server computed."""
        headers, _ = self.ask("PUT", key, headers={"content-length": str(size)}, body=chunks)
        return headers.get("etag", "").strip('"')

    def open(self, key: str, first: int = 0, last: int | None = None) -> Download:
        """Read a key, or its bytes from ``first`` to ``last``, both included."""
        headers = {} if last is None else {"range": f"bytes={first}-{last}"}
        line, reply = self._send("GET", key, headers=headers, again=True)
        if reply.status >= http.HTTPStatus.MULTIPLE_CHOICES:
            data = reply.read()
            self.give_back(line, reusable=not reply.will_close)
            raise S3Error(reply.status, _code_of(data) or reply.reason, f"GET {key}")
        return Download(self, line, reply)

    def delete(self, key: str) -> None:
        """Remove a key that is never written again; it may be gone already."""
        try:
            self.ask("DELETE", key, again=True)
        except S3Error as why:
            if not why.missing:
                raise

    def delete_only(self, key: str, tag: str) -> None:
        """Remove a key that others may write too, if it still has this entity tag.

        Servers that know no condition here ignore it, or refuse it and are asked without.
        """
        try:
            self.ask("DELETE", key, headers={"if-match": tag})
        except S3Error as why:
            if why.status != http.HTTPStatus.NOT_IMPLEMENTED:
                raise
            self.ask("DELETE", key)

    def page(self, prefix: str, after: str = "", most: int = _PAGE) -> Page:
        """Up to a thousand keys with a prefix, in their order, from behind ``after``."""
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        query["max-keys"] = str(min(most, _PAGE))
        if after:
            query["start-after"] = after
        tree = _parsed(self.ask("GET", "", query=query, again=True)[1])
        # Nothing in a page is not the end of a list, and whoever asks takes it for that.
        while _text(tree, "IsTruncated") == "true" and tree.find(f"{_PREFIX}Contents") is None:
            token = _text(tree, "NextContinuationToken")
            if token in {"", query.get("continuation-token")}:
                raise S3Error(500, "NoEnd", "GET bucket")
            query["continuation-token"] = token
            tree = _parsed(self.ask("GET", "", query=query, again=True)[1])
        entries = tuple(
            Listed(
                key=urllib.parse.unquote(_text(node, "Key")),
                etag=_text(node, "ETag"),
                size=int(_text(node, "Size") or 0),
                modified=_text(node, "LastModified"),
            )
            for node in tree.findall(f"{_PREFIX}Contents")
        )
        return Page(entries, more=_text(tree, "IsTruncated") == "true")

    def unfinished(self, prefix: str) -> list["Unfinished"]:
        """Uploads in parts that were begun and not ended."""
        _, data = self.ask("GET", "", query={"uploads": "", "prefix": prefix}, again=True)
        return [
            Unfinished(_text(node, "Key"), _text(node, "UploadId"), _text(node, "Initiated"))
            for node in _parsed(data).findall(f"{_PREFIX}Upload")
        ]

    def last_part(self, upload: "Unfinished") -> str:
        """When its last part was sent; when it was begun where there is none."""
        query = {"uploadId": upload.id}
        _, data = self.ask("GET", upload.key, query=query, again=True)
        sent = [_text(node, "LastModified") for node in _parsed(data).findall(f"{_PREFIX}Part")]
        return max(sent, default=upload.begun)

    def abort(self, key: str, upload: str) -> None:
        """Give up an upload in parts; it may have ended already."""
        try:
            self.ask("DELETE", key, query={"uploadId": upload}, again=True)
        except S3Error as why:
            if not why.missing:
                raise

    @contextmanager
    def parts(self, key: str) -> Iterator["Parts"]:
        """Write a key in parts; what is not finished is taken back."""
        _, data = self.ask("POST", key, query={"uploads": ""})
        upload = _text(_parsed(data), "UploadId")
        parts = Parts(self, key, upload)
        try:
            yield parts
        except BaseException:
            with suppress(S3Error):  # else the sweeper gives it up
                self.abort(key, upload)
            raise
        parts.finish()


class Parts:
    """An upload in parts, for bytes whose number is not known beforehand."""

    def __init__(self, bucket: Bucket, key: str, upload: str) -> None:
        self._bucket, self._key, self._upload = bucket, key, upload
        self._tags: list[str] = []

    def add(self, data: bytes) -> None:
        """Send the next part: at least 5 MiB unless it is the last."""
        query = {"partNumber": str(len(self._tags) + 1), "uploadId": self._upload}
        headers, _ = self._bucket.ask("PUT", self._key, query=query, body=data, again=True)
        self._tags.append(headers.get("etag", ""))

    def finish(self) -> None:
        """Make one object of the parts."""
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            for number, tag in enumerate(self._tags, 1)
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        _, data = self._bucket.ask("POST", self._key, query={"uploadId": self._upload}, body=body)
        if b"<Error>" in data:  # S3 may begin its answer with 200 and fail afterwards
            raise S3Error(500, _code_of(data), f"POST {self._key}")


def _parsed(data: bytes) -> ET.Element:
    try:
        return ET.fromstring(data)  # noqa: S314 - what the operator's own server says
    except ET.ParseError as why:
        raise S3Error(None, "NoXML", "an answer") from why


def _text(node: ET.Element, name: str) -> str:
    child = node.find(f"{_PREFIX}{name}")
    return (child.text or "") if child is not None else ""


def _code_of(data: bytes) -> str:
    try:
        tree = ET.fromstring(data)  # noqa: S314 - what the operator's own server says
    except ET.ParseError:
        return ""
    child = tree.find("Code")
    return (child.text or "") if child is not None else ""

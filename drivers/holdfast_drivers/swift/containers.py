"""The few requests about containers and objects that the driver needs, typed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from holdfast.concurrency.fan_out import several
from holdfast.contract.errors import Busy, Corrupt, DriverError, Internal, Unknown
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.connection import Answer, Connection

META: Final = "x-object-meta-"
LIST_MAX: Final = 10_000
_EXISTS: Final = (200, 204)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a listing: an object, or where ``folded`` the common beginning of several."""

    name: str
    size_bytes: int = 0
    etag: str = ""
    modified: str = ""
    """When it was stored, in a form that sorts."""
    folded: bool = False


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a joined object: its plain path below the account, its size and its MD5."""

    path: str
    size_bytes: int
    etag: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An object: what is stored beside its bytes, and its bytes from ``offset_bytes`` on."""

    size_bytes: int
    etag: str
    meta: Mapping[str, str]
    offset_bytes: int = 0
    data: bytes = b""


class Container:
    """One container of the account, or the objects in it whose names begin alike.

    Args:
        connection: to the account.
        name: the container's.
        area: what begins the names of all objects that are meant; names are given without it.
        floor: listings begin after this name.
    """

    def __init__(
        self, connection: Connection, name: str, *, area: str = "", floor: str = ""
    ) -> None:
        self.connection = connection
        self.name = name
        self._area = area
        self._floor = floor

    def path(self, name: str) -> str:
        """The path of an object below the account."""
        return f"{self.name}/{quote(self._area + name, safe='')}"

    def plain_path(self, name: str) -> str:
        """The path of an object below the account, as manifests and signatures have it."""
        return f"{self.name}/{self._area}{name}"

    def name_at(self, plain_path: str) -> str:
        """The name of an object of this container, from its plain path."""
        return plain_path.lstrip("/").removeprefix(self.plain_path(""))

    async def look(self, call: Call) -> Mapping[str, str] | None:
        """The container's headers, or ``None`` where there is none."""
        answer = await self.connection.ask(call, "HEAD", self.name, accept=(*_EXISTS, 404))
        return None if answer.status == 404 else answer.headers

    async def make(self, call: Call, headers: Mapping[str, str]) -> None:
        """Make the container, or set these headers of the one there is."""
        await self.connection.ask(call, "PUT", self.name, accept=(201, 202), headers=headers)

    async def describe(self, call: Call, headers: Mapping[str, str]) -> bool:
        """Set these headers; whether the container is there."""
        answer = await self.connection.ask(
            call, "POST", self.name, accept=(*_EXISTS, 202, 404), headers=headers
        )
        return answer.status != 404

    async def remove(self, call: Call) -> bool:
        """Remove the container; false where objects are in it. An absent one is fine."""
        answer = await self.connection.ask(call, "DELETE", self.name, accept=(*_EXISTS, 404, 409))
        return answer.status != 409

    async def head(self, call: Call, name: str) -> Found | None:
        """What is known of an object, or ``None``."""
        answer = await self.connection.ask(call, "HEAD", self.path(name), accept=(*_EXISTS, 404))
        if answer.status == 404:
            return None
        return _found(answer, int(answer.headers.get("content-length", 0)))

    async def get(self, call: Call, name: str, span: str = "") -> Found | None:
        """An object's bytes or a span of them, in the form of the header Range; ``None`` if absent.

        Raises:
            OutOfRange: the span starts past the end.
            Corrupt: a part of it is not there any more.
            Busy: it was replaced while it was read.
        """
        headers = {"range": f"bytes={span}"} if span else {}
        answer = await self.connection.ask(
            call, "GET", self.path(name), accept=(200, 204, 206, 404, 409), headers=headers
        )
        if answer.status == 404:
            return None
        if answer.status == 409:
            raise call.failed(await self._broken(call, name))
        size, offset = len(answer.body), 0
        if answer.status == 206:
            where, _, whole = answer.headers["content-range"].removeprefix("bytes ").partition("/")
            offset, size = int(where.partition("-")[0]), int(whole)
        return _found(answer, size, offset, answer.body)

    async def _broken(self, call: Call, name: str) -> DriverError:
        """Why an object could not be read for its parts, which may be those of one before it."""
        pieces = await self.joined(call, name)
        answers = await several(pieces, lambda piece: self._damage(call, piece))
        damage = [one for one in answers if one]
        if damage and await self.joined(call, name) == pieces:
            return Corrupt(f"{damage[0]}; restore the object from a backup")
        return Busy("it was replaced while it was read; try again")

    async def _damage(self, call: Call, piece: Segment) -> str:
        """What is wrong with a part that an object is joined from; empty where nothing is."""
        container, _, inside = piece.path.lstrip("/").partition("/")
        path = f"{container}/{quote(inside, safe='')}"
        answer = await self.connection.ask(call, "HEAD", path, accept=(*_EXISTS, 404))
        if answer.status == 404:
            return f"its part {piece.path} is lost"
        stored = _found(answer, piece.size_bytes).etag
        return "" if stored == piece.etag else f"its part {piece.path} is another one"

    async def joined(self, call: Call, name: str) -> list[Segment]:
        """The segments that an object is joined from, in order; none where it is not joined."""
        answer = await self.connection.ask(
            call,
            "GET",
            self.path(name),
            accept=(200, 204, 404),
            query={"multipart-manifest": "get"},
            headers={"x-newest": "true"},
        )
        if "x-static-large-object" not in answer.headers:
            return []
        return [
            Segment(path=str(one["name"]), size_bytes=int(one["bytes"]), etag=str(one["hash"]))
            for one in json.loads(answer.body)
        ]

    async def put(
        self,
        call: Call,
        name: str,
        data: bytes,
        meta: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
        new: bool = False,
    ) -> bool:
        """Store an object in place of another; with ``new`` only where none is, else false."""
        sent = {**(headers or {}), **_described(meta)}
        sent.setdefault("content-type", "application/octet-stream")
        if new:
            sent["if-none-match"] = "*"
        accept = (201, 412) if new else (201,)
        answer = await self.connection.ask(
            call, "PUT", self.path(name), accept=accept, query=query, headers=sent, data=data
        )
        return answer.status == 201

    async def copy(self, call: Call, source: str, name: str) -> str | None:
        """Copy an object inside the server; its MD5, or ``None`` where there is no source."""
        answer = await self.connection.ask(
            call,
            "PUT",
            self.path(name),
            accept=(201, 404),
            headers={"x-copy-from": self.path(source)},
        )
        return None if answer.status == 404 else answer.headers.get("etag", "").strip('"')

    async def note(self, call: Call, name: str, meta: Mapping[str, str]) -> bool:
        """Store other metadata beside an object; whether it is there."""
        answer = await self.connection.ask(
            call, "POST", self.path(name), accept=(200, 202, 404), headers=_described(meta)
        )
        return answer.status != 404

    async def delete(self, call: Call, name: str) -> bool:
        """Remove one object; whether it was there."""
        answer = await self.connection.ask(call, "DELETE", self.path(name), accept=(*_EXISTS, 404))
        return answer.status != 404

    async def delete_all(self, call: Call, names: Sequence[str]) -> None:
        """Remove objects, in no order; absent ones are fine.

        Many at once where the server offers that, else one by one.
        """
        at_once = await self.connection.deletes_at_once(call) if len(names) > 1 else 1
        if at_once == 1:
            await several(names, lambda name: self.delete(call, name))
            return
        for start in range(0, len(names), at_once):
            lines = "\n".join(self.path(name) for name in names[start : start + at_once])
            answer = await self.connection.ask(
                call,
                "POST",
                "",
                accept=(200,),
                query={"bulk-delete": 1},
                headers={"content-type": "text/plain", "accept": "application/json"},
                data=lines.encode(),
            )
            report: dict[str, Any] = json.loads(answer.body)
            if report.get("Errors") or not str(report.get("Response Status", "")).startswith("200"):
                server = self.connection.server
                raise call.failed(Unknown(f"{server} did not remove everything it was told to"))

    async def page(
        self, call: Call, *, prefix: str = "", after: str = "", limit: int, fold: str = ""
    ) -> list[Entry] | None:
        """A part of the listing, in byte order; ``None`` where there is no container."""
        query: dict[str, str | int] = {"format": "json", "limit": limit}
        prefix = self._area + prefix
        mark = self._area + after if after else self._floor
        query |= {"prefix": prefix} if prefix else {}
        query |= {"marker": mark} if mark else {}
        query |= {"delimiter": fold} if fold else {}
        answer = await self.connection.ask(
            call, "GET", self.name, accept=(*_EXISTS, 404), query=query
        )
        if answer.status == 404:
            return None
        try:
            return [_entry(line, len(self._area)) for line in json.loads(answer.body or b"[]")]
        except (ValueError, KeyError, TypeError) as error:
            server = self.connection.server
            raise call.failed(Internal(f"{server} gave a list that is none")) from error

    async def all(self, call: Call, prefix: str = "") -> list[Entry] | None:
        """The whole listing under a prefix; ``None`` where there is no container."""
        entries: list[Entry] = []
        while True:
            after = entries[-1].name if entries else ""
            page = await self.page(call, prefix=prefix, after=after, limit=LIST_MAX)
            if page is None:
                return None
            entries += page
            if len(page) < LIST_MAX:
                return entries


def _described(meta: Mapping[str, str]) -> dict[str, str]:
    return {f"{META}{name}": value for name, value in meta.items()}


def _found(answer: Answer, size: int, offset: int = 0, data: bytes = b"") -> Found:
    headers = answer.headers
    return Found(
        size_bytes=size,
        etag=headers.get("etag", "").strip('"'),
        meta={
            name.removeprefix(META): value
            for name, value in headers.items()
            if name.startswith(META)
        },
        offset_bytes=offset,
        data=data,
    )


def _entry(line: Mapping[str, Any], cut: int) -> Entry:
    """A line of a listing, without the first ``cut`` characters of its name."""
    if "subdir" in line:
        return Entry(name=str(line["subdir"])[cut:], folded=True)
    name = str(line["name"])[cut:]
    return Entry(
        name=name,
        size_bytes=int(line["bytes"]),
        etag=str(line["hash"]),
        modified=str(line["last_modified"]),
    )

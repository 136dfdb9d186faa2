"""Two callers at work on one key of an image store: one is stopped between two requests."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence

from holdfast.contract import requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Busy, DriverError, NotFound
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext, PartReference
from sweeps import Sweep

Work = Callable[[], Awaitable[object]]
KEY = "images/a.b"
SOURCE = "images/source"
OLD, OTHER = (b"old" * 99,), (b"other",)
PAIRS = [
    ("complete_one", "complete_two"),
    ("complete_one", "delete"),
    ("complete_one", "abort_one"),
    ("complete_one", "send_again"),
    ("complete_one", "copy"),
    ("delete", "complete_one"),
    ("delete", "copy"),
    ("abort_one", "complete_one"),
    ("copy", "complete_one"),
    ("copy", "delete"),
    ("copy", "copy"),
    ("send_again", "complete_one"),
]
"""A call that is stopped, and the one that runs to its end meanwhile."""
LONGEST = 60
"""More requests than any of these calls makes."""


class Between:
    """A call that comes between two requests of another; ``answers`` has what came of it."""

    def __init__(self, at: int, work: Work) -> None:
        self.at = at
        self.answers: list[object] = []
        self._work = work

    async def __call__(self) -> None:
        self.answers.append(await outcome(self._work))


class Interruptible:
    """What a client is that lets another call run whole before one of its requests."""

    _between: Between | None = None

    def before_request(self, at: int, work: Work) -> Between:
        """Let another call run whole before the request of this number, counted from now."""
        self._between = Between(at, work)
        return self._between

    def undisturbed(self) -> None:
        """Let nothing come between any more."""
        self._between = None

    async def let_come(self) -> None:
        """Called before each request."""
        between = self._between
        if between is None:
            return
        if not between.at:
            self._between = None
            await between()
        between.at -= 1


class Actors:
    """What two callers may do at once to one key of a store."""

    def __init__(
        self,
        image: ImageDriver,
        context: Callable[[], CallContext],
        one: Sequence[bytes] = (b"one" * 999,),
        two: Sequence[bytes] = (b"two" * 9_999,),
    ) -> None:
        self.image = image
        self.context = context
        self.content = {"one": one, "two": two}
        self.sent: dict[str, list[PartReference]] = {}

    async def prepare(self, *, old: bool) -> None:
        """Objects to replace and to copy, and two uploads of which everything was sent."""
        if old:
            await self._put("old", OLD, KEY)
        await self._put("source", OTHER, SOURCE)
        for upload, parts in self.content.items():
            await self._send(upload, parts, KEY)

    async def _put(self, upload: str, parts: Sequence[bytes], key: str) -> None:
        await self._send(upload, parts, key)
        await self._complete(upload, parts)

    async def _send(self, upload: str, parts: Sequence[bytes], key: str) -> None:
        start = requests.StartUpload(upload=upload, key=key, kind=ObjectKind.ISO)
        await self.image.start_upload(self.context(), start)
        self.sent[upload] = [
            await self.part(upload, number, data) for number, data in enumerate(parts, 1)
        ]

    async def part(self, upload: str, number: int, data: bytes) -> PartReference:
        """Send one part."""
        request = requests.UploadPart(upload=upload, number=number, data=data)
        return (await self.image.upload_part(self.context(), request)).part

    async def _complete(self, upload: str, parts: Sequence[bytes]) -> object:
        whole = b"".join(parts)
        request = requests.CompleteUpload(
            upload=upload,
            parts=tuple(self.sent[upload]),
            size_bytes=len(whole),
            sha256=hashlib.sha256(whole).hexdigest(),
        )
        return await self.image.complete_upload(self.context(), request)

    async def again_while_busy(self, work: Work) -> object:
        """Do as the engine does where nothing was done: try again."""
        while True:
            try:
                return await work()
            except Busy:
                continue

    async def complete_one(self) -> object:
        return await self._complete("one", self.content["one"])

    async def complete_two(self) -> object:
        return await self._complete("two", self.content["two"])

    async def abort_one(self) -> object:
        return await self.image.abort_upload(self.context(), requests.AbortUpload(upload="one"))

    async def delete(self) -> object:
        return await self.image.delete(self.context(), requests.DeleteObject(key=KEY))

    async def send_again(self) -> object:
        return await self.part("one", 1, OTHER[0])

    async def copy(self) -> object:
        request = requests.CopyObject(key=SOURCE, target=KEY)
        return await self.image.copy(self.context(), request)

    async def whole_object(self) -> bytes | None:
        """The object under the key, read whole and compared with what it says of itself."""
        try:
            found = await self.image.get(self.context(), requests.GetObject(key=KEY))
        except NotFound:
            return None
        assert hashlib.sha256(found.data).hexdigest() == found.object.sha256
        return found.data

    async def settle(self) -> None:
        """End what is open, as its callers would."""
        for upload in self.content:
            abort = requests.AbortUpload(upload=upload)
            await self.image.abort_upload(self.context(), abort)

    async def clear(self) -> None:
        """Delete the objects."""
        for key in (KEY, SOURCE):
            await self.image.delete(self.context(), requests.DeleteObject(key=key))

    def allowed(self, first: str, second: str) -> set[bytes | None]:
        """What the key may hold after both calls succeeded, in either order."""
        made: dict[str, bytes | None] = {
            "complete_one": b"".join(self.content["one"]),
            "complete_two": b"".join(self.content["two"]),
            "delete": None,
            "copy": OTHER[0],
        }
        return {made[name] for name in (first, second) if name in made}


async def outcome(work: Work) -> object | DriverError:
    """What a call answers or raises."""
    try:
        return await work()
    except DriverError as error:
        return error


class Race:
    """One pair of calls; plays every place in the first where the second may come, or some.

    Args:
        client: of the driver whose calls are stopped.
        actors: makes fresh actors.
        things: what the inspector finds, the store itself excepted: kinds and keys.
    """

    def __init__(
        self,
        client: Interruptible,
        actors: Callable[[], Actors],
        things: Callable[[], Awaitable[Sequence[str]]],
    ) -> None:
        self._client = client
        self._actors = actors
        self._things = things

    async def play(self, first: str, second: str, sweep: Sweep, *, old: bool) -> None:
        """Assert that the object is whole and nothing stays, wherever the second call comes."""
        for at in sweep:
            actors = self._actors()
            await actors.prepare(old=old)
            came = self._client.before_request(at, getattr(actors, second))
            answers = [await outcome(getattr(actors, first)), *came.answers]
            self._client.undisturbed()
            there = await actors.whole_object()
            if came.answers and all(not isinstance(answer, DriverError) for answer in answers):
                assert there in actors.allowed(first, second), (at, answers)
            await actors.settle()
            objects = ["object"] * (1 if there is None else 2)
            assert await self._things() == objects, (at, answers)
            assert await actors.whole_object() == there
            await actors.clear()
            assert await self._things() == [], (at, answers)
            sweep.at_place(came.answers)

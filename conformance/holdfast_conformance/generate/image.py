"""Chance on an image store: what to do next, drawn from what the model says is there."""

from collections.abc import Callable, Iterator

from holdfast.capabilities import ImageCapabilities, ObjectKind
from holdfast.requests import (
    AbortUpload,
    CancelMaintenance,
    CopyObject,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    GetStats,
    HeadObject,
    ListObjects,
    MaintainStore,
    OpenObject,
    StartUpload,
)
from holdfast_conformance.image_limits import large_bytes, object_max_bytes, page_items
from holdfast_conformance.model.image_address import LASTING_S
from holdfast_conformance.model.image_state import ImageState, UploadModel
from holdfast_conformance.plan import (
    FetchAddress,
    MakeAddress,
    PutObject,
    Reopen,
    Step,
    WalkObjects,
)
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.image_script import HOSTILE_KEYS, Script

_PLAIN_KEYS = ("a", "a/b", "b", "a/c")
_PREFIXES = ("", "a", "a/", "b")
_UPLOADS_MAX = 3
_NUMBERS = 4
_EDGE_MAX_BYTES = 1 << 20
"""Random plans stay below this size, for they have many steps."""

_Steps = Iterator[Step]


class ImageChance:
    """Draws the steps of one random plan.

    Args:
        declared: what the store declares.
        choices: where decisions come from.
    """

    def __init__(self, declared: ImageCapabilities, choices: Choices) -> None:
        self._declared = declared
        self._choices = choices
        self._script = Script(declared, choices)
        hostile = tuple(choices.pick(HOSTILE_KEYS) for _ in range(2))
        self._keys = tuple(dict.fromkeys((*_PLAIN_KEYS, *hostile)))
        self._kinds = declared.upload.kinds or (ObjectKind.TEMPLATE,)
        self._last: Step | None = None
        copies = (ImageChance.copy,) * 4 if declared.copy is not None else ()
        addresses = (ImageChance.address,) * 3 if declared.url is not None else ()
        self._rules = (*_RULES, *copies, *addresses)

    def steps(self, state: ImageState) -> tuple[Step, ...]:
        """The next steps, one or a few that belong together, for a store in this state."""
        rules = _RULES_AT_REST if state.store.maintenance else self._rules
        drawn = tuple(self._choices.pick(rules)(self, state))
        for step in drawn:
            if not isinstance(step, PutObject):
                self._last = step
        return drawn

    def put(self, _: ImageState) -> _Steps:
        """Store a whole object."""
        kind = self._choices.pick(self._kinds)
        yield self._script.put(self._key(), self._size(), kind=kind)

    def start(self, state: ImageState) -> _Steps:
        """Open an upload, unless there are enough."""
        if len(state.uploads) < _UPLOADS_MAX:
            start = self._script.start(self._key(), kind=self._choices.pick(self._kinds))
            yield start
            if self._choices.one_in(2):
                yield self._script.part(start, 1, self._part_size())

    def start_other(self, state: ImageState) -> _Steps:
        """Open an upload under a key that another upload has."""
        if state.uploads:
            yield self._script.start("other", upload=self._choices.pick(tuple(state.uploads)))

    def part(self, state: ImageState) -> _Steps:
        """Send a part, perhaps one that was sent before."""
        if (found := self._upload(state)) is not None:
            start = _opened(*found)
            for _ in range(1 + self._choices.below(2)):
                yield self._script.part(start, self._number(), self._part_size())

    def finish(self, state: ImageState) -> _Steps:
        """Complete an upload, and look at what it made."""
        if (found := self._upload(state)) is not None:
            finish = self._script.finish(_opened(*found), *self._numbers(found[1]))
            yield finish
            if self._choices.one_in(4):
                yield finish
            yield GetObject(key=found[1].key)

    def finish_wrong(self, state: ImageState) -> _Steps:
        """Complete an upload with a wrong size or digest."""
        if (found := self._upload(state)) is not None:
            error_bytes = self._choices.pick((0, 1))
            yield self._script.finish(
                _opened(*found),
                *sorted(found[1].parts),
                size_error_bytes=error_bytes,
                wrong_digest=not error_bytes,
            )
            yield HeadObject(key=found[1].key)

    def abort(self, state: ImageState) -> _Steps:
        """Drop an upload, open or long gone."""
        names = (*state.uploads, *state.settled, "never")
        yield AbortUpload(upload=self._choices.pick(names))

    def get(self, state: ImageState) -> _Steps:
        """Read a whole object."""
        yield GetObject(key=self._taken(state))

    def get_range(self, state: ImageState) -> _Steps:
        """Read a range, mostly around an edge."""
        if self._declared.range is None:
            return
        key = self._taken(state)
        found = state.objects.get(key)
        size = found.size_bytes if found else 10
        edges = sorted({0, 1, size // 2, size - 1, size, size + 1} - {-1})
        if found and len(found.pieces) > 1:
            edges.append(found.pieces[0][1] - 1)
        offset = self._choices.pick(edges)
        if self._declared.range.suffix and self._choices.one_in(4):
            offset = -offset
        length = self._choices.pick((1, None, 2, max(1, size), size + 1))
        yield GetObject(key=key, offset_bytes=offset, length_bytes=length)

    def look(self, state: ImageState) -> _Steps:
        """Ask what is known."""
        key = self._taken(state)
        options: tuple[Step, ...] = (
            HeadObject(key=key),
            OpenObject(key=key),
            EnumerateOwned(),
            GetStats(),
        )
        yield self._choices.pick(options)

    def walk(self, _: ImageState) -> _Steps:
        """List, page by page."""
        delimiter = self._choices.pick(("", "/")) if self._declared.list.delimiter else ""
        prefix = self._choices.pick(_PREFIXES)
        page = page_items(self._declared, 2)
        yield WalkObjects(prefix=prefix, delimiter=delimiter, limit=page)
        if self._choices.one_in(3):
            page = page_items(self._declared, 3)
            yield ListObjects(prefix=prefix, delimiter=delimiter, limit=page)

    def delete(self, state: ImageState) -> _Steps:
        """Delete, and look whether it is gone."""
        key = self._taken(state)
        yield DeleteObject(key=key)
        looks: tuple[Step, ...] = (GetObject(key=key), HeadObject(key=key))
        yield self._choices.pick(looks)

    def copy(self, state: ImageState) -> _Steps:
        """Copy an object, mostly one that is there, and look at the copy."""
        target = self._key()
        yield CopyObject(key=self._taken(state), target=target)
        looks: tuple[Step, ...] = (GetObject(key=target), OpenObject(key=target))
        yield self._choices.pick(looks)

    def address(self, state: ImageState) -> _Steps:
        """Make an address, or use one that was made at any time before."""
        there = tuple(state.addresses)
        if there and self._choices.one_in(2):
            yield FetchAddress(address=self._choices.pick(there))
            return
        name = f"address-{len(there)}"
        yield MakeAddress(address=name, key=self._taken(state), expires_s=2 * LASTING_S)
        yield FetchAddress(address=name)

    def repeat(self, _: ImageState) -> _Steps:
        """Make the last call again."""
        if self._last is not None:
            yield self._last

    def reopen(self, _: ImageState) -> _Steps:
        """Close the driver and open another."""
        yield Reopen()

    def maintain(self, _: ImageState) -> _Steps:
        """Let nothing new in."""
        yield MaintainStore()

    def serve(self, _: ImageState) -> _Steps:
        """Return to service."""
        yield CancelMaintenance()

    def _key(self) -> str:
        return self._choices.pick(self._keys)

    def _taken(self, state: ImageState) -> str:
        """Mostly a key that holds an object."""
        there = tuple(state.objects)
        return self._choices.pick(there) if there and not self._choices.one_in(6) else self._key()

    def _upload(self, state: ImageState) -> tuple[str, UploadModel] | None:
        there = tuple(state.uploads.items())
        return self._choices.pick(there) if there else None

    def _size(self) -> int:
        """A size of an object, with a liking for edges."""
        large = large_bytes(self._declared)
        largest = min(_EDGE_MAX_BYTES, object_max_bytes(self._declared))
        if large is not None and 2 * large <= largest and self._choices.one_in(6):
            return self._choices.pick((large, large - 7, large - 8, 2 * large))
        usual = (1000, 1, 0, 15, 16, 17, 4096, self._script.part_bytes)
        return min(self._choices.pick(usual), self._declared.upload.part_max_bytes)

    def _part_size(self) -> int:
        """A size of a part, with a liking for the minimum."""
        minimum = self._declared.upload.part_min_bytes
        if self._declared.upload.part_max_bytes < _EDGE_MAX_BYTES and self._choices.one_in(16):
            return self._declared.upload.part_max_bytes + 1
        usual = (self._script.part_bytes, minimum, minimum + 1, minimum - 1, 3)
        return min(self._choices.pick(usual), self._declared.upload.part_max_bytes)

    def _number(self) -> int:
        highest = self._declared.upload.parts_max
        if self._choices.one_in(8):
            return self._choices.pick((highest, 0, highest + 1))
        return 1 + self._choices.below(min(_NUMBERS, highest))

    def _numbers(self, upload: UploadModel) -> tuple[int, ...]:
        """The numbers to complete an upload from: mostly all that were sent."""
        sent = sorted(upload.parts)
        choices = (
            tuple(self._choices.shuffled(sent)),
            tuple(sent[1:]),
            (*sent, *sent[:1]),
            (*sent, _NUMBERS + 1),
        )
        chosen = self._choices.below(2 * len(choices))
        return choices[chosen] if chosen < len(choices) else tuple(sent)


def _opened(name: str, upload: UploadModel) -> StartUpload:
    """The step that opened an upload."""
    return StartUpload(
        upload=name, key=upload.key, kind=upload.kind, content_type=upload.content_type
    )


_Rule = Callable[[ImageChance, ImageState], _Steps]
_WEIGHTS: dict[_Rule, int] = {
    ImageChance.put: 5,
    ImageChance.start: 4,
    ImageChance.start_other: 1,
    ImageChance.part: 6,
    ImageChance.finish: 5,
    ImageChance.finish_wrong: 2,
    ImageChance.abort: 2,
    ImageChance.get: 3,
    ImageChance.get_range: 5,
    ImageChance.look: 4,
    ImageChance.walk: 3,
    ImageChance.delete: 3,
    ImageChance.repeat: 3,
    ImageChance.reopen: 1,
    ImageChance.maintain: 1,
}
_RULES: tuple[_Rule, ...] = tuple(rule for rule, weight in _WEIGHTS.items() for _ in range(weight))
_RULES_AT_REST: tuple[_Rule, ...] = (
    ImageChance.serve,
    ImageChance.put,
    ImageChance.start,
    ImageChance.get,
    ImageChance.look,
)

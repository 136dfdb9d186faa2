"""Chance on an image store: what to do next, drawn from what the model says is there."""

from collections.abc import Callable, Iterator

from holdfast.contract.capabilities import ImageCapabilities, ObjectKind
from holdfast.contract.requests import (
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
)
from holdfast_conformance.address_steps import FetchAddress, MakeAddress
from holdfast_conformance.generate import image_rules
from holdfast_conformance.generate.image_rules import opened
from holdfast_conformance.generate.random_together import together
from holdfast_conformance.image_limits import (
    large_bytes,
    object_max_bytes,
    page_items,
    whole_bytes,
)
from holdfast_conformance.list_steps import NextPage, TakePage
from holdfast_conformance.model.features import declared_features
from holdfast_conformance.model.image_address import LASTING_S
from holdfast_conformance.model.image_state import ImageState, UploadModel
from holdfast_conformance.plan import (
    ProbeCall,
    ProbedCall,
    PutObject,
    Reopen,
    Step,
    UseDriver,
    WalkObjects,
)
from holdfast_conformance.plan_limits import DRIVERS_MAX
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.image_lists import DELIMITERS
from holdfast_conformance.scenarios.image_script import Script
from holdfast_conformance.scenarios.name_classes import some_names

_PLAIN_KEYS = ("a", "a/b", "b", "a/c")
_PREFIXES = ("", "a", "a/", "b")
_UPLOADS_MAX = 3
_NUMBERS = 4
_PAGE = "page"
_PROBED_BACK = 6
"""How many of the last calls probes ask about."""
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
        self.declared = declared
        self.choices = choices
        self.script = Script(declared, choices)
        self._odd = some_names(choices, 1 + choices.below(2))
        keys = tuple(dict.fromkeys((*_PLAIN_KEYS, *self._odd)))
        # In one plan in three it is always the same few keys that are used again.
        self._keys = tuple(choices.shuffled(keys)[:2]) if choices.one_in(3) else keys
        self._sizes: list[int] = []
        self.kinds = declared.upload.kinds or (ObjectKind.TEMPLATE,)
        self._last: Step | None = None
        self.calls: list[ProbedCall] = []
        copies = (
            (ImageChance.copy, image_rules.copy_then_change) * 2
            if declared.copy is not None
            else ()
        )
        addresses = (ImageChance.address,) * 3 if declared.url is not None else ()
        self._rules = (*_RULES, *copies, *addresses)

    def steps(self, state: ImageState) -> tuple[Step, ...]:
        """The next steps, one or a few that belong together, for a store in this state."""
        rules = _RULES_AT_REST if state.store.maintenance else self._rules
        drawn = tuple(self.choices.pick(rules)(self, state))
        for step in drawn:
            if not isinstance(step, PutObject):
                self._last = step
            if isinstance(step, ProbedCall):
                self.calls = [*self.calls[1 - _PROBED_BACK :], step]
        return drawn

    def put(self, _: ImageState) -> _Steps:
        """Store a whole object."""
        kind = self.choices.pick(self.kinds)
        yield self.script.put(self.key(), self.size(), kind=kind)

    def start(self, state: ImageState) -> _Steps:
        """Open an upload, unless there are enough."""
        if len(state.uploads) < _UPLOADS_MAX:
            name = self.choices.pick(self._odd) if self.choices.one_in(3) else None
            kind = self.choices.pick(self.kinds)
            start = self.script.start(self.key(), upload=name, kind=kind)
            yield start
            if self.choices.one_in(2):
                yield self.script.part(start, 1, self.part_size())

    def start_other(self, state: ImageState) -> _Steps:
        """Open an upload under a key that another upload has."""
        if state.uploads:
            yield self.script.start("other", upload=self.choices.pick(tuple(state.uploads)))

    def part(self, state: ImageState) -> _Steps:
        """Send a part, perhaps one that was sent before."""
        if (entry := self.upload(state)) is not None:
            start = opened(*entry)
            for _ in range(1 + self.choices.below(2)):
                yield self.script.part(start, self._number(), self.part_size())

    def finish(self, state: ImageState) -> _Steps:
        """Complete an upload, and look at what it made."""
        if (entry := self.upload(state)) is not None:
            finish = self.script.finish(opened(*entry), *self._numbers(entry[1]))
            yield finish
            if self.choices.one_in(4):
                yield finish
            yield GetObject(key=entry[1].key)

    def finish_wrong(self, state: ImageState) -> _Steps:
        """Complete an upload with a wrong size or digest."""
        if (entry := self.upload(state)) is not None:
            error_bytes = self.choices.pick((0, 1))
            yield self.script.finish(
                opened(*entry),
                *sorted(entry[1].parts),
                size_error_bytes=error_bytes,
                wrong_digest=not error_bytes,
            )
            yield HeadObject(key=entry[1].key)

    def abort(self, state: ImageState) -> _Steps:
        """Drop an upload, open or long gone."""
        names = (*state.uploads, *state.settled, "never")
        yield AbortUpload(upload=self.choices.pick(names))

    def get(self, state: ImageState) -> _Steps:
        """Read a whole object."""
        yield GetObject(key=self.taken(state))

    def get_range(self, state: ImageState) -> _Steps:
        """Read a range, mostly around an edge."""
        if self.declared.range is None:
            return
        key = self.taken(state)
        model = state.objects.get(key)
        size = model.size_bytes if model else 10
        edges = sorted({0, 1, size // 2, size - 1, size, size + 1} - {-1})
        if model and len(model.pieces) > 1:
            edges.append(model.pieces[0][1] - 1)
        offset = self.choices.pick(edges)
        if self.declared.range.suffix and self.choices.one_in(4):
            offset = -offset
        length = self.choices.pick((1, None, 2, max(1, size), size + 1))
        yield GetObject(key=key, offset_bytes=offset, length_bytes=length)

    def look(self, state: ImageState) -> _Steps:
        """Ask what is known."""
        key = self.taken(state)
        options: tuple[Step, ...] = (
            HeadObject(key=key),
            OpenObject(key=key),
            EnumerateOwned(),
            GetStats(),
        )
        yield self.choices.pick(options)

    def walk(self, state: ImageState) -> _Steps:
        """List, page by page."""
        delimiters = ("", "/", "", "/", *DELIMITERS)
        delimiter = self.choices.pick(delimiters) if self.declared.list.delimiter else ""
        prefix = self.choices.pick((*_PREFIXES, self.taken(state)))
        page = page_items(self.declared, 2)
        yield WalkObjects(prefix=prefix, delimiter=delimiter, limit=page)
        if self.choices.one_in(3):
            page = page_items(self.declared, 3)
            yield ListObjects(prefix=prefix, delimiter=delimiter, limit=page)

    def page(self, state: ImageState) -> _Steps:
        """A page to go on from later, or the one after it, of its list or of another."""
        prefix = self.choices.pick(_PREFIXES)
        of = ListObjects(prefix=prefix, limit=page_items(self.declared, 1))
        if self.choices.one_in(3):
            yield TakePage(page=_PAGE, of=of)
        page = state.pages.get(_PAGE)
        if page is not None:
            yield NextPage(page=_PAGE, of=of if self.choices.one_in(4) else page.of)

    def delete(self, state: ImageState) -> _Steps:
        """Delete, and look whether it is gone."""
        key = self.taken(state)
        yield DeleteObject(key=key)
        looks: tuple[Step, ...] = (GetObject(key=key), HeadObject(key=key))
        yield self.choices.pick(looks)

    def copy(self, state: ImageState) -> _Steps:
        """Copy an object, mostly one that is there, and look at the copy."""
        target = self.key()
        yield CopyObject(key=self.taken(state), target=target)
        looks: tuple[Step, ...] = (GetObject(key=target), OpenObject(key=target))
        yield self.choices.pick(looks)

    def address(self, state: ImageState) -> _Steps:
        """Make an address, or use one that was made at any time before."""
        there = tuple(state.addresses)
        if there and self.choices.one_in(2):
            yield FetchAddress(address=self.choices.pick(there))
            return
        name = f"address-{len(there)}"
        allowed_s = self.declared.url.expires_max_s if self.declared.url else 0.0
        expires_s = min(2 * LASTING_S, allowed_s)
        yield MakeAddress(address=name, key=self.taken(state), expires_s=expires_s)
        yield FetchAddress(address=name)

    def repeat(self, _: ImageState) -> _Steps:
        """Make the last call again."""
        if self._last is not None:
            yield self._last

    def probe(self, state: ImageState) -> _Steps:
        """Ask what became of a call that was made before, or of one that never was."""
        key = self.taken(state)
        calls: list[ProbedCall] = [*self.calls, DeleteObject(key=key), self.script.start(key)]
        if (entry := self.upload(state)) is not None:
            start = opened(*entry)
            calls += (AbortUpload(upload=entry[0]), start, self.script.part(start, self._number()))
            calls.append(self.script.finish(start, *sorted(entry[1].parts)))
        if self.declared.copy is not None:
            calls.append(CopyObject(key=key, target=self.key()))
        for _ in range(1 + self.choices.below(2)):
            yield ProbeCall(call=self.choices.pick(calls))

    def together(self, state: ImageState) -> _Steps:
        """Some requests at once."""

        def draw() -> Step | None:
            return next(self.choices.pick(_AT_ONCE)(self, state), None)

        yield from together(self.choices, declared_features(self.declared), draw)

    def other_driver(self, _: ImageState) -> _Steps:
        """Go on through another driver; both stay open."""
        yield UseDriver(number=self.choices.below(DRIVERS_MAX))

    def reopen(self, _: ImageState) -> _Steps:
        """Close the driver and open another."""
        yield Reopen()

    def maintain(self, _: ImageState) -> _Steps:
        """Let nothing new in."""
        yield MaintainStore()

    def serve(self, _: ImageState) -> _Steps:
        """Return to service."""
        yield CancelMaintenance()

    def key(self) -> str:
        """A key, taken or not."""
        return self.choices.pick(self._keys)

    def taken(self, state: ImageState) -> str:
        """Mostly a key that holds an object."""
        there = tuple(state.objects)
        return self.choices.pick(there) if there and not self.choices.one_in(6) else self.key()

    def upload(self, state: ImageState) -> tuple[str, UploadModel] | None:
        """One of the open uploads."""
        there = tuple(state.uploads.items())
        return self.choices.pick(there) if there else None

    def size(self) -> int:
        """A size of an object, with a liking for edges."""
        large = large_bytes(self.declared)
        largest = min(_EDGE_MAX_BYTES, object_max_bytes(self.declared))
        if large is not None and 2 * large <= largest and self.choices.one_in(6):
            return self.choices.pick((large, large - 7, large - 8, 2 * large))
        if self._sizes and self.choices.one_in(3):
            return self.choices.pick(self._sizes)
        usual = (1000, 1, 0, 15, 16, 17, 4096, 9001, self.script.part_bytes)
        wanted = min(self.choices.pick(usual), self.declared.upload.part_max_bytes)
        self._sizes.append(whole_bytes(self.declared, wanted))
        return self._sizes[-1]

    def part_size(self) -> int:
        """A size of a part, with a liking for the minimum."""
        minimum = self.declared.upload.part_min_bytes
        if self.declared.upload.part_max_bytes < _EDGE_MAX_BYTES and self.choices.one_in(16):
            return self.declared.upload.part_max_bytes + 1
        usual = (self.script.part_bytes, minimum, minimum + 1, max(0, minimum - 1), 3, 0)
        return min(self.choices.pick(usual), self.declared.upload.part_max_bytes)

    def _number(self) -> int:
        highest = self.declared.upload.parts_max
        if self.choices.one_in(8):
            return self.choices.pick((highest, 0, highest + 1))
        return 1 + self.choices.below(min(_NUMBERS, highest))

    def _numbers(self, upload: UploadModel) -> tuple[int, ...]:
        """The numbers to complete an upload from: mostly all that were sent."""
        sent = sorted(upload.parts)
        choices = (
            tuple(self.choices.shuffled(sent)),
            tuple(sent[1:]),
            (*sent, *sent[:1]),
            (*sent, _NUMBERS + 1),
        )
        chosen = self.choices.below(2 * len(choices))
        return choices[chosen] if chosen < len(choices) else tuple(sent)


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
    ImageChance.page: 2,
    ImageChance.delete: 3,
    ImageChance.repeat: 3,
    ImageChance.probe: 4,
    ImageChance.reopen: 1,
    ImageChance.together: 3,
    ImageChance.other_driver: 3,
    ImageChance.maintain: 1,
    image_rules.many_numbers: 3,
    image_rules.same_bytes: 1,
    image_rules.older: 2,
    image_rules.late: 3,
    image_rules.late_call: 3,
    image_rules.over_and_again: 3,
    image_rules.give_up: 1,
    image_rules.replace: 4,
    image_rules.replace_alike: 3,
    image_rules.power_range: 2,
}
_AT_ONCE: tuple[_Rule, ...] = (
    ImageChance.start,
    ImageChance.finish,
    ImageChance.finish,
    ImageChance.delete,
)
"""What is drawn together; who ends an upload while it is begun or read is nobody's right caller."""
_RULES: tuple[_Rule, ...] = tuple(rule for rule, weight in _WEIGHTS.items() for _ in range(weight))
_RULES_AT_REST: tuple[_Rule, ...] = (
    ImageChance.serve,
    ImageChance.put,
    ImageChance.start,
    ImageChance.get,
    ImageChance.look,
    ImageChance.probe,
)

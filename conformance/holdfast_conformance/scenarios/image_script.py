"""Writing plans for image stores: steps with sizes from the store's limits and fresh names."""

from collections.abc import Iterator

from holdfast.contract.capabilities import ImageCapabilities, ObjectKind
from holdfast.contract.requests import KEY_MAX_BYTES, StartUpload
from holdfast_conformance.image_limits import can_join, page_items, part_bytes, whole_bytes
from holdfast_conformance.payload import Shape, shaped
from holdfast_conformance.plan import FinishUpload, PutObject, SendPart, Step
from holdfast_conformance.scenarios.choices import Choices

HOST = "host-a"
"""The host that a ready plan attaches."""

_KEYS = ("images/debian.qcow2", "base", "iso/rescue-1.iso", "Backup.2026", "a/b/c/d")
TYPE = "application/x-qcow2"
_LARGE_BYTES = 1001

BAD_KEYS = ("", "y" * (KEY_MAX_BYTES + 1), "é" * (KEY_MAX_BYTES // 2) + "z")
"""Keys that the contract does not allow."""

ORDERED_KEYS = ("a", "a-b", "a/b", "a/b/c", "a/c", "a0", "b", "\uffff", "\U00010000", "é", "z")
"""Keys whose order differs between bytes, UTF-16 and a tree of folders."""


class Script:
    """Makes the steps of one plan.

    Args:
        declared: what the store declares.
        choices: the decisions of this plan.
    """

    def __init__(self, declared: ImageCapabilities, choices: Choices) -> None:
        self.declared = declared
        self.choices = choices
        self.key = choices.pick(_KEYS)
        self.limits = declared.upload
        self.kind = declared.upload.kinds[0] if declared.upload.kinds else ObjectKind.TEMPLATE
        self._contents = 0
        self._uploads = 0

    @property
    def can_join(self) -> bool:
        """Whether objects of three parts can be made."""
        return can_join(self.declared)

    @property
    def part_bytes(self) -> int:
        """The size of an ordinary part."""
        return part_bytes(self.declared)

    def page(self, items: int = 1000) -> int:
        """How many items to ask for at once."""
        return page_items(self.declared, items)

    def small_bytes(self) -> int:
        """The size of an object that fits into one part."""
        return min(901 + self.choices.below(200), self.limits.part_max_bytes, self.fitting(1101))

    def fitting(self, size_bytes: int) -> int:
        """The size itself, or that of the largest object where that is smaller."""
        return whole_bytes(self.declared, size_bytes)

    def content(self) -> int:
        """A content number that no other step of this plan has."""
        self._contents += 1
        return self._contents

    def shaped_content(self) -> int:
        """The same, of some shape."""
        return shaped(self.content(), self.choices.pick(tuple(Shape)))

    def upload(self) -> str:
        """An upload key that no other step of this plan has."""
        self._uploads += 1
        return f"upload-{self._uploads}"

    def put(
        self,
        key: str | None = None,
        size_bytes: int | None = None,
        *,
        kind: ObjectKind | None = None,
        content_type: str = TYPE,
        content: int | None = None,
    ) -> PutObject:
        """Store a whole object, of new content unless some is given."""
        return PutObject(
            upload=self.upload(),
            key=self.key if key is None else key,
            kind=kind or self.kind,
            content_type=content_type,
            content=self.content() if content is None else content,
            size_bytes=self._size(size_bytes),
        )

    def _size(self, size_bytes: int | None) -> int:
        """A size that fits where no large one is asked for: what is larger is meant to be."""
        if size_bytes is None:
            return self.small_bytes()
        return self.fitting(size_bytes) if size_bytes < _LARGE_BYTES else size_bytes

    def start(
        self, key: str | None = None, *, upload: str | None = None, kind: ObjectKind | None = None
    ) -> StartUpload:
        """Open an upload, by default under a new upload key."""
        return StartUpload(
            upload=upload or self.upload(),
            key=self.key if key is None else key,
            kind=kind or self.kind,
            content_type=TYPE,
        )

    def part(self, start: StartUpload, number: int, size_bytes: int | None = None) -> SendPart:
        """Send a part of new content."""
        return SendPart(
            upload=start.upload,
            number=number,
            content=self.content(),
            size_bytes=self.part_bytes if size_bytes is None else size_bytes,
        )

    def sent(self, start: StartUpload, *numbers: int) -> Iterator[Step]:
        """Open an upload and send these parts of it, in this order."""
        yield start
        for number in numbers:
            yield self.part(start, number)

    def finish(
        self,
        start: StartUpload,
        *numbers: int,
        size_error_bytes: int = 0,
        wrong_digest: bool = False,
    ) -> FinishUpload:
        """Complete an upload from these parts."""
        return FinishUpload(
            upload=start.upload,
            numbers=numbers,
            size_error_bytes=size_error_bytes,
            wrong_digest=wrong_digest,
        )

"""What several drivers say of copies of objects, however each makes them."""

from typing import Protocol, TypeVar

from holdfast.contract.answers import Absent, Done, ObjectInfo, ProbeResult
from holdfast_drivers.reported import ObjectFacts


class CopiedFacts(ObjectFacts, Protocol):
    """What a row says of an object that may be a copy."""

    @property
    def operation(self) -> str: ...
    def info(self) -> ObjectInfo: ...


Copied = TypeVar("Copied", bound=CopiedFacts)


def is_alike(source: ObjectFacts, there: ObjectFacts) -> bool:
    """Whether an object is what a copy of the source would be."""
    return _content(source) == _content(there)


def what_became(source: Copied | None, there: Copied | None, operation: str) -> ProbeResult:
    """What became of a copy that left nothing unfinished, from what is under both keys now."""
    if there is None:
        return Absent()
    done = there.operation == operation if source is None else is_alike(source, there)
    return Done(answer=there.info()) if done else Absent()


def _content(row: ObjectFacts) -> tuple[object, ...]:
    return row.sha256, row.size_bytes, row.kind, row.content_type

"""What several drivers say of uploads and their parts, however each stores them."""

from typing import Protocol

import xxhash

from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Invalid
from holdfast.contract.requests import PartReference, StartUpload, UploadPart


class UploadFacts(Protocol):
    """What a row says of an open upload; ``target`` is the key of the object it will be."""

    @property
    def target(self) -> str: ...
    @property
    def kind(self) -> ObjectKind: ...
    @property
    def content_type(self) -> str: ...


def is_same_upload(row: UploadFacts, request: StartUpload) -> bool:
    """Whether a request asks for the upload that is open."""
    asked = request.key, request.kind, request.content_type
    return (row.target, row.kind, row.content_type) == asked


def part_of(request: UploadPart) -> PartReference:
    """What is acknowledged of a part by drivers that choose its tag: the XXH3-128 of its bytes."""
    return PartReference(
        number=request.number,
        size_bytes=len(request.data),
        tag=xxhash.xxh3_128_hexdigest(request.data),
    )


def not_that_part(part: PartReference, upload: str) -> Invalid:
    """The refusal of a completion that names a part with a tag that it does not have."""
    return Invalid(
        f"part {part.number} is not stored with tag {part.tag}; send it again", object=upload
    )

"""What an image store holds, as the model knows it: objects, open uploads and finished ones."""

import enum
from collections.abc import Mapping

import msgspec

from holdfast.contract.capabilities import ObjectKind
from holdfast_conformance.model.role_model import ModelState
from holdfast_conformance.payload import digest_of_parts
from holdfast_conformance.plan import FinishUpload

Piece = tuple[int, int]
"""The content number and the size in bytes of one part; see ``payload``."""


class ImageSituation(enum.StrEnum):
    """What makes a step on an image store interesting; both roles have one name for one thing."""

    START_NEW = "start: a new upload"
    START_AGAIN = "start: an open upload with equal arguments"
    START_OTHER = "start: an open upload with other arguments"
    START_SETTLED = "start: an upload that was completed"
    BAD_KEY = "a key that nothing can have"
    HOSTILE = "a key that a careless backend mixes up, loses or obeys"
    LOOK_ALIKE = "a key that looks like another one that is taken"
    KIND = "a kind the store declares"
    MAINTENANCE = "something new while the store is in maintenance"
    PART_NEW = "part: a new number"
    PART_AGAIN = "part: a number that was sent before"
    PART_BEFORE = "part: a number below one that was sent before"
    PART_EMPTY = "part: of 0 bytes"
    PART_NUMBER = "part: a number out of range"
    PART_LARGE = "part: more bytes than a part may have"
    PART_LOST = "part: an unknown upload"
    COMPLETE = "complete: right size and digest"
    COMPLETE_ONE = "complete: one part"
    COMPLETE_SEVERAL = "complete: several parts"
    COMPLETE_EMPTY = "complete: no part"
    COMPLETE_SOME = "complete: only some of the parts that were sent"
    COMPLETE_MIXED = "complete: part numbers named in another order"
    COMPLETE_REPLACED = "complete: a part that was sent twice"
    COMPLETE_SMALL = "complete: a part below the minimum that is not the last"
    COMPLETE_MINIMUM = "complete: a part of exactly the minimum, or a last one below it"
    COMPLETE_AGAIN = "complete: repeated after success"
    COMPLETE_LATE = "complete: repeated after its object was replaced or deleted"
    COMPLETE_USED = "complete: an upload under a key that was used before"
    COMPLETE_OLDER = "complete: a part as it was before it was replaced"
    COMPLETE_LOST = "complete: an unknown upload"
    COMPLETE_BAD_PARTS = "complete: a missing or repeated part"
    COMPLETE_WRONG_SIZE = "complete: a wrong size"
    COMPLETE_WRONG_DIGEST = "complete: a wrong digest"
    OVERWRITE = "a key that holds an object already"
    PUT = "put: an object"
    PUT_EMPTY = "put: an object of 0 bytes"
    PUT_LARGE = "put: an object larger than one part"
    PUT_LARGEST = "put: an object of the largest size"
    ABORT = "abort: an open upload"
    ABORT_ABSENT = "abort: an absent upload"
    GET_WHOLE = "get: a whole object"
    GET_EMPTY = "get: an object of 0 bytes"
    GET_JOINED = "get: an object of several parts"
    GET_RANGE = "get: a range"
    GET_CUT = "get: a range that is cut at the end"
    GET_SUFFIX = "get: a range from the end"
    GET_PAST = "get: a range past the end"
    GET_EDGE = "get: a range at the very end"
    GET_NOTHING = "get: a range of 0 bytes"
    GET_ABSENT = "get: an absent object"
    HEAD = "head: an object"
    HEAD_ABSENT = "head: an absent object"
    OPEN = "open: an object"
    OPEN_ABSENT = "open: an absent object"
    COPY = "copy: an object under a new key"
    COPY_EMPTY = "copy: an object of 0 bytes"
    COPY_JOINED = "copy: an object of several parts"
    COPY_AGAIN = "copy: onto an object that is the same already"
    COPY_OTHER = "copy: onto another object"
    COPY_ABSENT = "copy: an absent object"
    COPY_READ = "get: a copy"
    COPY_ALONE = "get: a copy whose source is gone or another now"
    SOURCE_GONE = "an object that was copied is deleted or replaced"
    MAKE = "address: of an object"
    MAKE_ABSENT = "address: of an absent object"
    MAKE_NO_TIME = "address: for no time at all"
    MAKE_TOO_LONG = "address: for longer than the store allows"
    FETCH = "address: fetched before it expires"
    FETCH_EMPTY = "address: of an object of 0 bytes, fetched"
    FETCH_JOINED = "address: of an object of several parts, fetched"
    FETCH_SECOND = "address: fetched after another one of its object was made"
    FETCH_EXPIRED = "address: fetched after it expired"
    FETCH_METHOD = "address: used with another method"
    FETCH_OTHER = "address: used for another object"
    FETCH_GONE = "address: of an object that was deleted"
    LIST = "list: one page"
    LIST_TOKEN = "list: a token that was never issued"  # noqa: S105 - a page token, no secret
    WALK = "walk: all pages"
    WALK_PAGES = "walk: more keys than fit into one page"
    WALK_FOLDED = "walk: keys that are folded into prefixes"
    WALK_LITERAL = "walk: a prefix, key or delimiter that looks like a pattern"
    WALK_EXACT = "walk: a prefix that is a key"
    WALK_DELIMITER = "walk: with another delimiter than a slash"
    WALK_ENCODED = "walk: keys that a backend has to encode"
    DELETE = "delete: an object"
    DELETE_JOINED = "delete: an object of several parts"
    DELETE_ABSENT = "delete: an absent object"
    NO_STORE = "no store here"
    PAGE_TAKEN = "list: a page whose token is kept"
    PAGE_NEXT = "list: the page after one that was taken"
    PAGE_RESIZED = "list: the page after one of another size"
    PAGE_CHANGED = "list: the page after one, when its list has changed"
    PAGE_FOREIGN = "list: the token of another list"
    PROBE_DONE = "probe: a call whose effect is there"
    PROBE_ABSENT = "probe: a call whose effect is not there"
    PROBE_EITHER = "probe: a call whose effect another has, or was changed"
    STATS = "stats"
    ENUMERATE = "enumerate: everything"
    HEALTH = "health: while the backend is up"
    HEALTH_DOWN = "health: while the backend is down"
    DOWN = "the backend is down"
    UNDECLARED = "a feature that is not declared"
    HARNESS = "a step of the harness"


class ObjectModel(msgspec.Struct, frozen=True):
    """One complete object; ``parts`` is how many it was sent in, ``copied`` what it copies."""

    kind: ObjectKind
    content_type: str
    pieces: tuple[Piece, ...]
    parts: int
    born: int
    copied: tuple[str, int] | None = None
    """The source's key and when it was born."""

    @property
    def size_bytes(self) -> int:
        """The size of the whole."""
        return sum(size_bytes for _, size_bytes in self.pieces)

    @property
    def sha256(self) -> str:
        """The digest of the whole."""
        return self.sha256_of(0, self.size_bytes)

    def sha256_of(self, offset_bytes: int, length_bytes: int) -> str:
        """The digest of a range that lies inside the object."""
        return digest_of_parts(self.pieces, offset_bytes, length_bytes)


class AddressModel(msgspec.Struct, frozen=True):
    """A temporary address: of which object, told from others of its key by ``born``."""

    key: str
    born: int
    expires_s: float


class UploadModel(msgspec.Struct, frozen=True):
    """One open upload; ``resent`` are the numbers that were sent more than once, ``used`` says
    that its key was another upload's before.
    """

    key: str
    kind: ObjectKind
    content_type: str
    born: int
    parts: Mapping[int, Piece] = {}
    resent: frozenset[int] = frozenset()
    used: bool = False


class SettledUpload(msgspec.Struct, frozen=True):
    """An upload that was completed, the object it made, and the step that did it, where that can
    be repeated.
    """

    key: str
    step: FinishUpload | None
    made: ObjectModel
    alone: bool = True
    """Whether no other object was made by an upload of this key."""
    asked_again: bool = False
    """Whether its completion was repeated, where it is not alone."""


class ImageState(ModelState, frozen=True, kw_only=True):
    """The state of one image store; its maps are never changed, only replaced."""

    objects: Mapping[str, ObjectModel] = {}
    uploads: Mapping[str, UploadModel] = {}
    settled: Mapping[str, SettledUpload] = {}
    aborted: frozenset[str] = frozenset()
    addresses: Mapping[str, AddressModel] = {}
    """By name, in the order in which they were made."""

    def with_object(self, key: str, model: ObjectModel) -> "ImageState":
        """The state with one object more, or another under its key."""
        return msgspec.structs.replace(self, objects={**self.objects, key: model})

    def without_object(self, key: str) -> "ImageState":
        """The state without an object."""
        others = {name: model for name, model in self.objects.items() if name != key}
        return msgspec.structs.replace(self, objects=others)

    def with_address(self, name: str, address: AddressModel) -> "ImageState":
        """The state with one address more; one of the same name is forgotten."""
        others = {known: model for known, model in self.addresses.items() if known != name}
        return msgspec.structs.replace(self, addresses={**others, name: address})

    def is_settled(self, name: str) -> bool:
        """Whether an upload was completed, what it made is what is under its key now, and nobody
        can mean another upload of its name.
        """
        settled = self.settled.get(name)
        if settled is None or self.objects.get(settled.key) != settled.made:
            return False
        return settled.alone or not settled.asked_again

    def copies_of(self, key: str) -> tuple[str, ...]:
        """The keys of all copies of the object that is under ``key`` now."""
        model = self.objects.get(key)
        source = model and (key, model.born)
        return tuple(
            name for name, other in self.objects.items() if source and other.copied == source
        )

    def with_upload(self, name: str, upload: UploadModel) -> "ImageState":
        """The state with one open upload more, or changed."""
        return msgspec.structs.replace(self, uploads={**self.uploads, name: upload})

    def without_upload(self, name: str) -> "ImageState":
        """The state without an open upload and its parts."""
        others = {key: model for key, model in self.uploads.items() if key != name}
        return msgspec.structs.replace(self, uploads=others)

    def dropped(self, name: str) -> "ImageState":
        """The state without an open upload, of which nothing came.

        Where it had the key of one that was completed, what its parts were called last is of this
        one: that completion cannot be repeated any more.
        """
        settled = self.settled.get(name)
        if settled is None or name not in self.uploads:
            return self.without_upload(name)
        over = msgspec.structs.replace(settled, step=None)
        state = msgspec.structs.replace(self, settled={**self.settled, name: over})
        return state.without_upload(name)

    def with_settled(self, name: str, settled: SettledUpload) -> "ImageState":
        """The state in which an upload has become an object."""
        state = msgspec.structs.replace(self, settled={**self.settled, name: settled})
        return state.without_upload(name).with_object(settled.key, settled.made)

"""What the Swift driver makes of keys, settings and answers, without any server."""

import itertools
import json

import msgspec
import pytest

from holdfast.contract.errors import (
    Busy,
    Corrupt,
    Denied,
    DriverError,
    Exhausted,
    Internal,
    Invalid,
    OutOfRange,
    Unauthenticated,
    Unavailable,
    Unknown,
)
from holdfast_drivers.listing import name_in_token, page_token
from holdfast_drivers.swift.account_testbed import container_name
from holdfast_drivers.swift.config import SwiftConfig, capabilities_of, check_config
from holdfast_drivers.swift.errors import refusal
from holdfast_drivers.swift.names import AFTER_FOLD, FOLD, key_of, name_of

GOOD = SwiftConfig(
    auth_url="http://127.0.0.1:8080/auth/v1.0", user="test:tester", key="k", namespace="images"
)
KEYS = [
    *map(chr, range(0x80)),
    *("é", "e\u0301", "日本語", "\uffff", "\U00010000", "\U0001f4be"),
    *("..", "a/b", "a/", "a//b", "/a", "a.b", "a b", "~e", ".e", "!21", "%2e", "x" * 128),
    *map("".join, itertools.product("!./~ a\x7f", repeat=3)),
]


def test_names_stand_for_one_key_each() -> None:
    """No two keys have one name, and the key can be read from it."""
    assert len({name_of(key) for key in KEYS}) == len(set(KEYS))
    assert [key_of(name_of(key)) for key in KEYS] == KEYS


def test_names_sort_as_keys_do() -> None:
    """The order of the names' bytes is the order of the keys' bytes, so that pages are right."""
    by_key = sorted(set(KEYS), key=str.encode)
    assert sorted(by_key, key=lambda key: name_of(key).encode()) == by_key


def test_names_keep_every_prefix() -> None:
    """What a key begins with, its name begins with the name of, and no other name does."""
    for key, other in itertools.product(KEYS[-200:], repeat=2):
        assert name_of(other).startswith(name_of(key)) == other.startswith(key)


def test_names_have_nothing_that_servers_take_as_they_like() -> None:
    """No slash, no space, no control character, no dot segment; at most 3 bytes for each."""
    for key in KEYS:
        name = name_of(key)
        assert not set(name) & {"/", " ", "\x7f", *map(chr, range(0x20))}
        assert name not in {".", ".."}
        assert len(name.encode()) <= 3 * len(key.encode())


def test_folding_at_slashes_can_be_left_to_the_server() -> None:
    """A name folds where its key does, and what comes after a fold is after all that is in it."""
    for key in KEYS:
        assert name_of(key).count(FOLD) == key.count("/")
        assert name_of(f"a/{key}") < f"a{AFTER_FOLD}" < name_of("a0")


@pytest.mark.parametrize("name", [".", "a.", "!", "!zz", "a b", "~", "!41", "a/b"])
def test_what_is_no_name_has_no_key(name: str) -> None:
    """Objects that somebody else put into the container are not taken for the store's."""
    assert key_of(name) is None


def test_page_tokens_belong_to_one_list() -> None:
    """A token that was changed, or issued for another list, is refused."""
    token = page_token("list", "a/é")
    assert name_in_token("list", token) == "a/é"
    for scope, changed in (("other", token), ("list", token[:-4]), ("list", "never"), ("list", "")):
        with pytest.raises(Invalid):
            name_in_token(scope, changed)


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("auth_url", ["", "swift", "ftp://a/b", "http://", "http://u:p@a/v", "http://a:0/v"]),
        ("user", ["", "a\nb", "é"]),
        ("key", ["", "a\r\nb"]),
        ("namespace", ["", "a", "A-B-C", "-ab", "ab-", "a_b_c", "a" * 64, "a.b.c"]),
    ],
)
def test_settings_that_can_never_work_are_named(setting: str, values: list[str]) -> None:
    """Each is refused before anything is sent, with the setting's name and without its key."""
    check_config(GOOD)
    for value in values:
        with pytest.raises(Invalid, match=f"`{setting}`"):
            check_config(msgspec.structs.replace(GOOD, **{setting: value}))


def test_segment_sizes_bound_parts_and_objects() -> None:
    """A part is a segment, and an object has a thousand."""
    declared = capabilities_of(msgspec.structs.replace(GOOD, segment_bytes=1 << 20)).upload
    assert (declared.part_max_bytes, declared.object_max_bytes) == (1 << 20, 1000 << 20)
    for size_bytes in (0, 6 << 30):
        with pytest.raises(Invalid, match="segment_bytes"):
            check_config(msgspec.structs.replace(GOOD, segment_bytes=size_bytes))


def test_container_names_of_the_testbed_are_legal_and_apart() -> None:
    """Whatever a namespace is called, its container can be made, and no other has it."""
    namespaces = ["a", "A", "run-1.2/é", "x" * 128, "x" * 127, "---"]
    for namespace in namespaces:
        check_config(msgspec.structs.replace(GOOD, namespace=container_name(namespace)))
    assert len({container_name(namespace) for namespace in namespaces}) == len(namespaces)


def part_errors(*answers: str) -> bytes:
    """The body of an answer to a manifest."""
    return json.dumps({"Errors": [[f"/c/{at}", one] for at, one in enumerate(answers)]}).encode()


@pytest.mark.parametrize(
    ("status", "body", "reading", "changing"),
    [
        (401, b"", Unauthenticated, Unauthenticated),
        (403, b"", Denied, Denied),
        (409, b"", Busy, Busy),
        (413, b"Upload exceeds quota.", Exhausted, Exhausted),
        (400, part_errors("413 Request Entity Too Large"), Exhausted, Exhausted),
        (400, part_errors("503 Service Unavailable", "404 Not Found"), Unavailable, Unavailable),
        (400, part_errors("404 Not Found"), Busy, Busy),
        (400, part_errors("Etag Mismatch", "Size Mismatch"), Busy, Busy),
        (400, part_errors("429 Too Many Requests"), Busy, Busy),
        (400, part_errors("401 Unauthorized"), Unauthenticated, Unauthenticated),
        (400, part_errors("418 I'm a teapot"), Internal, Internal),
        (400, b"Manifest must be valid JSON.", Internal, Internal),
        (413, b"Your request is too large.", OutOfRange, OutOfRange),
        (416, b"", OutOfRange, OutOfRange),
        (422, b"", Corrupt, Corrupt),
        (429, b"", Busy, Busy),
        (498, b"", Busy, Busy),
        (418, b"", Internal, Internal),
        (500, b"", Unavailable, Unknown),
        (503, b"", Unavailable, Unknown),
        (507, b"", Exhausted, Exhausted),
    ],
)
def test_answers_mean_errors(
    status: int, body: bytes, reading: type[DriverError], changing: type[DriverError]
) -> None:
    """A server that failed at a change may have done it; at a read there was nothing to do."""
    assert type(refusal(status, "GET a", body, changes=False)) is reading
    assert type(refusal(status, "PUT a", body, changes=True)) is changing

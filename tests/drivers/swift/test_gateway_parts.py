"""The parts of the gateway that need no server: keys, listings, records and configuration."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_drivers.swift.gateway.pipeline import S3Place, Sweeping, proxy_configuration
from holdfast_drivers.swift.gateway.server import GATEWAY_IMAGE
from holdfast_drivers.swift.gateway.server_image.swift_on_s3 import keys
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.listing import Query, select
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.records import (
    Container,
    Listing,
    Object,
    packed,
    unpacked,
)
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.signing import (
    Credentials,
    quoted_query,
    signed_headers,
)
from holdfast_drivers.swift.server_recipe import SWIFT_IMAGE
from holdfast_drivers.swift.users import User

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


@given(st.lists(NAMES, unique=True, max_size=30))
def test_keys_sort_as_names_do(names: list[str]) -> None:
    """The order of keys is the order of the names' bytes."""
    by_key = sorted(names, key=keys.leaf)
    assert by_key == sorted(names, key=str.encode)


@given(NAMES)
def test_a_name_is_read_back_from_its_key(name: str) -> None:
    """What fits into a key is found in it again."""
    found = keys.name_of(keys.leaf(name))
    assert found == name or (found is None and len(keys.escaped(name)) > 840)


@given(NAMES, NAMES)
def test_the_key_of_a_prefix_is_a_prefix_of_the_key(prefix: str, rest: str) -> None:
    """A server asked for a stem finds every name that begins so."""
    assert keys.leaf(prefix + rest).startswith(keys.stem(prefix))


@pytest.mark.parametrize("name", ["x" * 1024, "/" * 1024, "é" * 512])
def test_the_longest_names_fit_into_a_key(name: str) -> None:
    """A key has at most 1,024 bytes, and none of its segments more than 255."""
    key = keys.object_key("0" * 32, name)
    assert len(key.encode()) <= 1024
    assert max(map(len, key.split("/"))) <= 255


@pytest.mark.parametrize("name", ["..", "a//b", "/", "a/./b", "\x00versions\x00c"])
def test_no_key_has_a_segment_that_a_server_would_refuse(name: str) -> None:
    """Neither empty nor dotted segments are in a key, whatever is in the name."""
    segments = keys.object_key("0" * 32, name).split("/")
    assert not {"", ".", ".."} & set(segments)


class Names:
    """A sorted source in memory."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = sorted(names)

    def take(self) -> tuple[str, int] | None:
        """The next name."""
        return (self.names.pop(0), 1) if self.names else None

    def seek(self, least: str) -> None:
        """Skip smaller ones."""
        self.names = [name for name in self.names if name >= least]


def shown(query: Query, *names: str) -> list[str]:
    """What a listing of some names shows."""
    return [line.name for line in select(Names(names), query)]


TREE = ("a", "b/1", "b/2", "b/c/3", "d", "\x00hidden")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), ["a", "b/1", "b/2", "b/c/3", "d"]),
        (Query(reserved=True, limit=1), ["\x00hidden"]),
        (Query(limit=2), ["a", "b/1"]),
        (Query(limit=0), []),
        (Query(marker="b/1"), ["b/2", "b/c/3", "d"]),
        (Query(marker="a", end_marker="b/c"), ["b/1", "b/2"]),
        (Query(prefix="b/"), ["b/1", "b/2", "b/c/3"]),
        (Query(delimiter="/"), ["a", "b/", "d"]),
        (Query(delimiter="/", marker="b/"), ["d"]),
        (Query(delimiter="/", marker="b/1"), ["b/", "d"]),
        (Query(prefix="b/", delimiter="/"), ["b/1", "b/2", "b/c/"]),
        (Query(prefix="b/", delimiter="/", children=True), ["b/1", "b/2"]),
        (Query(reverse=True), ["d", "b/c/3", "b/2", "b/1", "a"]),
        (Query(reverse=True, limit=2), ["d", "b/c/3"]),
        (Query(reverse=True, marker="b/2", end_marker="a"), ["b/1"]),
        (Query(reverse=True, delimiter="/"), ["d", "b/", "a"]),
    ],
)
def test_listings_follow_swifts_rules(query: Query, expected: list[str]) -> None:
    """Markers exclude themselves, folders are rolled up once, and backwards turns it all round."""
    assert shown(query, *TREE) == expected


def test_records_are_read_as_they_were_written() -> None:
    """Nothing of a record is lost in the bucket."""
    record = Object(
        name="é",
        data="d/c/1",
        size=3,
        etag="x",
        content_type="text/plain",
        written="1",
        typed="1",
        changed="2",
        listing=Listing(3, "x", "text/plain"),
        fixed={"X-Static-Large-Object": "true"},
        headers={"X-Object-Meta-A": "b" * 4096},
        delete_at=7,
    )
    assert unpacked(Object, packed(record)) == record
    place = Container(name="c", id="1", created="1", put="2", closing=True)
    assert unpacked(Container, packed(place)) == place


@pytest.mark.parametrize(
    ("at", "now", "gone"), [(0, 10.0, False), (10, 9.9, False), (10, 10, True)]
)
def test_an_object_expires_when_its_time_has_come(at: int, now: float, gone: bool) -> None:
    """Not before, and never without a time."""
    listing = Listing(0, "", "")
    record = Object("n", "", 0, "", "", "1", "1", "1", listing, delete_at=at)
    assert record.expired(now) is gone


def test_a_secret_is_in_no_request_and_no_representation() -> None:
    """What is sent is signed with it and does not tell it."""
    credentials = Credentials("who", "canary-of-the-bucket")
    headers = signed_headers(
        credentials, "GET", "host/bucket/key", query={}, headers={}, payload="x"
    )
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=who/")
    assert "canary" not in f"{headers} {credentials!r}"


def test_queries_are_sorted_and_escaped() -> None:
    """As the signature wants them."""
    assert quoted_query({"b": "/", "a": " ~"}) == "a=%20~&b=%2F"


def test_the_proxys_configuration_names_a_file_for_the_secret() -> None:
    """The S3 secret is not in the configuration; users of the account are."""
    place = S3Place(endpoint="http://192.0.2.1:9000", bucket="swift", access_key="who")
    user = User(account="test", name="tester", key="k")
    told = proxy_configuration(place, (user,), Sweeping()).decode()
    assert "user_test_tester = k .admin" in told
    assert "s3_secret_file = /etc/swift/s3-secret" in told
    assert told.index("[pipeline:main]") < told.index("[app:proxy-server]")


def test_both_images_of_swift_have_the_same_green_threads() -> None:
    """Eventlet and greenlet are pinned, to versions that are known to work, and to the same."""
    recipes = (SWIFT_IMAGE, GATEWAY_IMAGE)
    texts = [(one.folder / "Dockerfile").read_text(encoding="ascii") for one in recipes]
    pinned = [set(re.findall(r"\b(eventlet|greenlet|swift)==(\S+)", text)) for text in texts]
    assert [len(pins) for pins in pinned] == [3, 3]
    assert pinned[0] == pinned[1]


def test_bytes_that_nobody_sees_are_kept_for_an_hour() -> None:
    """Where nothing else is said: the age is in the configuration, for who reads it."""
    place = S3Place(endpoint="http://192.0.2.1:9000", bucket="swift", access_key="who")
    assert "\nsweep_grace = 3600.0\n" in proxy_configuration(place, (), Sweeping()).decode()

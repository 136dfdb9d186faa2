"""The gateway's store over a bucket in memory: its listings, and what the sweeper spares."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_drivers.swift.gateway.server_image.swift_on_s3 import keys
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.listing import Query
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.records import (
    Container,
    Listing,
    Object,
    packed,
)
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.removal import Written, settle
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.s3 import S3Error
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.store import Store
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.sweeper import Sweeper
from memory_bucket import MemoryBucket, failing, memory_store

NOW = 1000.0
BOX = Container(name="box", id="0" * 32, created="1", put="1")
AGE_S = 10.0
_numbers = count()


def an_object(name: str, data: str = "", delete_at: int = 0) -> Object:
    """A record of an object, written by nobody yet."""
    listing = Listing(1, "", "")
    return Object(name, data, 1, "", "", "1", "1", "1", listing, delete_at=delete_at)


def add(bucket: MemoryBucket, name: str, kind: str) -> None:
    """Put an object into the bucket: one that is there, expired or damaged."""
    record = an_object(name, delete_at=1 if kind == "expired" else 0)
    bucket.put(keys.object_key(BOX.id, name), b"{" if kind == "damaged" else packed(record))


def add_container(bucket: MemoryBucket, name: str, kind: str) -> None:
    """Put a container into the bucket: one that is there, one that is removed, or a damaged one."""
    record = replace(BOX, name=name, deleted=kind == "expired")
    bucket.put(keys.container_key("a", name), b"{" if kind == "damaged" else packed(record))


def paged(ask: Callable[[Query], list[tuple[str, object]]], query: Query) -> list[list[str]]:
    """All pages, asked for as clients do: the last name of one is the marker of the next."""
    pages: list[list[str]] = []
    while page := [name for name, _ in ask(query)]:
        pages.append(page)
        query = replace(query, marker=page[-1])
    return pages


KINDS = st.lists(st.sampled_from(("there", "expired", "damaged")), max_size=12)


@given(KINDS, st.integers(1, 4), st.booleans(), st.booleans())
def test_a_page_is_full_as_long_as_there_is_more(
    kinds: list[str], limit: int, reverse: bool, containers: bool
) -> None:
    """What is not shown takes no place on a page: clients take a short page, or an empty one, for
    the last.
    """
    store, bucket = memory_store()
    names = [f"n{number:02}" for number in range(len(kinds))]
    for name, kind in zip(names, kinds, strict=True):
        (add_container if containers else add)(bucket, name, kind)

    def ask(query: Query) -> list[tuple[str, object]]:
        found: list[tuple[str, object]] = (
            [*store.containers("a", query)] if containers else [*store.objects(BOX, query, NOW)]
        )
        return found

    pages = paged(ask, Query(limit=limit, reverse=reverse))
    shown = [name for name, kind in zip(names, kinds, strict=True) if kind == "there"]
    assert [name for page in pages for name in page] == (shown[::-1] if reverse else shown)
    assert {len(page) for page in pages[:-1]} <= {limit}


@pytest.mark.parametrize("delimiter", ["\ud7ff", "\U0010ffff", "a\U0010ffff"])
def test_every_character_may_be_a_delimiter(delimiter: str) -> None:
    """Also the last there is, and that before those which stand for no character."""
    store, bucket = memory_store()
    names = [f"a{delimiter}1", f"a{delimiter}2", f"{delimiter}3", f"b{delimiter}4"]
    for name in names:
        add(bucket, name, "there")
    found = [name for name, _ in store.objects(BOX, Query(delimiter=delimiter), NOW)]
    assert found == sorted({name[:-1] for name in names})


def placed(store: Store, bucket: MemoryBucket, data: str) -> Object:
    """A container with an object, whose bytes are under a key of this name."""
    bucket.put(keys.container_key("a", BOX.name), packed(BOX))
    key = keys.data_key(BOX.id, data)
    bucket.put(key, b"x")
    written = store.change(Object, keys.object_key(BOX.id, "o"), lambda _: an_object("o", key))
    assert written is not None
    return written


def swept(bucket: MemoryBucket, sweeper: Sweeper) -> None:
    """Time passes, and two looks find what they find."""
    for _ in range(2):
        bucket.now += 2 * AGE_S
        sweeper.sweep(bucket.now)


def test_what_a_failing_write_may_put_back_is_not_swept() -> None:
    """An overwrite whose container cannot be looked at for long leaves the version before whole."""
    store, bucket = memory_store()
    sweeper = Sweeper(store, AGE_S)
    before = placed(store, bucket, "before")
    key = keys.object_key(BOX.id, "o")
    with store.new_data(BOX, "a") as data, store.sparing() as spare:
        spare(before.data)
        bucket.put(data, b"y")
        record = store.change(Object, key, lambda _: an_object("o", data))
        assert record is not None
        place = keys.container_key("a", BOX.name)

        def meanwhile() -> None:
            bucket.before_reading = lambda _: None
            swept(bucket, sweeper)

        with failing(bucket, place, meanwhile), pytest.raises(S3Error):
            settle(store, Written(key, record, before), place, BOX.id)
    left = store.object(BOX, "o")
    assert left is not None
    assert left.data == before.data
    assert bucket.get(before.data)[0] == b"x"


def test_what_is_read_is_not_swept() -> None:
    """Bytes that were replaced stay as long as somebody reads them, however long that takes."""
    store, bucket = memory_store()
    sweeper = Sweeper(store, AGE_S)
    before = placed(store, bucket, "before")
    key = keys.object_key(BOX.id, "o")
    reading = store.leases.begin(key)
    assert store.change(Object, key, lambda _: an_object("o")) is not None
    store.drop_data(key, before.data)
    swept(bucket, sweeper)
    assert before.data in bucket.kept
    reading.end()
    assert before.data not in bucket.kept


@pytest.mark.parametrize("hidden", ["c/", "o/"])
@pytest.mark.parametrize("damaged", [False, True])
def test_what_no_list_has_is_not_swept(hidden: str, *, damaged: bool) -> None:
    """An object stays whole while its container, or its record, is there and is never listed."""
    store, bucket = memory_store()
    place, key = keys.container_key("a", BOX.name), keys.object_key(BOX.id, "o")
    bucket.put(place, packed(BOX))
    with store.new_data(BOX, "o") as data:
        bucket.put(data, b"x")
        record = replace(an_object("o", data), container=place)
        bucket.put(key, packed(record))
    if damaged:
        bucket.put(place if hidden == "c/" else key, b"{")
    bucket.unlisted = hidden
    swept(bucket, Sweeper(store, AGE_S))
    assert {key, data} <= bucket.kept.keys()


def test_what_is_lost_is_swept() -> None:
    """An object of a container that was made anew, and bytes of a PUT that lost its record."""
    store, bucket = memory_store()
    place, key = keys.container_key("a", BOX.name), keys.object_key(BOX.id, "o")
    bucket.put(place, packed(replace(BOX, id="1" * 32)))
    with store.new_data(BOX, "o") as data, store.new_data(BOX, "o") as left:
        bucket.put(data, b"x")
        bucket.put(left, b"y")
        bucket.put(key, packed(replace(an_object("o", data), container=place)))
    swept(bucket, Sweeper(store, AGE_S))
    assert set(bucket.kept) == {place}

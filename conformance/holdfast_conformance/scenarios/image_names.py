"""Stories about keys of objects and uploads that look like something else, or like each other."""

from collections.abc import Iterator
from itertools import pairwise

from holdfast.contract.requests import (
    AbortUpload,
    CopyObject,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    HeadObject,
    OpenObject,
)
from holdfast_conformance.address_steps import FetchAddress, MakeAddress
from holdfast_conformance.model.image_address import LASTING_S
from holdfast_conformance.plan import Step, WalkObjects
from holdfast_conformance.scenarios.image_script import BAD_KEYS, Script
from holdfast_conformance.scenarios.name_classes import groups_of


def object_names(script: Script) -> Iterator[Step]:
    """Objects whose keys look like each other are different objects, whoever looks."""
    for group in groups_of(script.choices):
        for key in group:
            yield script.put(key, 50)
        for key in group[:2]:
            yield from (HeadObject(key=key), OpenObject(key=key), GetObject(key=key))
        yield DeleteObject(key=group[0])
        yield script.put(group[0], 60)  # and listed with the others
    yield WalkObjects(prefix="", delimiter="", limit=script.page(7))
    yield EnumerateOwned()


def upload_names(script: Script) -> Iterator[Step]:
    """Uploads whose keys look like each other are different uploads."""
    for group in groups_of(script.choices):
        starts = [script.start(key, upload=key) for key in dict.fromkeys(group)]
        yield from starts
        for start in reversed(starts):
            yield script.part(start, 1, min(40, script.limits.part_max_bytes))
        # Each is looked at while all are there, and the last when its look-alike has gone.
        yield script.finish(starts[-1], 1, wrong_digest=True)
        yield AbortUpload(upload=group[0])
        yield script.finish(starts[-1], 1)
        for start in starts[1:-1]:
            yield AbortUpload(upload=start.upload)
    yield WalkObjects(prefix="", delimiter="", limit=script.page(7))


def copy_names(script: Script) -> Iterator[Step]:
    """Copies are made of what was named, under the key that was asked for."""
    yield script.put()
    for group in groups_of(script.choices):
        for source, target in pairwise((script.key, *group)):
            yield CopyObject(key=source, target=target)
        yield script.put(group[0], 50)
        yield CopyObject(key=group[0], target=f"{group[0][:40]}-again")
        yield DeleteObject(key=group[0])


def address_names(script: Script) -> Iterator[Step]:
    """An address is one of the object that was named, whatever its key looks like."""
    url = script.declared.url
    expires_s = min(2 * LASTING_S, url.expires_max_s if url else 0.0)
    for group in (*groups_of(script.choices)[::2], ("\u00e9 \u2603",)):
        for key in group[:2]:
            yield script.put(key, 50)
        for key in group[:2]:
            yield MakeAddress(address=f"of {key}", key=key, expires_s=expires_s)
        yield FetchAddress(address=f"of {group[0]}")
        yield DeleteObject(key=group[0])
        for key in group[1:2]:
            yield FetchAddress(address=f"of {key}")


def bad_keys(script: Script) -> Iterator[Step]:
    """Keys that no object can have."""
    for key in BAD_KEYS:
        yield script.put(key, 10)
        yield HeadObject(key=key)


STORIES = (object_names, upload_names, bad_keys)
COPY_STORIES = (copy_names,)
ADDRESS_STORIES = (address_names,)

"""Stories about volumes made from the data behind a handle."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.requests import GetVolume, Open
from holdfast.data import BLOCK_BYTES
from holdfast_conformance.plan import CreateFromData, Step
from holdfast_conformance.scenarios.script import BLOCKS_MAX, Script

_BLOCK = (0, 1)
"""Two writes that must not be seen in each other's place go to the same block."""


def from_data(script: Script) -> Iterator[Step]:
    """A volume made from data holds that data, and then goes its own way."""
    clone = script.declared.clone
    if clone is None or not clone.from_data:
        return
    original = script.create(size_bytes=script.size(2))
    copied = CreateFromData(
        key=script.name(),
        size_bytes=script.size(2 + script.choices.below(2)),
        volume=original.key,
        host=script.host,
    )
    script.sizes[copied.key] = copied.size_bytes
    yield original
    yield script.grant(original.key)
    yield script.write(original.key, at=_BLOCK)
    yield copied
    yield script.write(original.key, at=_BLOCK)
    yield script.grant(copied.key)
    yield script.read(copied.key)
    yield script.write(copied.key)
    yield msgspec.structs.replace(copied, size_bytes=copied.size_bytes + script.unit)
    yield copied
    yield script.read(original.key)
    for steps in (1, 5, 3):
        yield CreateFromData(
            key=script.name(), size_bytes=script.size(steps), volume=original.key, host=script.host
        )
    yield script.revoke(original.key)
    failed = msgspec.structs.replace(copied, key=script.name())
    yield failed  # nothing is granted that could be read from
    yield GetVolume(key=failed.key)
    yield failed


def from_a_part_of_data(script: Script) -> Iterator[Step]:
    """Of the data behind a handle the part that is named, and nothing from a useless handle."""
    if not script.clones_data or not script.writes:
        return
    original = script.create(size_bytes=script.size(4))
    blocks = max(1, min(original.size_bytes // BLOCK_BYTES, BLOCKS_MAX))
    yield from (original, script.grant(original.key), script.write(original.key, at=(0, blocks)))
    part = CreateFromData(
        key=script.name(),
        size_bytes=script.size(4),
        volume=original.key,
        host=script.host,
        length_bytes=max(1, blocks * BLOCK_BYTES - 1 - script.choices.below(5000)),
    )
    script.sizes[part.key] = part.size_bytes
    yield from (part, script.grant(part.key), script.read(part.key))
    yield from (Open(volume=original.key, host=script.host), script.revoke(original.key))
    failed = msgspec.structs.replace(part, key=script.name(), stale=True)
    yield from (failed, GetVolume(key=failed.key))
    yield from (script.grant(original.key), msgspec.structs.replace(failed, stale=False))


STORIES = (from_data, from_a_part_of_data)

"""Stories about grants and about who reads and writes through them."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import AttachHost, DeleteVolume, DetachHost, GetVolume, Open, Revoke
from holdfast_conformance.byte_steps import KeepHandle
from holdfast_conformance.plan import InspectStore, ReadStale, Step
from holdfast_conformance.scenarios.script import STRANGER, Script


def grant_again(script: Script) -> Iterator[Step]:
    """Grants are not counted: two of them, one revoke, no access."""
    volume = script.create()
    grant = script.grant(volume.key)
    yield volume
    yield grant
    yield grant
    yield script.write(volume.key)
    yield grant
    yield script.revoke(volume.key)
    yield Open(volume=volume.key, host=script.host)
    yield ReadStale(volume=volume.key, host=script.host, first=0, count=1)
    yield script.revoke(volume.key)
    yield grant
    yield script.read(volume.key)


def revoked_handle(script: Script) -> Iterator[Step]:
    """A handle dies with its grant."""
    volume = script.create()
    yield volume
    yield script.grant(volume.key)
    yield script.write(volume.key)
    yield Open(volume=volume.key, host=script.host)
    yield script.revoke(volume.key)
    yield ReadStale(volume=volume.key, host=script.host, first=0, count=1)
    yield script.read(volume.key)
    yield Open(volume=volume.key, host=script.host)


def held_by_any_mode(script: Script) -> Iterator[Step]:
    """A host with a grant of whatever mode is not detached, and its volume not deleted."""
    for mode in script.declared.access.modes:
        volume = script.create()
        yield from (volume, script.grant(volume.key, mode=mode))
        yield from (DetachHost(host=script.host), DeleteVolume(key=volume.key))
        yield from (Open(volume=volume.key, host=script.host), script.revoke(volume.key))


def strangers(script: Script) -> Iterator[Step]:
    """Only a granted host reaches a volume."""
    volume, other = script.create(), script.create()
    yield volume
    yield other
    yield Open(volume=volume.key, host=script.host)
    yield script.grant(volume.key)
    yield script.write(volume.key)
    yield Open(volume=other.key, host=script.host)
    yield Open(volume=script.name(), host=script.host)
    yield Open(volume=volume.key, host=script.hosts[-1] if script.several_hosts else STRANGER)
    yield script.read(volume.key)


def unknown_parties(script: Script) -> Iterator[Step]:
    """A grant needs a volume and an attached host; a revoke needs nothing."""
    volume = script.create()
    absent = script.name()
    yield volume
    yield script.grant(volume.key, host=STRANGER)
    yield script.grant(absent)
    yield script.revoke(absent)
    yield script.revoke(volume.key)
    yield script.revoke(volume.key, host=STRANGER)
    yield script.grant(volume.key)
    yield script.revoke(volume.key, host=STRANGER)
    yield script.revoke(absent)
    yield script.read(volume.key)


def two_hosts(script: Script) -> Iterator[Step]:
    """Revoking one of two grants leaves the other."""
    sharing = [mode for mode in script.declared.access.modes if mode is not AccessMode.EXCLUSIVE]
    if not (script.several_hosts and sharing):
        return
    volume = script.create()
    mode = AccessMode.SHARED if AccessMode.SHARED in sharing else AccessMode.READ_ONLY
    first, second = script.choices.shuffled(script.hosts)
    yield volume
    yield script.grant(volume.key, host=first, mode=mode)
    yield script.grant(volume.key, host=second, mode=mode)
    if mode is AccessMode.SHARED:
        yield script.write(volume.key, host=first)
    yield script.read(volume.key, host=second)
    yield script.revoke(volume.key, host=first)
    yield script.read(volume.key, host=second)
    yield Open(volume=volume.key, host=first)
    yield script.revoke(volume.key, host=first)
    yield script.read(volume.key, host=second)


def sent_away_with_a_handle(script: Script) -> Iterator[Step]:
    """What a host kept open dies with its own grant, though another host still has one."""
    sharing = [mode for mode in script.declared.access.modes if mode is not AccessMode.EXCLUSIVE]
    if not (script.several_hosts and sharing):
        return
    volume = script.create()
    mode = AccessMode.SHARED if AccessMode.SHARED in sharing else AccessMode.READ_ONLY
    gone, left = script.choices.shuffled(script.hosts[:2])
    yield volume
    for host in (gone, left):
        yield script.grant(volume.key, host, mode)
        yield KeepHandle(volume=volume.key, host=host, handle=host)
        yield script.read_range(volume.key, host, handle=host)
    yield script.revoke(volume.key, gone)
    yield script.read_range(volume.key, gone, handle=gone)
    if mode is AccessMode.SHARED:
        yield script.write_range(volume.key, gone, handle=gone)
    yield script.read_range(volume.key, left, handle=left)


def exclusive(script: Script) -> Iterator[Step]:
    """An exclusive grant keeps every other host out."""
    if not (script.several_hosts and script.has(AccessMode.EXCLUSIVE)):
        return
    volume = script.create()
    first, second = script.choices.shuffled(script.hosts)
    yield volume
    yield script.grant(volume.key, host=first, mode=AccessMode.EXCLUSIVE)
    yield script.write(volume.key, host=first)
    for mode in script.choices.shuffled(script.declared.access.modes):
        yield script.grant(volume.key, host=second, mode=mode)
    yield script.read(volume.key, host=first)
    yield Open(volume=volume.key, host=second)
    yield script.revoke(volume.key, host=first)
    yield script.grant(volume.key, host=second, mode=AccessMode.EXCLUSIVE)
    yield script.read(volume.key, host=second)


def exclusive_comes_late(script: Script) -> Iterator[Step]:
    """No exclusive grant beside another host's grant."""
    sharing = [mode for mode in script.declared.access.modes if mode is not AccessMode.EXCLUSIVE]
    if not (script.several_hosts and sharing and script.has(AccessMode.EXCLUSIVE)):
        return
    volume = script.create()
    first, second = script.hosts
    yield volume
    mode = AccessMode.SHARED if AccessMode.SHARED in sharing else AccessMode.READ_ONLY
    yield script.grant(volume.key, host=first, mode=mode)
    yield script.grant(volume.key, host=second, mode=AccessMode.EXCLUSIVE)
    # What was refused took nothing from who was there first.
    writes = mode is AccessMode.SHARED
    yield script.write(volume.key, first) if writes else script.read(volume.key, first)
    yield script.grant(volume.key, host=second, mode=script.choices.pick(sharing))
    yield script.read(volume.key, host=second)


def other_mode(script: Script) -> Iterator[Step]:
    """Another mode for the same host is a conflict, and changes nothing."""
    modes = script.declared.access.modes
    if len(modes) < 2:
        return
    first, second = script.choices.shuffled(modes)[:2]
    volume = script.create()
    yield volume
    yield script.grant(volume.key, mode=first)
    yield script.grant(volume.key, mode=second)
    yield script.read(volume.key)
    yield script.revoke(volume.key)
    yield script.grant(volume.key, mode=second)
    yield script.read(volume.key)


def read_only(script: Script) -> Iterator[Step]:
    """Nothing is written through a read-only grant."""
    if not script.has(AccessMode.READ_ONLY):
        return
    key, steps = script.resting()
    yield from steps
    yield script.grant(key, mode=AccessMode.READ_ONLY)
    yield Open(volume=key, host=script.host)
    yield script.write(key)
    yield script.read(key)
    yield script.write(key)


def late_host(script: Script) -> Iterator[Step]:
    """A host that comes later gains access, and one with grants cannot go."""
    late = script.third_host
    volume = script.create()
    yield volume
    if late is None:
        yield AttachHost(host=script.host)
        yield script.grant(volume.key)
        yield DetachHost(host=script.host)
        yield script.revoke(volume.key)
        yield DetachHost(host=script.host)
        yield script.grant(volume.key)
        yield AttachHost(host=script.host)
        yield script.grant(volume.key)
        yield script.read(volume.key)
        return
    yield script.grant(volume.key, host=late)
    yield AttachHost(host=late)
    yield script.grant(volume.key, host=late)
    yield script.write(volume.key, host=late)
    yield script.read(volume.key, host=late)
    yield DetachHost(host=late)
    yield InspectStore()
    yield script.revoke(volume.key, host=late)
    yield DetachHost(host=late)
    yield script.grant(volume.key, host=late)
    yield GetVolume(key=volume.key)


def secrets(script: Script) -> Iterator[Step]:
    """A host's credential is shown nowhere, least of all in a refusal."""
    volume = script.create()
    grant = msgspec.structs.replace(script.grant(volume.key), secret="chap")  # noqa: S106 - a placeholder
    yield volume
    yield grant
    yield grant
    yield Open(volume=volume.key, host=script.host)
    yield msgspec.structs.replace(grant, host=STRANGER)
    yield msgspec.structs.replace(grant, volume=script.name())
    if script.several_hosts and script.has(AccessMode.EXCLUSIVE):
        yield msgspec.structs.replace(grant, host=script.hosts[1], mode=AccessMode.EXCLUSIVE)
    for mode in script.declared.access.modes:
        if mode is not grant.mode:
            yield msgspec.structs.replace(grant, mode=mode)
    yield Revoke(volume=volume.key, host=script.host)
    yield grant
    yield script.read(volume.key)


def readers_beside_each_other(script: Script) -> Iterator[Step]:
    """Of several hosts that read, one that is sent away leaves the others where they are."""
    mode = AccessMode.READ_ONLY if script.has(AccessMode.READ_ONLY) else AccessMode.SHARED
    if not script.several_hosts or not script.has(mode):
        return
    volume = script.create()
    first, second = script.hosts[:2]
    yield volume
    if mode is AccessMode.READ_ONLY and script.mode is not AccessMode.READ_ONLY:
        yield script.grant(volume.key)
        yield script.write(volume.key)
        yield script.revoke(volume.key)
    for host in (first, second):
        yield script.grant(volume.key, host, mode)
    yield DeleteVolume(key=volume.key)
    for gone, left in ((first, second), (second, first)):
        yield script.revoke(volume.key, gone)
        yield script.read(volume.key, left)
        yield script.grant(volume.key, gone, mode)
    yield script.read(volume.key, first)


STORIES = (
    readers_beside_each_other,
    sent_away_with_a_handle,
    grant_again,
    revoked_handle,
    held_by_any_mode,
    strangers,
    unknown_parties,
    two_hosts,
    exclusive,
    exclusive_comes_late,
    other_mode,
    read_only,
    late_host,
    secrets,
)

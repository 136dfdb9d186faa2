"""Stories about grants and about who reads and writes through them."""

from collections.abc import Iterator

import msgspec

from holdfast.capabilities import AccessMode
from holdfast.requests import AttachHost, CreateVolume, DetachHost, GetVolume, Open, Revoke
from holdfast_conformance.plan import InspectStore, ReadStale, Step
from holdfast_conformance.scenarios.script import STRANGER, Script


def grant_again(script: Script) -> Iterator[Step]:
    """Grants are not counted: two of them, one revoke, no access."""
    made = script.create()
    granted = script.grant(made.key)
    yield made
    yield granted
    yield granted
    yield script.write(made.key)
    yield granted
    yield script.revoke(made.key)
    yield Open(volume=made.key, host=script.host)
    yield ReadStale(volume=made.key, host=script.host, first=0, count=1)
    yield script.revoke(made.key)
    yield granted
    yield script.read(made.key)


def revoked_handle(script: Script) -> Iterator[Step]:
    """A handle dies with its grant."""
    made = script.create()
    yield made
    yield script.grant(made.key)
    yield script.write(made.key)
    yield Open(volume=made.key, host=script.host)
    yield script.revoke(made.key)
    yield ReadStale(volume=made.key, host=script.host, first=0, count=1)
    yield script.read(made.key)
    yield Open(volume=made.key, host=script.host)


def strangers(script: Script) -> Iterator[Step]:
    """Only a granted host reaches a volume."""
    made, other = script.create(), script.create()
    yield made
    yield other
    yield Open(volume=made.key, host=script.host)
    yield script.grant(made.key)
    yield script.write(made.key)
    yield Open(volume=other.key, host=script.host)
    yield Open(volume=script.name(), host=script.host)
    yield Open(volume=made.key, host=script.hosts[-1] if script.several_hosts else STRANGER)
    yield script.read(made.key)


def unknown_parties(script: Script) -> Iterator[Step]:
    """A grant needs a volume and an attached host; a revoke needs nothing."""
    made = script.create()
    absent = script.name()
    yield made
    yield script.grant(made.key, host=STRANGER)
    yield script.grant(absent)
    yield script.revoke(absent)
    yield script.revoke(made.key)
    yield script.revoke(made.key, host=STRANGER)
    yield script.grant(made.key)
    yield script.revoke(made.key, host=STRANGER)
    yield script.revoke(absent)
    yield script.read(made.key)


def two_hosts(script: Script) -> Iterator[Step]:
    """Revoking one of two grants leaves the other."""
    sharing = [mode for mode in script.declared.access.modes if mode is not AccessMode.EXCLUSIVE]
    if not (script.several_hosts and sharing):
        return
    made = script.create()
    mode = AccessMode.SHARED if AccessMode.SHARED in sharing else AccessMode.READ_ONLY
    first, second = script.choices.shuffled(script.hosts)
    yield made
    yield script.grant(made.key, host=first, mode=mode)
    yield script.grant(made.key, host=second, mode=mode)
    if mode is AccessMode.SHARED:
        yield script.write(made.key, host=first)
    yield script.read(made.key, host=second)
    yield script.revoke(made.key, host=first)
    yield script.read(made.key, host=second)
    yield Open(volume=made.key, host=first)
    yield script.revoke(made.key, host=first)
    yield script.read(made.key, host=second)


def exclusive(script: Script) -> Iterator[Step]:
    """An exclusive grant keeps every other host out."""
    if not (script.several_hosts and script.has(AccessMode.EXCLUSIVE)):
        return
    made = script.create()
    first, second = script.choices.shuffled(script.hosts)
    yield made
    yield script.grant(made.key, host=first, mode=AccessMode.EXCLUSIVE)
    yield script.write(made.key, host=first)
    for mode in script.choices.shuffled(script.declared.access.modes):
        yield script.grant(made.key, host=second, mode=mode)
    yield script.read(made.key, host=first)
    yield Open(volume=made.key, host=second)
    yield script.revoke(made.key, host=first)
    yield script.grant(made.key, host=second, mode=AccessMode.EXCLUSIVE)
    yield script.read(made.key, host=second)


def exclusive_comes_late(script: Script) -> Iterator[Step]:
    """No exclusive grant beside another host's grant."""
    sharing = [mode for mode in script.declared.access.modes if mode is not AccessMode.EXCLUSIVE]
    if not (script.several_hosts and sharing and script.has(AccessMode.EXCLUSIVE)):
        return
    made = script.create()
    first, second = script.hosts
    yield made
    yield script.grant(made.key, host=first, mode=script.choices.pick(sharing))
    yield script.grant(made.key, host=second, mode=AccessMode.EXCLUSIVE)
    yield script.read(made.key, host=first)
    yield script.grant(made.key, host=second, mode=script.choices.pick(sharing))
    yield script.read(made.key, host=second)


def other_mode(script: Script) -> Iterator[Step]:
    """Another mode for the same host is a conflict, and changes nothing."""
    modes = script.declared.access.modes
    if len(modes) < 2:
        return
    first, second = script.choices.shuffled(modes)[:2]
    made = script.create()
    yield made
    yield script.grant(made.key, mode=first)
    yield script.grant(made.key, mode=second)
    yield script.read(made.key)
    yield script.revoke(made.key)
    yield script.grant(made.key, mode=second)
    yield script.read(made.key)


def read_only(script: Script) -> Iterator[Step]:
    """Nothing is written through a read-only grant."""
    if not script.has(AccessMode.READ_ONLY):
        return
    steps = tuple(script.rest())
    key = next(step.key for step in steps if isinstance(step, CreateVolume))
    yield from steps
    yield script.grant(key, mode=AccessMode.READ_ONLY)
    yield Open(volume=key, host=script.host)
    yield script.write(key)
    yield script.read(key)
    yield script.write(key)


def late_host(script: Script) -> Iterator[Step]:
    """A host that comes later gains access, and one with grants cannot go."""
    late = script.third_host
    made = script.create()
    yield made
    if late is None:
        yield AttachHost(host=script.host)
        yield script.grant(made.key)
        yield DetachHost(host=script.host)
        yield script.revoke(made.key)
        yield DetachHost(host=script.host)
        yield script.grant(made.key)
        yield AttachHost(host=script.host)
        yield script.grant(made.key)
        yield script.read(made.key)
        return
    yield script.grant(made.key, host=late)
    yield AttachHost(host=late)
    yield script.grant(made.key, host=late)
    yield script.write(made.key, host=late)
    yield script.read(made.key, host=late)
    yield DetachHost(host=late)
    yield InspectStore()
    yield script.revoke(made.key, host=late)
    yield DetachHost(host=late)
    yield script.grant(made.key, host=late)
    yield GetVolume(key=made.key)


def secrets(script: Script) -> Iterator[Step]:
    """A host's credential is shown nowhere, least of all in a refusal."""
    made = script.create()
    granted = msgspec.structs.replace(script.grant(made.key), secret="chap")  # noqa: S106 - a placeholder
    yield made
    yield granted
    yield granted
    yield Open(volume=made.key, host=script.host)
    yield msgspec.structs.replace(granted, host=STRANGER)
    yield msgspec.structs.replace(granted, volume=script.name())
    if script.several_hosts and script.has(AccessMode.EXCLUSIVE):
        yield msgspec.structs.replace(granted, host=script.hosts[1], mode=AccessMode.EXCLUSIVE)
    for mode in script.declared.access.modes:
        if mode is not granted.mode:
            yield msgspec.structs.replace(granted, mode=mode)
    yield Revoke(volume=made.key, host=script.host)
    yield granted
    yield script.read(made.key)


STORIES = (
    grant_again,
    revoked_handle,
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

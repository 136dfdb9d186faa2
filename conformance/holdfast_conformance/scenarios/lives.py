"""Stories about the life of a primary store: initialize, attach, detach, give back."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.requests import (
    AttachHost,
    CancelMaintenance,
    CheckHealth,
    DeleteStore,
    DeleteVolume,
    DetachHost,
    GetVolume,
    InitializeStore,
    MaintainStore,
)
from holdfast_conformance.plan import Adopt, InitializeBad, InspectStore, Reopen, Step, UseDriver
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.ranges import ends
from holdfast_conformance.scenarios.script import ALL_HOSTS, STRANGER, Script


def times(script: Script, step: Step) -> Iterator[Step]:
    """The step two to four times."""
    for _ in range(2 + script.choices.below(3)):
        yield step


def initialize(script: Script) -> Iterator[Step]:
    """A place becomes one store, once, under one name."""
    name, other = script.name(), script.name()
    yield InspectStore()
    yield InitializeStore(name=name)
    yield InitializeStore(name=name)
    yield InitializeStore(name=other)
    yield InspectStore()
    yield AttachHost(host=script.host)
    yield InitializeStore(name=name)
    yield InspectStore()
    yield InitializeStore(name=name.swapcase())
    yield DetachHost(host=script.host)
    yield DeleteStore()
    yield DeleteStore()
    yield InspectStore()
    yield InitializeStore(name=other)


def identity(script: Script) -> Iterator[Step]:
    """A place keeps the identity it was given, and is no other store of the same name."""
    yield from identity_kept(script.choices, script.name())


def identity_kept(choices: Choices, name: str) -> Iterator[Step]:
    """The same for a store of either role."""
    own, other = (f"{choices.below(1 << 16):04x}{choices.below(1 << 16):04x}-{n}" for n in "ab")
    first = InitializeStore(name=name, identity=own)
    yield first
    yield InspectStore()
    yield first
    yield InitializeStore(name=name, identity=other)
    yield MaintainStore()
    yield InitializeStore(name=name, identity=own[:-1])
    yield CancelMaintenance()
    yield Reopen()
    yield InspectStore()
    yield InitializeStore(name=name)
    yield DeleteStore()
    yield InitializeStore(name=name, identity=other)
    yield InspectStore()


def expected_store(script: Script) -> Iterator[Step]:
    """A driver that was opened for one store is not used on the one that took its place."""
    volume = script.create()
    look, gone = GetVolume(key=volume.key), DeleteVolume(key=volume.key)
    first = (InitializeStore(name=script.name()), AttachHost(host=script.host))
    yield from expecting(script.choices, first, (volume, look), volume, (gone, script.create()))


def expecting(
    choices: Choices,
    first: tuple[InitializeStore, AttachHost],
    seen: tuple[Step, Step],
    again: Step,
    changed: tuple[Step, Step],
) -> Iterator[Step]:
    """The same for a store of either role.

    Args:
        choices: where decisions come from.
        first: what makes the store.
        seen: makes something in it, and looks at that.
        again: makes the same in the store that comes after it.
        changed: ends it, and makes more.
    """
    own, other = (f"{choices.below(1 << 16):04x}{choices.below(1 << 16):04x}-{n}" for n in "ab")
    (initialize, attach), (made, look), (gone, more) = first, seen, changed
    detach = DetachHost(host=attach.host)
    yield from (msgspec.structs.replace(initialize, identity=own), attach)
    yield from (Reopen(identity=own, name=initialize.name), made, look)
    yield from (UseDriver(number=1), gone, detach, DeleteStore())
    yield from (UseDriver(number=0), look)
    yield UseDriver(number=1)
    yield from (msgspec.structs.replace(initialize, identity=other), attach, again)
    yield UseDriver(number=0)
    yield from choices.shuffled((gone, look, more, MaintainStore(), detach, CheckHealth()))
    yield Reopen(identity=own, name=initialize.name)
    yield from (UseDriver(number=1), look, Reopen(identity=other), gone)


def initialized_over(script: Script) -> Iterator[Step]:
    """A store that is initialized again, or given its identity later, keeps all that is in it."""
    first = InitializeStore(name=script.name())
    volume = script.create(size_bytes=script.far_size())
    yield from (first, AttachHost(host=script.host), volume, script.grant(volume.key))
    yield script.write_ranges(volume.key, ends(volume.size_bytes))
    if script.snapshots:
        yield script.snapshot(volume.key)
    yield from over(script.choices, first)
    yield script.read_range(volume.key, at=ends(volume.size_bytes)[1])


def over(choices: Choices, first: InitializeStore) -> Iterator[Step]:
    """The same for a store of either role."""
    own = f"{choices.below(1 << 16):04x}{choices.below(1 << 16):04x}-late"
    yield from (first, MaintainStore(), Adopt(identity=own), InspectStore())
    yield from (Adopt(identity=own), CancelMaintenance(), first, InspectStore())


def initialize_bad(script: Script) -> Iterator[Step]:
    """A place that cannot be used is refused and left as it was."""
    yield InitializeBad()
    yield InspectStore()
    yield InitializeStore(name=script.name())
    yield InitializeBad()
    yield InspectStore()
    yield DeleteStore()
    yield InitializeBad()


def attach_and_detach(script: Script) -> Iterator[Step]:
    """The attached hosts are exactly those that were attached."""
    yield InitializeStore(name=script.name())
    hosts = script.choices.shuffled(ALL_HOSTS)
    limit = script.declared.access.hosts_max
    for host in hosts[: limit or len(hosts)]:
        yield AttachHost(host=host)
    yield AttachHost(host=hosts[0])
    yield InspectStore()
    if limit is not None and limit < len(hosts):
        yield AttachHost(host=hosts[limit])
    yield DetachHost(host=hosts[0])
    yield DetachHost(host=hosts[0])
    yield DetachHost(host=STRANGER)
    yield InspectStore()
    yield AttachHost(host=hosts[0])
    yield InspectStore()


def repeated_life(script: Script) -> Iterator[Step]:
    """Every step of a store's life again and again is that step once."""
    yield from times(script, InitializeStore(name=script.name()))
    yield from times(script, AttachHost(host=script.host))
    yield from times(script, MaintainStore())
    yield from times(script, CancelMaintenance())
    yield from times(script, DetachHost(host=script.host))
    yield from times(script, DeleteStore())


STORIES = (
    initialize,
    identity,
    expected_store,
    initialized_over,
    initialize_bad,
    attach_and_detach,
    repeated_life,
)
"""These begin in a place that is no store yet."""

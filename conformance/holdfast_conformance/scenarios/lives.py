"""Stories about the life of a primary store: initialize, attach, detach, give back."""

from collections.abc import Iterator

from holdfast.requests import (
    AttachHost,
    CancelMaintenance,
    DeleteStore,
    DetachHost,
    InitializeStore,
    MaintainStore,
)
from holdfast_conformance.plan import InitializeBad, InspectStore, Step
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


def initialize_bad(script: Script) -> Iterator[Step]:
    """A place that cannot be used is refused and left as it was."""
    yield InitializeBad()
    yield InspectStore()
    yield InitializeStore(name=script.name())
    yield InitializeBad()
    yield InspectStore()


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


STORIES = (initialize, initialize_bad, attach_and_detach, repeated_life)
"""These begin in a place that is no store yet."""

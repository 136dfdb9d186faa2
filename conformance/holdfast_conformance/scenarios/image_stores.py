"""Stories about the life of an image store: initialize, attach, maintain, give back; outages."""

from collections.abc import Iterator

from holdfast.requests import (
    AbortUpload,
    AttachHost,
    CancelMaintenance,
    CheckHealth,
    DeleteObject,
    DeleteStore,
    DetachHost,
    EnumerateOwned,
    GetObject,
    GetStats,
    HeadObject,
    InitializeStore,
    ListObjects,
    MaintainStore,
    OpenObject,
)
from holdfast.testbed import Fault
from holdfast_conformance.plan import (
    HealFault,
    InitializeBad,
    InjectFault,
    InspectStore,
    Step,
)
from holdfast_conformance.scenarios.image_script import HOST, Script

_HOSTS = (HOST, "host-b", "host-c")
_STRANGER = "host-unknown"
_NAME, _OTHER = "images", "Images"


def initialize(_: Script) -> Iterator[Step]:
    """A place becomes one store, once, under one name."""
    yield InspectStore()
    yield InitializeStore(name=_NAME)
    yield InitializeStore(name=_NAME)
    yield InitializeStore(name=_OTHER)
    yield InspectStore()
    yield DeleteStore()
    yield DeleteStore()
    yield InspectStore()
    yield InitializeStore(name=_OTHER)


def initialize_bad(_: Script) -> Iterator[Step]:
    """A place that cannot be used is refused and left as it was."""
    yield InitializeBad()
    yield InspectStore()
    yield InitializeStore(name=_NAME)
    yield InitializeBad()
    yield InspectStore()


def attach_and_detach(script: Script) -> Iterator[Step]:
    """The attached hosts are exactly those that were attached."""
    yield InitializeStore(name=_NAME)
    hosts = script.choices.shuffled(_HOSTS)
    for host in hosts:
        yield AttachHost(host=host)
    yield AttachHost(host=hosts[0])
    yield InspectStore()
    yield DetachHost(host=hosts[0])
    yield DetachHost(host=hosts[0])
    yield DetachHost(host=_STRANGER)
    yield InspectStore()


def repeated_life(_: Script) -> Iterator[Step]:
    """Every step of a store's life again is that step once."""
    life = (
        InitializeStore(name=_NAME),
        AttachHost(host=HOST),
        MaintainStore(),
        CancelMaintenance(),
        DetachHost(host=HOST),
        DeleteStore(),
    )
    for step in life:
        yield from (step, step, step)


def maintenance(script: Script) -> Iterator[Step]:
    """In maintenance nothing new is let in, and what is there is read; then all is as before."""
    yield script.put()
    yield MaintainStore()
    yield InspectStore()
    yield script.start("new")
    yield script.put("new", 10)
    yield GetObject(key=script.key)
    yield CancelMaintenance()
    yield InspectStore()
    yield script.put("new", 10)
    yield GetObject(key=script.key)


def delete_store(script: Script) -> Iterator[Step]:
    """A store with objects or open uploads is not given back, and stays whole."""
    start = script.start("open")
    yield script.put()
    yield DeleteStore()
    yield InspectStore()
    yield GetObject(key=script.key)
    yield start
    yield script.part(start, 1)
    yield DetachHost(host=HOST)
    yield DeleteObject(key=script.key)
    yield DeleteStore()
    yield AbortUpload(upload=start.upload)
    yield DeleteStore()
    yield DeleteStore()
    yield InspectStore()


def outage(script: Script) -> Iterator[Step]:
    """While the backend is down every verb says so and does nothing; then all is as before."""
    start = script.start("beside")
    yield script.put()
    yield start
    yield InjectFault(fault=Fault.DOWN)
    yield CheckHealth()
    tried: list[Step] = [
        script.start("new"),
        script.part(start, 1),
        script.finish(start),
        script.put("another"),
        AbortUpload(upload="never"),
        GetObject(key=script.key),
        HeadObject(key=script.key),
        OpenObject(key=script.key),
        DeleteObject(key="never"),
        ListObjects(limit=script.page()),
        GetStats(),
        EnumerateOwned(),
    ]
    yield from script.choices.shuffled(tried)[:6]
    yield CheckHealth()
    yield HealFault()
    yield CheckHealth()
    yield GetObject(key=script.key)


def healthy(_: Script) -> Iterator[Step]:
    """A store that works says so, before an outage and after it."""
    yield CheckHealth()
    yield InjectFault(fault=Fault.DOWN)
    yield CheckHealth()
    yield HealFault()
    yield CheckHealth()


FRESH_STORIES = (initialize, initialize_bad, attach_and_detach, repeated_life)
"""These begin in a place that is no store yet."""

STORIES = (maintenance, delete_store, outage, healthy)

"""Stories about the life of an image store: initialize, attach, maintain, give back; outages."""

from collections.abc import Iterator

from holdfast.contract.requests import (
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
from holdfast.contract.testbed import Fault
from holdfast_conformance.plan import (
    HealFault,
    InitializeBad,
    InjectFault,
    InspectStore,
    PutObject,
    Step,
)
from holdfast_conformance.scenarios.image_script import HOST, Script
from holdfast_conformance.scenarios.lives import expecting, identity_kept, over

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


def identity(script: Script) -> Iterator[Step]:
    """A place keeps the identity it was given, and is no other store of the same name."""
    yield from identity_kept(script.choices, _NAME)


def expected_store(script: Script) -> Iterator[Step]:
    """A driver that was opened for one store is not used on the one that took its place."""
    look, gone = GetObject(key=script.key), DeleteObject(key=script.key)
    first = (InitializeStore(name=_NAME), AttachHost(host=HOST))
    changed = (gone, script.start("more"))
    yield from expecting(script.choices, first, (script.put(), look), script.put(), changed)


def initialized_over(script: Script) -> Iterator[Step]:
    """A store that is initialized again, or given its identity later, keeps all that is in it."""
    first, start = InitializeStore(name=_NAME), script.start("open")
    yield from (first, AttachHost(host=HOST), script.put(), start, script.part(start, 1))
    yield from over(script.choices, first)
    yield from (script.finish(start, 1), GetObject(key="open"), GetObject(key=script.key))


def initialize_bad(_: Script) -> Iterator[Step]:
    """A place that cannot be used is refused and left as it was."""
    yield InitializeBad()
    yield InspectStore()
    yield InitializeStore(name=_NAME)
    yield InitializeBad()
    yield InspectStore()
    yield DeleteStore()
    yield InitializeBad()


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
    for step in (AttachHost, DetachHost, AttachHost):
        yield step(host=HOST)
    yield InspectStore()
    yield script.start("new")
    yield script.put("new", 10)
    yield GetObject(key=script.key)
    yield from (CheckHealth(), DeleteStore(), script.put("new", 10))
    yield DeleteObject(key=script.key)
    yield CancelMaintenance()
    yield InspectStore()
    yield script.put("new", 10)
    yield from (GetObject(key=script.key), script.put(), GetObject(key=script.key))


def delete_store(script: Script) -> Iterator[Step]:
    """A store with objects or open uploads is not given back, and stays whole."""
    start = script.start("open")
    yield script.put()
    yield DeleteStore()
    yield InspectStore()
    yield GetObject(key=script.key)
    yield from (start, DetachHost(host=HOST), DeleteObject(key=script.key))
    yield from (DeleteStore(), script.part(start, 1), DeleteStore())
    yield AbortUpload(upload=start.upload)
    yield DeleteStore()
    yield DeleteStore()
    yield InspectStore()


def outage(script: Script) -> Iterator[Step]:
    """While the backend is down every verb says so and does nothing; then all is as before, and
    what failed succeeds.
    """
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
    failed = script.choices.shuffled(tried)
    yield from failed
    yield CheckHealth()
    yield HealFault()
    yield CheckHealth()
    yield GetObject(key=script.key)
    # An upload key is for one object only, ever.
    yield from (step for step in failed if not isinstance(step, PutObject))
    yield script.part(start, 1)


def healthy(_: Script) -> Iterator[Step]:
    """A store that works says so, before an outage and after it."""
    yield CheckHealth()
    yield InjectFault(fault=Fault.DOWN)
    yield CheckHealth()
    yield HealFault()
    yield CheckHealth()


FRESH_STORIES = (
    initialize,
    identity,
    expected_store,
    initialized_over,
    initialize_bad,
    attach_and_detach,
    repeated_life,
)
"""These begin in a place that is no store yet."""

STORIES = (maintenance, delete_store, outage, healthy)

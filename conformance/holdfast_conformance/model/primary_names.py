"""The names in a step on a primary store: those that are none, odd, or like others that live."""

from collections.abc import Iterable, Iterator

from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    CopyVolume,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    GetSnapshot,
    GetVolume,
    Grant,
    ModifyVolume,
    Open,
    Request,
    ResizeVolume,
    RevertVolume,
    Revoke,
    SnapshotSource,
    VolumeSource,
)
from holdfast_conformance.byte_steps import KeepHandle
from holdfast_conformance.model.look_alikes import has_look_alike
from holdfast_conformance.model.primary_state import (
    PrimaryState,
    good_key,
    plain_key,
)
from holdfast_conformance.plan import CreateFromData, Step, subject_of

_NAMING: dict[type, tuple[str, ...]] = {
    CreateVolume: ("key",),
    CreateFromData: ("key", "volume", "host"),
    GetVolume: ("key",),
    DeleteVolume: ("key",),
    ResizeVolume: ("key",),
    ModifyVolume: ("key",),
    RevertVolume: ("key", "snapshot"),
    CopyVolume: ("key", "target"),
    CreateSnapshot: ("key", "volume"),
    GetSnapshot: ("key",),
    DeleteSnapshot: ("key",),
    Grant: ("volume", "host"),
    Revoke: ("volume", "host"),
    Open: ("volume", "host"),
}
"""The fields of each request that name something."""
_OF_SNAPSHOTS = (CreateSnapshot, GetSnapshot, DeleteSnapshot)


def name_errors(step: Step) -> tuple[ErrorKind, ...]:
    """The errors of a step with a name that nothing can have; none where all are names."""
    subject = subject_of(step)
    names = (getattr(subject, field) for field in _fields(subject))
    return () if all(map(good_key, names)) else (ErrorKind.INVALID,)


def names_hostile(state: PrimaryState, step: Step) -> bool:
    """Whether a store may refuse the step for one of its names.

    What names a handle that was never kept is opened anew, by the names that it has.
    """
    names = [name for _, name in _names(step)]
    if getattr(step, "handle", "") not in ("", *state.handles):
        names += [getattr(step, field) for field in ("volume", "host")]
    return not all(map(plain_key, names))


def names_look_alike(state: PrimaryState, step: Step) -> bool:
    """Whether something else of the same kind lives whose name looks like one in the step."""
    return any(has_look_alike(name, _living(state, step, field)) for field, name in _names(step))


def _names(step: Step) -> Iterator[tuple[str, str]]:
    """The names in a step, with the fields that hold them."""
    subject = subject_of(step)
    for field in _fields(subject):
        yield field, getattr(subject, field)
    match getattr(subject, "source", None):
        case SnapshotSource(key):
            yield "snapshot", key
        case VolumeSource(key):
            yield "volume", key
        case _:
            return


def _fields(step: Request) -> tuple[str, ...]:
    """The fields that name something; what goes through a handle names its volume and host."""
    if getattr(step, "handle", "") and not isinstance(step, KeepHandle):
        return ()  # The volume is that of the handle; this name is but a part of the stamp.
    through_a_handle = hasattr(step, "volume") and hasattr(step, "host")
    return _NAMING.get(type(step), ("volume", "host") if through_a_handle else ())


def _living(state: PrimaryState, step: Step, field: str) -> Iterable[str]:
    """What lives of the kind that a field names."""
    if field == "host":
        return state.store.hosts
    snapshots = field == "snapshot" or (
        field == "key" and isinstance(subject_of(step), _OF_SNAPSHOTS)
    )
    return state.snapshots if snapshots else state.volumes

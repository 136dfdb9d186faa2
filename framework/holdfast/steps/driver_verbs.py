"""Steps that are one driver call: a verb of a primary store or of an image store.

The request is the plan's data; an optional second request undoes it.
"""

from typing import Any

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import Absent, Answer, Partial, Undetermined
from holdfast.contract.ports import Driver
from holdfast.contract.requests import ImageRequest, PrimaryRequest, Request, verb_of
from holdfast.model import rows
from holdfast.operations.step_kind import Estimate, Happened, RowChange, StepContext, StepKind
from holdfast.steps.host_data_path import begin_data_path, end_data_path


class VerbInputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``row`` is the id of the row that the answer describes, where there is one.

    ``moved_bytes`` is what the backend itself will copy at most; it stretches the deadline.
    """

    store: str
    row: str = ""
    moved_bytes: int = 0


class PrimaryInputs(VerbInputs, frozen=True, kw_only=True):
    """A call of a primary store's driver."""

    request: PrimaryRequest
    undo: PrimaryRequest | None = None


class ImageInputs(VerbInputs, frozen=True, kw_only=True):
    """A call of an image store's driver."""

    request: ImageRequest
    undo: ImageRequest | None = None


class _Verb(StepKind[Any, Any]):
    """A step that is one call of one verb."""

    result = Answer

    def __init__(self, role: requests.Role, request: type[Request]) -> None:
        self.role = role
        self.verb = str(request.__struct_config__.tag)
        self.kind = f"{role}.{self.verb}"
        self.inputs = PrimaryInputs if role is requests.Role.PRIMARY else ImageInputs

    async def _driver(self, step: StepContext, store: str) -> Driver:
        if self.role is requests.Role.PRIMARY:
            return await step.stores.primary(store)
        return await step.stores.image(store)

    async def _asked(self, step: StepContext, inputs: Any) -> Any:
        """The request as the driver gets it: a plan has no secrets, and a grant needs one."""
        request = inputs.request
        if not isinstance(request, requests.Grant) or request.secret:
            return request
        secret = await step.stores.credential(inputs.store, request.host)
        return msgspec.structs.replace(request, secret=secret)

    async def perform(self, step: StepContext, inputs: Any) -> Any:
        return await self._call(step, inputs.store, await self._asked(step, inputs))

    async def _call(self, step: StepContext, store: str, request: Request) -> Any:
        """One call; before a grant ends, the host's data path does."""
        driver = await self._driver(step, store)
        await end_data_path(request)
        return await getattr(driver, verb_of(request))(step.call(), request)

    async def conclude(self, step: StepContext, inputs: Any) -> None:
        await begin_data_path(await self._asked(step, inputs))

    async def probe(
        self, step: StepContext, inputs: Any
    ) -> Happened[Any] | Absent | Partial | Undetermined:
        driver = await self._driver(step, inputs.store)
        request = await self._asked(step, inputs)
        answer = await driver.probe(step.call(), self.verb, request)
        return Happened(answer.answer) if isinstance(answer, answers.Done) else answer

    def undoes(self, inputs: Any) -> bool:
        return inputs.undo is not None

    def lingers(self, inputs: Any) -> bool:
        return inputs.undo is None

    async def compensate(self, step: StepContext, inputs: Any) -> None:
        await self._call(step, inputs.store, inputs.undo)

    def effects(self, inputs: Any, result: Any) -> tuple[RowChange, ...]:
        if not inputs.row:
            return ()
        match result:
            case answers.VolumeInfo(id=driver_id, size_bytes=size):
                fields = {"driver_id": driver_id, "size_bytes": size}
                return (RowChange(rows.Volume, inputs.row, fields),)
            case answers.SnapshotInfo(id=driver_id, size_bytes=size):
                fields = {"driver_id": driver_id, "size_bytes": size}
                return (RowChange(rows.Snapshot, inputs.row, fields),)
            case answers.GrantInfo(id=driver_id):
                return (RowChange(rows.VolumeGrant, inputs.row, {"driver_id": driver_id}),)
            case _:
                return ()

    def describe(self, inputs: Any) -> str:
        request = inputs.request
        name = next(
            (
                f" {getattr(request, field)}"
                for field in ("key", "volume", "upload")
                if hasattr(request, field)
            ),
            "",
        )
        host = f" for host {request.host}" if hasattr(request, "host") else ""
        return f"{self.verb}{name}{host} in store {inputs.store}"

    def estimate(self, inputs: Any) -> Estimate:
        return Estimate(moved_bytes=inputs.moved_bytes)


_PRIMARY: tuple[type[Request], ...] = (
    requests.CreateVolume,
    requests.DeleteVolume,
    requests.ResizeVolume,
    requests.ModifyVolume,
    requests.RevertVolume,
    requests.CopyVolume,
    requests.CreateSnapshot,
    requests.DeleteSnapshot,
    requests.Grant,
    requests.Revoke,
)
_IMAGE: tuple[type[Request], ...] = (
    requests.AbortUpload,
    requests.DeleteObject,
    requests.CopyObject,
)


def verb_kinds() -> list[StepKind[Any, Any]]:
    """One kind of step for each verb that changes something."""
    kinds: list[StepKind[Any, Any]] = [
        _Verb(requests.Role.PRIMARY, request) for request in _PRIMARY
    ]
    kinds += [_Verb(requests.Role.IMAGE, request) for request in _IMAGE]
    return kinds

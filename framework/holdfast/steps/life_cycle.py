"""Steps of a store's life: initialize, attach, rest, give back, and learn what it can do."""

from typing import Any

import msgspec

from holdfast.contract import requests
from holdfast.contract.answers import Absent, Gone, Partial, StoreInfo, StoreState, Undetermined
from holdfast.contract.errors import NotFound
from holdfast.contract.requests import GetStats, LifeCycleRequest, Request, Role, verb_of
from holdfast.model import rows
from holdfast.operations.step_kind import Happened, RowChange, StepContext, StepKind


class LifeCycleInputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call of a store's life cycle, and the call that undoes it."""

    store: str
    request: LifeCycleRequest
    undo: LifeCycleRequest | None = None


class LifeCycleVerb(StepKind[LifeCycleInputs, Any]):
    """A step that is one call of the life cycle; each is idempotent under its target state."""

    inputs = LifeCycleInputs
    result = StoreInfo | Gone

    def __init__(self, request: type[Request]) -> None:
        self.verb = str(request.__struct_config__.tag)
        self.kind = f"life_cycle.{self.verb}"

    async def perform(self, step: StepContext, inputs: LifeCycleInputs) -> Any:
        return await self._call(step, inputs.store, inputs.request)

    async def _call(self, step: StepContext, store: str, request: LifeCycleRequest) -> Any:
        life_cycle = await step.stores.life_cycle(store)
        return await getattr(life_cycle, verb_of(request))(step.call(), request)

    async def conclude(self, step: StepContext, inputs: LifeCycleInputs) -> None:
        if isinstance(inputs.request, requests.DeleteStore):
            await step.stores.forget(inputs.store)

    async def probe(
        self, step: StepContext, inputs: LifeCycleInputs
    ) -> Happened[Any] | Absent | Partial | Undetermined:
        life_cycle = await step.stores.life_cycle(inputs.store)
        try:
            found = await life_cycle.get(step.call())
        except NotFound:
            if not isinstance(inputs.request, requests.DeleteStore):
                return Absent()
            # Once more: the call that was lost may have left remains, or not made it durable.
            return Happened(await self._call(step, inputs.store, inputs.request))
        return Happened(found) if _is_as_asked(inputs.request, found) else Absent()

    def undoes(self, inputs: LifeCycleInputs) -> bool:
        return inputs.undo is not None

    def lingers(self, inputs: LifeCycleInputs) -> bool:
        return inputs.undo is None

    async def compensate(self, step: StepContext, inputs: LifeCycleInputs) -> None:
        if inputs.undo is None:
            return
        await self._call(step, inputs.store, inputs.undo)
        if isinstance(inputs.undo, requests.DeleteStore):
            await step.stores.forget(inputs.store)

    def effects(self, inputs: LifeCycleInputs, result: Any) -> tuple[RowChange, ...]:
        if not isinstance(result, StoreInfo):
            return ()
        fields: dict[str, Any] = {"driver_id": result.id, "hosts": result.hosts}
        if isinstance(inputs.request, requests.AdoptStore):
            fields["identity"] = inputs.request.identity
        return (RowChange(rows.Store, inputs.store, fields),)

    def describe(self, inputs: LifeCycleInputs) -> str:
        host = getattr(inputs.request, "host", "")
        return f"{self.verb} store {inputs.store}" + (f", host {host}" if host else "")


def _is_as_asked(request: LifeCycleRequest, found: StoreInfo) -> bool:
    """Whether the backend is in the state that the request asks for."""
    match request:
        case requests.InitializeStore(name=name, identity=identity):
            return found.name == name and found.identity == identity
        case requests.AdoptStore(driver_id=driver_id, identity=identity):
            return found.id == driver_id and found.identity == identity
        case requests.AttachHost(host=host):
            return host in found.hosts
        case requests.DetachHost(host=host):
            return host not in found.hosts
        case requests.MaintainStore():
            return found.state is StoreState.MAINTENANCE
        case requests.CancelMaintenance():
            return found.state is StoreState.UP
        case requests.DeleteStore():
            return False


class StoreToDescribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A store that is initialized."""

    store: str
    role: Role


class StoreDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an opened store declares (a JSON document), and how many bytes it holds in all."""

    capabilities: msgspec.Raw
    total_bytes: int


class DescribeStore(StepKind[StoreToDescribe, StoreDescription]):
    """Open the store's driver and keep what it declares with the store's row."""

    kind = "store.describe"
    inputs = StoreToDescribe
    result = StoreDescription

    async def perform(self, step: StepContext, inputs: StoreToDescribe) -> StoreDescription:
        driver = (
            await step.stores.primary(inputs.store)
            if inputs.role is Role.PRIMARY
            else await step.stores.image(inputs.store)
        )
        figures = await driver.stats(step.call(), GetStats())
        declared = msgspec.json.encode(driver.capabilities)
        return StoreDescription(capabilities=msgspec.Raw(declared), total_bytes=figures.total_bytes)

    async def probe(
        self, step: StepContext, inputs: StoreToDescribe
    ) -> Happened[StoreDescription] | Absent | Partial | Undetermined:
        del step, inputs
        return Absent()

    def effects(self, inputs: StoreToDescribe, result: StoreDescription) -> tuple[RowChange, ...]:
        return (
            RowChange(rows.Store, inputs.store, {"capabilities": result.capabilities}),
            RowChange(rows.Capacity, inputs.store, {"total_bytes": result.total_bytes}),
        )

    def describe(self, inputs: StoreToDescribe) -> str:
        return f"open store {inputs.store} and keep what it declares"


_VERBS: tuple[type[Request], ...] = (
    requests.InitializeStore,
    requests.AttachHost,
    requests.DetachHost,
    requests.MaintainStore,
    requests.CancelMaintenance,
    requests.AdoptStore,
    requests.DeleteStore,
)


def life_cycle_kinds() -> list[StepKind[Any, Any]]:
    """One kind of step for each verb of the life cycle, and the description."""
    kinds: list[StepKind[Any, Any]] = [LifeCycleVerb(request) for request in _VERBS]
    return [*kinds, DescribeStore()]

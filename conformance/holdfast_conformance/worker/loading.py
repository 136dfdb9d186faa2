"""Loading a role (level L0): signatures, and the capability document read three times."""

import asyncio
import inspect
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities, nonsense_in
from holdfast.contract.requests import AttachHost, CallContext, InitializeStore, Role
from holdfast.stores.open_store import open_life_cycle
from holdfast.text.foreign import capped
from holdfast_conformance.foreign_texts import described, writable
from holdfast_conformance.protocol import Shown
from holdfast_conformance.worker.containment import Failed
from holdfast_conformance.worker.output_limits import DEFECTS_MAX, DOCUMENT_MAX_BYTES, ERROR_MAX
from holdfast_conformance.worker.session import Session
from holdfast_conformance.worker.signatures import DRIVER_PORTS, defects_of, life_cycle_defects

_DOCUMENTS: dict[Role, type[Any]] = {
    Role.PRIMARY: PrimaryCapabilities,
    Role.IMAGE: ImageCapabilities,
}


class Loading:
    """Loads one role of the provider in a namespace of its own."""

    def __init__(self, session: Session, role: Role, namespace: str) -> None:
        self._session = session
        self._role = role
        self._namespace = namespace
        self._defects: list[str] = []
        self._documents: list[str] = []
        self._config = session.config(role, namespace)

    async def run(self) -> Shown:
        """What loading shows; a defect ends it early.

        Raises:
            DriverBroke: the driver raised what is no error.
        """
        capture, canaries = self._session.capture, self._session.canaries
        capture.take()
        try:
            await self._session.containment.call(self._load())
        except Failed as failed:
            self._defects.append(f"loading: {failed.outcome}")
        stdout, forked = capture.take()
        if forked:
            self._defects.append("it forks while it is being opened")
        await self._session.remove(self._role, self._namespace)
        return Shown(
            defects=tuple(
                capped(canaries.redact(writable(defect)), ERROR_MAX)
                for defect in tuple(dict.fromkeys(self._defects))[:DEFECTS_MAX]
            ),
            documents=tuple(canaries.redact(document) for document in self._documents),
            stdout=canaries.redact(stdout),
        )

    async def _load(self) -> None:
        await self._check_life_cycle()
        await self._prepare()
        for readings in (2, 1):
            await self._open_driver(readings)

    async def _check_life_cycle(self) -> None:
        """Look at the life cycle as the provider gives it, without a guard around it."""
        async with AsyncExitStack() as stack:
            found = await self._enter(stack, "life_cycle", self._config, self._role)
            if found is not None:
                self._defects.extend(life_cycle_defects(found))

    async def _prepare(self) -> None:
        """Make the place a store, as far as that works: what fails here fails in the plans, too."""
        session = self._session
        deadline = asyncio.get_running_loop().time() + session.setup.deadline_s
        ctx = CallContext(operation="load", deadline=deadline)
        try:
            async with open_life_cycle(session.provider, self._config, self._role) as life_cycle:
                await life_cycle.initialize(ctx, InitializeStore(name="load"))
                await life_cycle.attach(ctx, AttachHost(host=session.testbed.hosts[0]))
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is the driver's
            session.canaries.scan("message", described(problem))
            self._defects.append(f"a store cannot be initialized: {described(problem)}")

    async def _open_driver(self, readings: int) -> None:
        async with AsyncExitStack() as stack:
            found = await self._enter(stack, self._role.value, self._config)
            if found is None:
                return
            if not self._documents:
                self._defects.extend(defects_of(found, DRIVER_PORTS[self._role]))
            for _ in range(readings):
                self._documents.append(self._document(found))

    async def _enter(self, stack: AsyncExitStack, verb: str, *arguments: object) -> Any:
        """What a method of the provider opens, or nothing and a defect."""
        try:
            context: Any = getattr(self._session.provider, verb)(*arguments)
            if inspect.iscoroutine(context):
                context.close()
                self._defects.append(f"Provider.{verb} is async, and must return a context manager")
                return None
            return await stack.enter_async_context(context)  # pyright: ignore[reportUnknownVariableType] - whatever a driver gives
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is the driver's
            self._defects.append(f"Provider.{verb} fails: {described(problem)}")
            return None

    def _document(self, driver: Any) -> str:
        """The capabilities as text; where they are none, what came instead, and a defect."""
        expected = _DOCUMENTS[self._role]
        try:
            text = msgspec.json.encode(driver.capabilities, order="sorted")
            found = msgspec.json.decode(text, type=expected)
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is the driver's
            self._defects.append(f"no proper {expected.__name__}: {described(problem)}")
            return ""
        if len(text) > DOCUMENT_MAX_BYTES:
            self._defects.append(f"{expected.__name__} of {len(text)} bytes")
            return ""
        if wrong := nonsense_in(found):
            self._defects.append(f"no store can be as it declares: {wrong}")
        return text.decode()

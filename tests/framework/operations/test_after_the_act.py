"""An error after the act is not "nothing was done"."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.contract import errors
from holdfast.contract.requests import Role
from holdfast.data.current_plane import HostPlane
from holdfast.model.rows import VolumeGrant
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.storage_daemon import DataPlane, use_data_plane
from holdfast.workflows import attach_volume, create_volume, register_template
from stories import IMAGE_BYTES, write_image
from zones import HOST, Planned, Zone, disagreements, memory_zone, run_inline

FAILURES: dict[str, Exception] = {
    "lacking": errors.EnvironmentUnavailable("the storage daemon does not start"),
    "misused": errors.UsageError("no such host"),
    "denied": errors.Denied("the storage does not let it"),
    "unavailable": errors.Unavailable("the daemon is away"),
    "a defect": KeyError("host"),
    "the system": OSError("no file descriptors are left"),
    "silence": TimeoutError(),
}


REFUSALS: dict[str, errors.DriverError] = {
    "another store": errors.Precondition("this is another store"),
    "away": errors.Unavailable("it is away"),
    "forbidden": errors.Denied("no"),
}


class FailingPlane(DataPlane):
    """A data plane that cannot be told of so many grants."""

    def __init__(self, failure: Exception, times: int) -> None:
        super().__init__()
        self._failure = failure
        self.left = times

    async def granted(self, host: str, volume: str, secret: str = "") -> None:
        if self.left:
            self.left -= 1
            raise self._failure
        await super().granted(host, volume, secret)


@asynccontextmanager
async def attaching(zone: Zone, plane: HostPlane) -> AsyncIterator[tuple[Orchestrator, str]]:
    """An orchestrator on that plane, and a volume."""
    with use_data_plane(plane):
        async with zone.orchestrator() as orchestrator:
            store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            made = await orchestrator.run(create_volume(name="v", store=store, size_bytes=8192))
            yield orchestrator, made.expect().subject


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_grant_that_no_plane_can_be_told_of_is_taken_back(failure: Exception) -> None:
    """The driver granted, the plane fails for good: nothing is left of the grant."""

    async def story() -> tuple[Verdict, list[str], list[str]]:
        async with memory_zone() as zone, FailingPlane(failure, 1_000) as plane:
            async with attaching(zone, plane) as (orchestrator, volume):
                outcome = await orchestrator.run(attach_volume(volume, host=HOST))
            states = [row.state.value for row in await zone.rows(VolumeGrant)]
            return outcome.verdict, states, await disagreements(zone)

    verdict, states, wrong = run_inline(story())

    assert verdict is Verdict.FAILED_CLEAN
    assert "Granted" not in states
    assert wrong == []


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_plane_that_fails_once_is_told_again(failure: Exception) -> None:
    """The grant is there, is granted once, and the plane knows of it before that is success."""

    async def story() -> tuple[Verdict, int, int, list[str]]:
        async with memory_zone() as zone, FailingPlane(failure, 1) as plane:
            async with attaching(zone, plane) as (orchestrator, volume):
                outcome = await orchestrator.run(attach_volume(volume, host=HOST))
            granted = zone.faults.calls.count("grant")
            return outcome.verdict, granted, plane.left, await disagreements(zone)

    assert run_inline(story()) == (Verdict.SUCCEEDED, 1, 0, [])


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_store_that_did_nothing_of_an_upload_is_left_nothing(
    tmp_path: Path, refusal: errors.DriverError
) -> None:
    """Where the first call was refused, and the store refuses whatever comes: nothing is there to
    be taken back.
    """
    image = str(write_image(tmp_path))

    async def story() -> tuple[Verdict, set[str], list[str]]:
        async with memory_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                store = await zone.add(orchestrator, "images", Role.IMAGE)
                zone.faults.planned = Planned(
                    call=len(zone.faults.calls) + 1, error=refusal, lasting=True
                )
                zone.faults.log.clear()
                outcome = await orchestrator.run(
                    register_template(name="t", store=store, path=image, size_bytes=IMAGE_BYTES)
                )
            return outcome.verdict, set(zone.faults.log), await disagreements(zone)

    verdict, asked, wrong = run_inline(story())

    assert verdict is Verdict.FAILED_CLEAN
    assert asked == {"start_upload"}
    assert wrong == []

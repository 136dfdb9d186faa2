"""The guard: always around a driver, so that no driver has to check what all must check.

It refuses what the store does not declare and what can never work *before* the driver sees it,
fills verb and object into every error, turns every other exception into ``Internal``, and checks
that an answer is about what was asked. A guard around a guard would add nothing: the ``guard_…``
functions return one as it is.
"""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from holdfast import infos, requests
from holdfast.capabilities import ImageCapabilities, PrimaryCapabilities, nonsense_in
from holdfast.errors import Internal, Invalid, Unsupported
from holdfast.handles import Handle
from holdfast.identity import ExpectedStore
from holdfast.layers.calls import answered, check_answer, check_match, streamed, subject_of, typed
from holdfast.layers.checks import (
    IMAGE_CHECKS,
    MUTATING_VERBS,
    PRIMARY_CHECKS,
    Check,
)
from holdfast.ports import ImageDriver, PrimaryDriver
from holdfast.requests import CallContext, verb_of

A = TypeVar("A")
C = TypeVar("C", PrimaryCapabilities, ImageCapabilities)

_DONE_ANSWERS: dict[str, type[infos.Info]] = {
    "create_volume": infos.VolumeInfo,
    "delete_volume": infos.Gone,
    "resize_volume": infos.VolumeInfo,
    "modify_volume": infos.VolumeInfo,
    "revert_volume": infos.VolumeInfo,
    "copy_volume": infos.VolumeInfo,
    "create_snapshot": infos.SnapshotInfo,
    "delete_snapshot": infos.Gone,
    "grant": infos.GrantInfo,
    "revoke": infos.Gone,
    "start_upload": infos.UploadInfo,
    "upload_part": infos.PartInfo,
    "complete_upload": infos.ObjectInfo,
    "abort_upload": infos.Gone,
    "delete": infos.Gone,
    "copy": infos.ObjectInfo,
}
_PROBE_ANSWERS = (infos.Absent, infos.Partial, infos.Done, infos.Undetermined)


def _secret_of(request: requests.Request) -> str:
    secret = getattr(request, "secret", "")
    return secret if isinstance(secret, str) else ""


def _check_probed(verb: str, request: requests.Request, answer: object) -> None:
    """Raise ``Internal`` when a probe's answer cannot be one to this call."""
    if not isinstance(answer, _PROBE_ANSWERS):
        raise Internal(f"nonsense: the driver answered a probe with a {type(answer).__name__}")
    check_answer(answer, type(answer))
    if isinstance(answer, infos.Done):
        check_answer(answer.answer, _DONE_ANSWERS[verb])
        check_match(request, answer.answer)


def _sane(declared: C) -> C:
    """What the driver declares, where a store can be like that."""
    if wrong := nonsense_in(declared):
        raise Internal(f"nonsense: the driver declares what no store can be: {wrong}")
    return declared


class PrimaryGuard(PrimaryDriver):
    """The guard of a primary store's driver; ``driver`` is what it guards.

    Args:
        driver: what opened the store.
        secrets: the configuration's secrets, which no message may repeat.

    Raises:
        Internal: the driver declares no proper capabilities.
    """

    def __init__(self, driver: PrimaryDriver, secrets: tuple[str, ...] = ()) -> None:
        self.driver = driver
        self._secrets = secrets
        self._declared = self.capabilities

    @property
    def capabilities(self) -> PrimaryCapabilities:
        """What the driver declares now; what was declared at first is what is enforced."""
        with typed("capabilities", "", self._secrets):
            declared = self.driver.capabilities
            check_answer(declared, PrimaryCapabilities)
            return _sane(declared)

    def expect(self, store: ExpectedStore) -> None:
        super().expect(store)
        with typed("open", "", self._secrets):
            self.driver.expect(store)

    def admit(self, request: requests.Request) -> None:
        """Refuse what the store does not declare and what can never work."""
        _admit(request, PRIMARY_CHECKS, self._declared)

    async def _call(
        self, ctx: CallContext, request: requests.Request, expected: type[A] | Any
    ) -> A:
        self.admit(request)
        verb = verb_of(request)
        secrets = (*self._secrets, _secret_of(request))
        return await answered(
            request,
            secrets,
            lambda: getattr(self.driver, verb)(ctx, request),
            expected,
        )

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> infos.PoolList:
        return await self._call(ctx, request, infos.PoolList)

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> infos.VolumeInfo:
        return await self._call(ctx, request, infos.VolumeInfo)

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> infos.VolumeInfo:
        return await self._call(ctx, request, infos.VolumeInfo)

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> infos.VolumePage:
        return await self._call(ctx, request, infos.VolumePage)

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> infos.Gone:
        return await self._call(ctx, request, infos.Gone)

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> infos.VolumeInfo:
        return await self._call(ctx, request, infos.VolumeInfo)

    async def modify_volume(
        self, ctx: CallContext, request: requests.ModifyVolume
    ) -> infos.VolumeInfo:
        return await self._call(ctx, request, infos.VolumeInfo)

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> infos.VolumeInfo:
        return await self._call(ctx, request, infos.VolumeInfo)

    async def copy_volume(self, ctx: CallContext, request: requests.CopyVolume) -> infos.VolumeInfo:
        return await self._call(ctx, request, infos.VolumeInfo)

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> infos.SnapshotInfo:
        return await self._call(ctx, request, infos.SnapshotInfo)

    async def get_snapshot(
        self, ctx: CallContext, request: requests.GetSnapshot
    ) -> infos.SnapshotInfo:
        return await self._call(ctx, request, infos.SnapshotInfo)

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> infos.SnapshotPage:
        return await self._call(ctx, request, infos.SnapshotPage)

    async def delete_snapshot(
        self, ctx: CallContext, request: requests.DeleteSnapshot
    ) -> infos.Gone:
        return await self._call(ctx, request, infos.Gone)

    async def grant(self, ctx: CallContext, request: requests.Grant) -> infos.GrantInfo:
        return await self._call(ctx, request, infos.GrantInfo)

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> infos.Gone:
        return await self._call(ctx, request, infos.Gone)

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        return await self._call(ctx, request, Handle)

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> infos.StatsInfo:
        return await self._call(ctx, request, infos.StatsInfo)

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> infos.HealthInfo:
        return await self._call(ctx, request, infos.HealthInfo)

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> infos.ProbeResult:
        _check_probe(verb, request)
        self.admit(request)
        with typed("probe", subject_of(request), (*self._secrets, _secret_of(request))):
            answer = await self.driver.probe(ctx, verb, request)
            _check_probed(verb, request, answer)
            return answer

    def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[infos.OwnedThing]:
        self.admit(request)
        return streamed("enumerate", self._secrets, lambda: self.driver.enumerate(ctx, request))


class ImageGuard(ImageDriver):
    """The guard of an image store's driver; ``driver`` is what it guards.

    Args:
        driver: what opened the store.
        secrets: the configuration's secrets, which no message may repeat.

    Raises:
        Internal: the driver declares no proper capabilities.
    """

    def __init__(self, driver: ImageDriver, secrets: tuple[str, ...] = ()) -> None:
        self.driver = driver
        self._secrets = secrets
        self._declared = self.capabilities

    @property
    def capabilities(self) -> ImageCapabilities:
        """What the driver declares now; what was declared at first is what is enforced."""
        with typed("capabilities", "", self._secrets):
            declared = self.driver.capabilities
            check_answer(declared, ImageCapabilities)
            return _sane(declared)

    def expect(self, store: ExpectedStore) -> None:
        super().expect(store)
        with typed("open", "", self._secrets):
            self.driver.expect(store)

    def admit(self, request: requests.Request) -> None:
        """Refuse what the store does not declare and what can never work."""
        _admit(request, IMAGE_CHECKS, self._declared)

    async def _call(
        self, ctx: CallContext, request: requests.Request, expected: type[A] | Any
    ) -> A:
        self.admit(request)
        verb = verb_of(request)
        return await answered(
            request,
            self._secrets,
            lambda: getattr(self.driver, verb)(ctx, request),
            expected,
        )

    async def start_upload(
        self, ctx: CallContext, request: requests.StartUpload
    ) -> infos.UploadInfo:
        return await self._call(ctx, request, infos.UploadInfo)

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> infos.PartInfo:
        return await self._call(ctx, request, infos.PartInfo)

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> infos.ObjectInfo:
        return await self._call(ctx, request, infos.ObjectInfo)

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> infos.Gone:
        return await self._call(ctx, request, infos.Gone)

    async def get(self, ctx: CallContext, request: requests.GetObject) -> infos.ObjectData:
        return await self._call(ctx, request, infos.ObjectData)

    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        return await self._call(ctx, request, Handle)

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> infos.ObjectInfo:
        return await self._call(ctx, request, infos.ObjectInfo)

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> infos.ObjectPage:
        return await self._call(ctx, request, infos.ObjectPage)

    async def delete(self, ctx: CallContext, request: requests.DeleteObject) -> infos.Gone:
        return await self._call(ctx, request, infos.Gone)

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> infos.ObjectInfo:
        return await self._call(ctx, request, infos.ObjectInfo)

    async def temporary_url(
        self, ctx: CallContext, request: requests.TemporaryUrl
    ) -> infos.UrlInfo:
        return await self._call(ctx, request, infos.UrlInfo)

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> infos.StatsInfo:
        return await self._call(ctx, request, infos.StatsInfo)

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> infos.HealthInfo:
        return await self._call(ctx, request, infos.HealthInfo)

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> infos.ProbeResult:
        _check_probe(verb, request)
        self.admit(request)
        with typed("probe", subject_of(request), self._secrets):
            answer = await self.driver.probe(ctx, verb, request)
            _check_probed(verb, request, answer)
            return answer

    def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[infos.OwnedThing]:
        self.admit(request)
        return streamed("enumerate", self._secrets, lambda: self.driver.enumerate(ctx, request))


def _admit(
    request: requests.Request,
    checks: dict[type[requests.Request], Check],
    declared: PrimaryCapabilities | ImageCapabilities,
) -> None:
    check = checks.get(type(request))
    if check is None:
        raise Unsupported(
            f"a {type(request).__name__} is no request of this role", verb=verb_of(request)
        )
    with typed(verb_of(request), subject_of(request)):
        check(request, declared)


def _check_probe(verb: str, request: requests.Request) -> None:
    if verb not in MUTATING_VERBS:
        raise Invalid(f"only a verb that changes something can be probed, not {verb}", verb="probe")
    if verb != verb_of(request):
        raise Invalid(
            f"the request to probe is of verb {verb_of(request)}, not {verb}", verb="probe"
        )


def guard_primary(driver: PrimaryDriver, secrets: tuple[str, ...] = ()) -> PrimaryGuard:
    """The driver under a guard; one that has a guard already is returned as it is."""
    return driver if isinstance(driver, PrimaryGuard) else PrimaryGuard(driver, secrets)


def guard_image(driver: ImageDriver, secrets: tuple[str, ...] = ()) -> ImageGuard:
    """The driver under a guard; one that has a guard already is returned as it is."""
    return driver if isinstance(driver, ImageGuard) else ImageGuard(driver, secrets)

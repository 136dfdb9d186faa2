"""Defects in what a driver says of a call whose answer was lost."""

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import Absent, Done, Gone, ProbeResult
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class ProbeTakesWhateverHasTheKey(MemoryPrimaryDriver):
    """A refused creation was done, says the probe: there is a volume under its key."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        volume = None
        if isinstance(request, requests.CreateVolume) and not self.backend.down:
            volume = self.store().volumes.get(request.key)
        if volume is not None:
            return Done(answer=self.info(volume))
        return await super().probe(ctx, verb, request)


class ProbeTakesALongerKeyForADeletedOne(MemoryPrimaryDriver):
    """A deleted volume is still there, says the probe, while another begins with its key."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        answer = await super().probe(ctx, verb, request)
        if isinstance(request, requests.DeleteVolume) and isinstance(answer, Done):
            longer = any(key.startswith(request.key) for key in self.store().volumes)
            return Absent() if longer else answer
        return answer


class ProbeSaysThatEveryDeletionIsDone(MemoryPrimaryDriver):
    """A deletion that was refused was done, says the probe."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        if isinstance(request, requests.DeleteVolume) and not self.backend.down:
            return Done(answer=Gone(key=request.key))
        return await super().probe(ctx, verb, request)


class ProbeTellsTheSizeThatWasAskedFor(MemoryPrimaryDriver):
    """The answer that a probe gives has the size asked for, not the true one."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        answer = await super().probe(ctx, verb, request)
        if not isinstance(request, requests.CreateVolume | requests.ResizeVolume):
            return answer
        if isinstance(answer, Done) and isinstance(answer.answer, answers.VolumeInfo):
            told = msgspec.structs.replace(answer.answer, size_bytes=request.size_bytes)
            return Done(answer=told)
        return answer


class ProbeKnowsTheNewestSnapshotOnly(MemoryPrimaryDriver):
    """Once another snapshot of its volume is taken, one was never taken, says the probe."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        answer = await super().probe(ctx, verb, request)
        if isinstance(request, requests.CreateSnapshot) and isinstance(answer, Done):
            newest = [
                key for key, row in self.store().snapshots.items() if row.volume == request.volume
            ]
            return answer if newest[-1] == request.key else Absent()
        return answer


class ProbeOfARevertLooksAtTheSize(MemoryPrimaryDriver):
    """A volume of its snapshot's size was reverted to it, says the probe."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        if isinstance(request, requests.RevertVolume) and not self.backend.down:
            volume = self.store().volumes.get(request.key)
            snapshot = self.store().snapshots.get(request.snapshot)
            if volume and snapshot and volume.content.size_bytes == snapshot.content.size_bytes:
                return Done(answer=self.info(volume))
        return await super().probe(ctx, verb, request)


class ProbeOfAGrantTakesAnyHost(MemoryPrimaryDriver):
    """A volume that is granted to one host was granted to the other, says the probe."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        answer = await super().probe(ctx, verb, request)
        if isinstance(request, requests.Grant) and isinstance(answer, Absent):
            rows = self.grants_of(self.store(), request.volume)
            if rows:
                told = msgspec.structs.replace(self.grant_info(rows[0]), host=request.host)
                return Done(answer=msgspec.structs.replace(told, mode=request.mode))
        return answer


class ProbeCarriesOutWhatItAsksAbout(MemoryPrimaryDriver):
    """A probe of a creation that did not happen creates the volume."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        answer = await super().probe(ctx, verb, request)
        if not isinstance(request, requests.CreateVolume) or not isinstance(answer, Absent):
            return answer
        if request.key in self.store().volumes or request.source is not None:
            return answer
        return Done(answer=await self.create_volume(ctx, request))


class ProbeRevokesWhatItFinds(MemoryPrimaryDriver):
    """Whoever asks about a revocation that did not happen gets it."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        if isinstance(request, requests.Revoke) and not self.backend.down:
            self.take_back(self.store(), request.volume, request.host)
        return await super().probe(ctx, verb, request)


class ProbeKnowsOnlyWhatThisDriverDid(MemoryPrimaryDriver):
    """A driver that was opened again says that no earlier grant took effect."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._granted: set[tuple[str, str]] = set()

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        self._granted.add((request.volume, request.host))
        return await super().grant(ctx, request)

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        answer = await super().probe(ctx, verb, request)
        if isinstance(request, requests.Grant) and isinstance(answer, Done):
            return answer if (request.volume, request.host) in self._granted else Absent()
        return answer


class ProbeOfADownBackendSaysAbsent(MemoryPrimaryDriver):
    """A probe that cannot ask the backend says that nothing happened."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        return Absent() if self.backend.down else await super().probe(ctx, verb, request)


class ProbeOfAPartLooksAtItsNumber(MemoryImageDriver):
    """A part that was never sent was, says the probe: there is another of its number."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        if isinstance(request, requests.UploadPart) and not self.backend.down:
            upload = self.store().uploads.get(request.upload)
            part = upload.parts.get(request.number) if upload else None
            if part is not None:
                return Done(answer=answers.PartInfo(part=part.reference))
        return await super().probe(ctx, verb, request)


class ProbeOfACompletionLooksAtTheKey(MemoryImageDriver):
    """An upload to a key that holds an object was completed, says the probe."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        answer = await super().probe(ctx, verb, request)
        if isinstance(request, requests.CompleteUpload) and isinstance(answer, Absent):
            upload = self.store().uploads.get(request.upload)
            there = self.store().objects.get(upload.key) if upload else None
            return answer if there is None else Done(answer=self.info(there))
        return answer


class ProbeOfACompletionIsAbsentWithoutParts(MemoryImageDriver):
    """A completion was lost, says the probe: its upload and its parts are no more."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        if isinstance(request, requests.CompleteUpload) and not self.backend.down:
            return Absent()
        return await super().probe(ctx, verb, request)


class ProbeOfAnUploadEndsWithItsFirstPart(MemoryImageDriver):
    """An upload that has parts was never started, says the probe."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        answer = await super().probe(ctx, verb, request)
        if isinstance(request, requests.StartUpload) and isinstance(answer, Done):
            upload = self.store().uploads.get(request.upload)
            return Absent() if upload and upload.parts else answer
        return answer


class ProbeOfACopyLooksAtTheTarget(MemoryImageDriver):
    """A copy that was refused was made, says the probe: its target holds an object."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        if isinstance(request, requests.CopyObject) and not self.backend.down:
            there = self.store().objects.get(request.target)
            if there is not None:
                return Done(answer=self.info(there))
        return await super().probe(ctx, verb, request)


class ProbeOfAnAbortDropsTheUpload(MemoryImageDriver):
    """Whoever asks about an abort that did not happen gets it."""

    async def probe(self, ctx: CallContext, verb: str, request: requests.Request) -> ProbeResult:
        if isinstance(request, requests.AbortUpload) and not self.backend.down:
            self.store().uploads.pop(request.upload, None)
        return await super().probe(ctx, verb, request)


MUTANTS = (
    planted("PRB-01", ProbeTellsTheSizeThatWasAskedFor),
    planted("PRB-01", ProbeTakesALongerKeyForADeletedOne),
    planted("PRB-01", ProbeKnowsTheNewestSnapshotOnly),
    planted("PRB-01", ProbeKnowsOnlyWhatThisDriverDid),
    planted("PRB-01", ProbeOfACompletionIsAbsentWithoutParts),
    planted("PRB-01", ProbeOfAnUploadEndsWithItsFirstPart),
    planted("PRB-02", ProbeTakesWhateverHasTheKey),
    planted("PRB-02", ProbeSaysThatEveryDeletionIsDone),
    planted("PRB-02", ProbeOfARevertLooksAtTheSize),
    planted("PRB-02", ProbeOfAGrantTakesAnyHost),
    planted("PRB-02", ProbeOfAPartLooksAtItsNumber),
    planted("PRB-02", ProbeOfACompletionLooksAtTheKey),
    planted("PRB-02", ProbeOfACopyLooksAtTheTarget),
    planted("PRB-03", ProbeCarriesOutWhatItAsksAbout),
    planted("PRB-03", ProbeRevokesWhatItFinds),
    planted("PRB-03", ProbeOfAnAbortDropsTheUpload),
    planted("PRB-04", ProbeOfADownBackendSaysAbsent),
)

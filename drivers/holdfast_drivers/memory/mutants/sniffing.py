"""Defects of who guesses from bytes what they are, and does more than keep them."""

import gzip

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.requests import CallContext
from holdfast.data import BlockIO
from holdfast_drivers.memory.backend import Backend, MemoryBlockIO, Part, Upload
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted

_QCOW2 = b"QFI\xfb"
_GZIP = b"\x1f\x8b\x08"


class GuestsFormatIsBelieved(Backend):
    """A volume is opened as a disk image where its guest wrote one's header (as CVE-2008-2004)."""

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        opened = super().block_io(handle)
        if handle.token.startswith("object:"):
            return opened
        first = self.content_behind(handle.token, write=False).blocks.get(0, b"")
        if not first.startswith(_QCOW2):
            return opened
        return MemoryBlockIO(handle.token, self._within, size_bytes=opened.size_bytes)

    def _within(self, token: str, *, write: bool) -> Content:
        """What is in the image whose header is at the volume's beginning: nothing was written."""
        return Content(self.content_behind(token, write=write).size_bytes)


class CompressedIsUnpacked(MemoryImageDriver):
    """What is stored as a gzip file is served as what is in it."""

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        answer = await super().get(ctx, request)
        if not answer.data.startswith(_GZIP):
            return answer
        try:
            data = gzip.decompress(answer.data)
        except (OSError, EOFError):
            return answer
        return msgspec.structs.replace(answer, data=data)


class LinesEndInOneWay(MemoryImageDriver):
    """Parts are sent as text, and every line of them arrives with one kind of end."""

    def keep_part(self, upload: Upload, part: Part) -> None:
        super().keep_part(upload, Part(part.reference, part.data.replace(b"\r\n", b"\n")))


MUTANTS = (
    planted("DAT-01", GuestsFormatIsBelieved),
    planted("IMG-01", CompressedIsUnpacked),
    planted("IMG-01", LinesEndInOneWay),
)

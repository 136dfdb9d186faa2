"""Defects in temporary addresses: for whom they work, how long, and what they give."""

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import NotFound
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.memory.backend import Backend
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted


class AddressNeverExpires(Backend):
    """An address works on after its time is over."""

    def expired(self, expires: str) -> bool:
        return float(expires) < 0


class AddressOpensEveryObject(Backend):
    """What proves the right to one object is accepted for all others."""

    def signature(self, path: str, expires: str) -> str:
        return super().signature("", expires)


class AddressDeletesItsObject(Backend):
    """Whoever may read an object by its address may delete it, too."""

    def admits(self, method: str, path: str, expires: str, signature: str) -> bool:
        return super().admits("GET", path, expires, signature)

    def served(self, method: str, namespace: str, key: str) -> bytes | None:
        data = super().served("GET", namespace, key)
        if method == "DELETE":
            self.stores[Role.IMAGE, namespace].objects.pop(key, None)
        return data


class AddressGivesDeletedObjects(Backend):
    """An object that was read by its address once is given for ever."""

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self._given: dict[tuple[str, str], bytes | None] = {}

    def served(self, method: str, namespace: str, key: str) -> bytes | None:
        data = super().served(method, namespace, key)
        if method == "GET" and data is None:
            # What was never read was deleted before anybody asked for it.
            return self._given.get((namespace, key), b"")
        self._given[namespace, key] = data
        return data


class AddressEndsAtAThousandBytes(Backend):
    """An address gives the beginning of an object only."""

    def served(self, method: str, namespace: str, key: str) -> bytes | None:
        data = super().served(method, namespace, key)
        return data and data[:1000]


class SecondAddressEndsTheFirst(MemoryImageDriver):
    """Each address is signed with a new key of the account (as apache/cloudstack#1332)."""

    def address(self, key: str, expires_s: float) -> str:
        self.backend.address_key = runtime().new_id("key")
        return super().address(key, expires_s)


class AddressEndsWithItsDriver(MemoryImageDriver):
    """Addresses are signed with a key that a driver makes when it is opened."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        backend.address_key = runtime().new_id("key")


class AddressIsEmpty(MemoryImageDriver):
    """What comes of an address that cannot be made is an empty one (as apache/cloudstack#4874)."""

    def address(self, key: str, expires_s: float) -> str:
        return super().address(key, expires_s) if key.isascii() else ""


class AbsentObjectHasAnAddress(MemoryImageDriver):
    """An address is signed without a look whether there is anything behind it."""

    async def temporary_url(
        self, ctx: CallContext, request: requests.TemporaryUrl
    ) -> answers.UrlInfo:
        try:
            return await super().temporary_url(ctx, request)
        except NotFound:
            return answers.UrlInfo(url=self.address(request.key, request.expires_s))


class AddressHasNoServer(MemoryImageDriver):
    """An address begins with a path, so that nobody knows where to go with it."""

    async def temporary_url(
        self, ctx: CallContext, request: requests.TemporaryUrl
    ) -> answers.UrlInfo:
        info = await super().temporary_url(ctx, request)
        return msgspec.structs.replace(info, url=info.url.removeprefix(self.backend.origin))


MUTANTS = (
    planted("IMG-13", AddressNeverExpires),
    planted("IMG-13", AddressOpensEveryObject),
    planted("IMG-13", AddressDeletesItsObject),
    planted("IMG-13", AddressGivesDeletedObjects),
    planted("IMG-13", AddressEndsAtAThousandBytes),
    planted("IMG-13", SecondAddressEndsTheFirst),
    planted("IMG-13", AddressEndsWithItsDriver),
    planted("IMG-14", AddressIsEmpty),
    planted("IMG-14", AbsentObjectHasAnAddress),
    planted("IMG-14", AddressHasNoServer),
)

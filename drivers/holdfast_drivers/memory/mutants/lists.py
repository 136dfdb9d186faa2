"""Defects in lists: pages, tokens, prefixes and delimiters."""

import base64
import fnmatch
import re

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.errors import Invalid
from holdfast.contract.requests import CallContext
from holdfast_drivers.listing import name_in_token, page_token
from holdfast_drivers.memory.backend import Backend, Store, Volume
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class SnapshotListOfAVolumeTakesLongerKeys(MemoryPrimaryDriver):
    """The snapshots of a volume are those of every volume whose key begins with its own."""

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        rows = sorted(self.store().snapshots.values(), key=lambda row: row.key)
        after = base64.b64decode(request.token).decode() if request.token else ""
        shown = [row for row in rows if row.volume.startswith(request.volume) and row.key > after]
        page = shown[: request.limit]
        last = base64.b64encode(page[-1].key.encode()).decode() if page else ""
        return answers.SnapshotPage(
            items=tuple(self.snapshot_info(row) for row in page),
            token=last if len(shown) > len(page) else "",
        )


class SnapshotListOfAVolumeHasOnePage(MemoryPrimaryDriver):
    """The snapshots of one volume end with the first page."""

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        page = await super().list_snapshots(ctx, request)
        return msgspec.structs.replace(page, token="") if request.volume else page


class SnapshotPagesSkipTheNextKey(MemoryPrimaryDriver):
    """A later page of snapshots leaves out keys that begin with the last one of the page before."""

    async def list_snapshots(
        self, ctx: CallContext, request: requests.ListSnapshots
    ) -> answers.SnapshotPage:
        page = await super().list_snapshots(ctx, request)
        if not request.token:
            return page
        last = name_in_token(f"{self.store().id} snapshots {request.volume}", request.token)
        items = tuple(item for item in page.items if not item.key.startswith(last))
        return msgspec.structs.replace(page, items=items)


class PageTokensCountVolumes(MemoryPrimaryDriver):
    """A token says how many volumes were shown, not which."""

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        keys = sorted(rows)
        start = int(name_in_token(scope, token)) if token else 0
        following = page_token(scope, str(start + limit)) if len(keys) > start + limit else ""
        return keys[start : start + limit], following


class PageTokensTakeTheNewPageSize(MemoryPrimaryDriver):
    """A token says which page comes next; with another size that is another place."""

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        keys = sorted(rows)
        number, _, last = (name_in_token(scope, token) if token else "0 ").partition(" ")
        after, size = last.rpartition(" ")[::2] if last else ("", str(limit))
        left = (
            [key for key in keys if key > after]
            if int(size) == limit
            else keys[int(number) * limit :]
        )
        page = left[:limit]
        more = f"{int(number) + 1} {page[-1]} {limit}" if len(left) > limit else ""
        return page, page_token(scope, more) if more else ""


class PageTokenOfADeletedVolumeIsRefused(MemoryPrimaryDriver):
    """Nobody can go on from a volume that was deleted."""

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        if token and name_in_token(scope, token) not in rows:
            raise Invalid("the page token was never issued")
        return super().page(rows, scope, token, limit)


class PageTokensEndWithTheDriver(MemoryPrimaryDriver):
    """A driver that was opened again knows no token of the one before."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._issued: set[str] = set()

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        if token and token not in self._issued:
            raise Invalid("the page token was never issued")
        keys, following = super().page(rows, scope, token, limit)
        self._issued.add(following)
        return keys, following


class PageTokensKeepTheirPrefix(MemoryImageDriver):
    """A token that was given for another prefix lists what that one begins."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        prefix, _, after = request.token.partition("\n")
        if request.token and (not after or not after.startswith(prefix)):
            raise Invalid("the page token was never issued")
        asked = msgspec.structs.replace(
            request, token="", prefix=prefix if request.token else request.prefix, limit=1 << 30
        )
        named = self.names(self.store(), asked)
        left = [(name, folded) for name, folded in named if name > after]
        page = left[: request.limit]
        more = f"{asked.prefix}\n{page[-1][0]}" if len(left) > len(page) else ""
        return answers.ObjectPage(
            items=tuple(
                self.info(self.stored(self.store(), name)) for name, one in page if not one
            ),
            prefixes=tuple(name for name, folded in page if folded),
            token=more,
        )


class ListPrefixIsAPattern(MemoryImageDriver):
    """A prefix is matched as a shell would match it."""

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        names: dict[str, bool] = {}
        for row in store.objects.values():
            if fnmatch.fnmatchcase(row.key, f"{request.prefix}*"):
                name, is_prefix = self.folded(row.key, request)
                names[name] = is_prefix
        return sorted(names.items())


class ListPrefixIsLikeInSql(MemoryImageDriver):
    """A prefix is matched by ``LIKE``, where an underscore is any character."""

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        pattern = re.escape(request.prefix).replace("_", ".").replace("%", ".*")
        names: dict[str, bool] = {}
        for row in store.objects.values():
            if re.match(pattern, row.key):
                name, is_prefix = self.folded(row.key, request)
                names[name] = is_prefix
        return sorted(names.items())


class ListHidesTheKeyThatIsThePrefix(MemoryImageDriver):
    """A prefix that is a key lists only longer ones."""

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        return [name for name in super().names(store, request) if name[0] != request.prefix]


class ListFoldsAtTheFirstCharacter(MemoryImageDriver):
    """A delimiter of several characters is its first one."""

    def folded(self, key: str, request: requests.ListObjects) -> tuple[str, bool]:
        first = request.delimiter[:1]
        return super().folded(key, msgspec.structs.replace(request, delimiter=first))


class ListFoldsAtSlashesOnly(MemoryImageDriver):
    """Whatever the delimiter, keys are folded at a slash."""

    def folded(self, key: str, request: requests.ListObjects) -> tuple[str, bool]:
        delimiter = "/" if request.delimiter else ""
        return super().folded(key, msgspec.structs.replace(request, delimiter=delimiter))


MUTANTS = (
    planted("LST-01", SnapshotListOfAVolumeTakesLongerKeys),
    planted("LST-01", SnapshotListOfAVolumeHasOnePage),
    planted("LST-01", SnapshotPagesSkipTheNextKey),
    planted("LST-02", PageTokensCountVolumes),
    planted("LST-02", PageTokensTakeTheNewPageSize),
    planted("LST-02", PageTokenOfADeletedVolumeIsRefused),
    planted("LST-02", PageTokensEndWithTheDriver),
    planted("LST-02", PageTokensKeepTheirPrefix),
    planted("LST-03", ListPrefixIsAPattern),
    planted("LST-03", ListPrefixIsLikeInSql),
    planted("LST-03", ListHidesTheKeyThatIsThePrefix),
    planted("LST-03", ListFoldsAtTheFirstCharacter),
    planted("LST-03", ListFoldsAtSlashesOnly),
)

"""Reads a store from the S3 server under the gateway, with the operator's credentials.

Neither the driver's code nor Swift is asked: keys are listed and records read by the S3 protocol.
"""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from holdfast.contract.answers import OwnedKind
from holdfast.contract.testbed import Inspected
from holdfast_drivers.swift.account_testbed import ACCOUNT
from holdfast_drivers.swift.gateway.server_image.swift_on_s3 import keys
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.listing import Query
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.records import Container, Object
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.s3 import Bucket, Listed
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.store import Hands, Store
from holdfast_drivers.swift.inspector import Disk, StoredFile, SwiftInspector

_READERS: Final = 16
_META: Final = "X-Object-Meta-"


class S3Disk(Disk):
    """What is in the gateway's bucket, as the inspector of Swift's disk wants it.

    A file's path is the key of its bytes, which are written once and never changed.
    """

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(Path())
        self._bucket = bucket
        self._readers = ThreadPoolExecutor(_READERS)
        # It only reads, so nobody waits for anybody.
        self._store = Store(bucket, Hands(lock=nullcontext, together=self._readers.map))
        self._whole: dict[tuple[str, ...], str] = {}

    def close(self) -> None:
        """Close the connections to the S3 server."""
        self._readers.shutdown()
        self._bucket.close()

    def objects(self) -> list[StoredFile]:
        """Everything that is stored now: two listings, and the records that are new since then."""
        places = {place.id: place for place in self._containers()}
        found: list[StoredFile] = []
        rows = self._listed("o/")
        for row, record in zip(rows, self._store.readable(Object, rows), strict=True):
            place = places.get(row.key.split("/")[1])
            if record is not None and place is not None:
                found.append(_file(place.name, record))
        return found

    def _containers(self) -> list[Container]:
        found = self._store.containers(ACCOUNT, Query(limit=10**9, reserved=True))
        return [record for _, record in found if record is not None]

    def _listed(self, prefix: str) -> list[Listed]:
        rows: list[Listed] = []
        more = True
        while more:
            page = self._bucket.page(prefix, rows[-1].key if rows else "")
            rows += page.entries
            more = page.more
        return rows

    def container(self, account: str, name: str) -> dict[str, str] | None:
        """A container's metadata, or ``None`` where there is none."""
        found = self._store.container(account, name)
        return None if found is None else found.headers

    def data(self, file: StoredFile) -> bytes:
        """The bytes of one object."""
        key = str(file.path)
        return b"" if key == "." else b"".join(self._bucket.open(key))

    def digest(self, files: list[StoredFile]) -> str:
        """The SHA-256 of the bytes of some objects in a row; each key is read once."""
        known = tuple(str(file.path) for file in files)
        if known not in self._whole:
            whole = hashlib.sha256()
            for file in files:
                whole.update(self.data(file))
            self._whole[known] = whole.hexdigest()
        return self._whole[known]

    def remove(self, account: str, containers: frozenset[str]) -> None:
        """Remove these containers with everything in them, bytes that no record names included."""
        for name in containers:
            found = self._store.read(Container, keys.container_key(account, name))
            if found is None:
                continue
            place, _ = found
            for row in self._listed(keys.objects_prefix(place.id)):
                self._bucket.delete(row.key)
            for row in self._listed(keys.data_key(place.id, "")):
                self._bucket.delete(row.key)
            self._bucket.delete(keys.container_key(account, name))
        self._whole.clear()


def _file(container: str, record: Object) -> StoredFile:
    meta = record.headers.items()
    return StoredFile(
        account=ACCOUNT,
        container=container,
        name=record.name,
        meta={k.removeprefix(_META).lower(): v for k, v in meta if k.startswith(_META)},
        is_manifest=record.fixed.get("X-Static-Large-Object", "").lower() == "true",
        path=Path(record.data),
        size_bytes=record.size,
        changed=(0, 0),
    )


class GatewayInspector(SwiftInspector):
    """The inspector of one namespace of the gateway."""

    def __init__(self, disk: S3Disk, account: str, container: str) -> None:
        super().__init__(disk, account, container)
        self._s3 = disk

    def _object(self, file: StoredFile, rest: Mapping[str, StoredFile]) -> Inspected:
        if not file.is_manifest:
            return super()._object(file, rest)
        pieces = self._pieces(json.loads(self._s3.data(file)), rest)
        one = super()._object(_plain(file), rest)
        return Inspected(
            kind=OwnedKind.OBJECT,
            key=one.key,
            id=one.id,
            size_bytes=sum(piece.size_bytes for piece in pieces),
            digest=self._s3.digest(pieces),
        )


def _plain(file: StoredFile) -> StoredFile:
    return StoredFile(
        account=file.account,
        container=file.container,
        name=file.name,
        meta=file.meta,
        is_manifest=False,
        path=file.path,
        size_bytes=file.size_bytes,
        changed=file.changed,
    )

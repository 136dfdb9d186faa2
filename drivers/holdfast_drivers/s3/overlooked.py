"""What a bucket has though no list shows it: an administrator asks for it by its name.

Servers were seen to leave an acknowledged object out of every list (see the driver's README). An
inspector that believed them would call it lost. What is listed leads to such names: rows, records
and parts. Nothing here is imported from the driver.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import botocore.exceptions  # type: ignore[import-untyped]  # it has no types

from holdfast_drivers.s3.administrator_lists import Listed

_CHUNK_BYTES: Final = 64
_MARKS: Final = ((0x3A, "-"), (0x5B, "="), (0x7B, "_"), (0x100, "~"))
"""The mark of a byte that is no letter and no digit, by the first byte that is above all of its."""
_UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
_ABSENT: Final = (400, 404)
_ROWS: Final = ("uploads/", "settled/")


class Asking:
    """Looks in one namespace for what its list leaves out.

    Args:
        client: the administrator's client.
        bucket: the bucket.
        prefix: what the keys of the namespace begin with.
        row: reads a row that is there.
        metadata: reads what is said of an object that is there.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        prefix: str,
        *,
        row: Callable[[Listed], Awaitable[Mapping[str, Any]]],
        metadata: Callable[[Listed], Awaitable[Mapping[str, str]]],
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._row = row
        self._metadata = metadata

    async def complete(self, own: dict[str, Listed]) -> None:
        """Add to what is listed, by name under the prefix, what is there and is not listed."""
        await self._ask(own, "store.json")
        await self._ask_for_uploads(own)
        for name in [name for name in own if name.startswith(_ROWS)]:
            with _leading_nowhere():
                row = await self._row(own[name])
                await self._ask(own, f"objects/{code_of(row['target'])}")
                if name.startswith("uploads/"):
                    await self._ask_for_parts(own, f"parts/{row['id']}/")

    async def _ask(self, own: dict[str, Listed], name: str) -> bool:
        """Whether a name is there, in the list or not."""
        if name in own:
            return True
        try:
            head = await self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)
        except botocore.exceptions.ClientError as error:
            if _is_absent(error):
                return False
            raise
        etag, modified = str(head["ETag"]), head["LastModified"].timestamp()
        own[name] = Listed(self._prefix + name, etag, int(head["ContentLength"]), float(modified))
        return True

    async def _ask_for_uploads(self, own: dict[str, Listed]) -> None:
        """Every part says whose it is; one of each upload without a row is asked."""
        known: set[str] = set()
        for name in own:
            if name.startswith("uploads/"):
                with _leading_nowhere():
                    known.add(str((await self._row(own[name]))["id"]))
        first: dict[str, Listed] = {}
        for name in sorted(own):
            shelf, _, rest = name.partition("/")
            upload_id = rest.partition("/")[0]
            if shelf == "parts" and upload_id not in known:
                first.setdefault(upload_id, own[name])
        for part in first.values():
            with _leading_nowhere():
                upload = (await self._metadata(part))["holdfast-upload"]
                await self._ask(own, f"uploads/{code_of(upload)}")

    async def _ask_for_parts(self, own: dict[str, Listed], prefix: str) -> None:
        """Wherever the listed numbers are interrupted the next one is asked for, and so on."""
        listed = {int(name.removeprefix(prefix)) for name in own if name.startswith(prefix)}
        for number in sorted({0, *listed}):
            following = number + 1
            while following not in listed and await self._ask(own, f"{prefix}{following:05}"):
                following += 1


@contextmanager
def _leading_nowhere() -> Iterator[None]:
    """What is damaged, or goes while it is looked at, names nothing else."""
    try:
        yield
    except _UNREADABLE:
        return
    except botocore.exceptions.ClientError as error:
        if not _is_absent(error):
            raise


def _is_absent(error: Any) -> bool:
    """Whether a server says that a name is not there, or can be nobody's."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"] in _ABSENT


def code_of(key: str) -> str:
    """The name that stands for a key; see the driver's README."""
    data = key.encode()
    chunks = (data[at : at + _CHUNK_BYTES] for at in range(0, len(data), _CHUNK_BYTES))
    return "+/".join("".join(_codes(chunk)) for chunk in chunks)


def _codes(chunk: bytes) -> Iterator[str]:
    for byte in chunk:
        if byte < 0x80 and chr(byte).isalnum():
            yield chr(byte)
        else:
            mark = next(mark for above, mark in _MARKS if byte < above)
            yield f"{mark}{byte:02x}"

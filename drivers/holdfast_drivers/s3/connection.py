"""One store's connection to its bucket: requests that end with their call, and their errors.

The library retries nothing and waits for nothing by itself: every request ends by the call's own
deadline, and leaves as a driver error. Names are relative to the store's prefix.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

from holdfast.contract.errors import DriverError, Unknown
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.config import S3Config, prefix_of
from holdfast_drivers.s3.errors import code_of, driver_error
from holdfast_drivers.s3.library import exceptions as botocore

T = TypeVar("T")
ABSENT: Final = frozenset({"NoSuchKey", "NoSuchUpload", "404", "NotFound"})
RACED: Final = frozenset({"PreconditionFailed", "412"})
_VERSIONS: Final = frozenset({"x-amz-version-id", "x-amz-delete-marker"})
"""Headers that only a versioned bucket's answers have."""


class Connection:
    """How the requests of one store are sent. Each raises ``DriverError`` and nothing else."""

    def __init__(self, client: Any, config: S3Config) -> None:
        self._client = client
        self._bucket = config.bucket
        self._server = f"S3 server {config.endpoint}"
        self.prefix = prefix_of(config)
        self.ca_file = config.ca_file
        self.versioned = False
        """Whether an answer told of a version: only a hint, which spares other buckets requests."""

    @property
    def server(self) -> str:
        """What the server is called in messages."""
        return self._server

    def full(self, name: str) -> str:
        """The whole key of a name."""
        return f"{self.prefix}{name}"

    async def _ask(self, call: Call, operation: str, **arguments: Any) -> dict[str, Any] | None:
        """A request that changes nothing; ``None`` where the thing is absent."""
        return await self._within(call, operation, self._send(operation, arguments))

    async def _change(self, call: Call, operation: str, **arguments: Any) -> dict[str, Any] | None:
        """A request that changes something; ``None`` where its condition does not hold."""
        answer = await self._within(call, operation, self._send(operation, arguments))
        call.changed = call.changed or answer is not None
        return answer

    async def _send(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            send = getattr(self._client, operation)
            answer: dict[str, Any] = await send(Bucket=self._bucket, **arguments)
        except botocore.ClientError as error:
            self._notice(error.response)
            if code_of(error) in ABSENT | RACED:
                return None
            raise
        self._notice(answer)
        return answer

    def _notice(self, answer: Mapping[str, Any]) -> None:
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        self.versioned = self.versioned or bool(_VERSIONS & headers.keys())

    async def _within(self, call: Call, operation: str, request: Coroutine[Any, Any, T]) -> T:
        what = operation.replace("_", " ")
        try:
            async with asyncio.timeout_at(call.until):
                return await request
        except TimeoutError as error:
            problem: DriverError = Unknown(
                f"{self._server} did not answer {what} before the deadline"
            )
            raise call.failed(problem) from error
        except DriverError as error:
            raise call.failed(error) from error.__cause__
        except LookupError:
            raise
        except Exception as error:  # noqa: BLE001 - the library raises whatever its parts raise
            raise call.failed(driver_error(error, self._server, what)) from None

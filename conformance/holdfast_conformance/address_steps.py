"""Steps about temporary addresses, by which an object is read without credentials."""

import enum

from holdfast_conformance.harness_step import HarnessStep


class MakeAddress(HarnessStep, frozen=True, kw_only=True, tag="make_address"):
    """``temporary_url``; what it answers is kept in the worker under the name ``address``."""

    address: str
    key: str
    expires_s: float


class Method(enum.StrEnum):
    """What is tried with an address; only ``GET`` may work."""

    GET = "GET"
    PUT = "PUT"
    DELETE = "DELETE"


class FetchAddress(HarnessStep, frozen=True, kw_only=True, tag="fetch_address"):
    """One request without credentials to an address that was made before.

    With ``path_of`` it goes to the path of that address, with the query of this one.
    """

    address: str
    method: Method = Method.GET
    path_of: str = ""


class FetchExpired(HarnessStep, frozen=True, kw_only=True, tag="fetch_expired"):
    """Wait until an address must have expired, and try it, for a while if it still works."""

    address: str

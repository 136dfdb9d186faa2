"""What goes between a driver and the agent on the storage host: verbs, calls and handles."""

from typing import Final

import msgspec

from holdfast.contract import requests
from holdfast.contract.handles import BlockNodeHandle, FileHandle
from holdfast.contract.identity import ANY_STORE, ExpectedStore

AgentRequest = requests.PrimaryRequest | requests.LifeCycleRequest
GrantHandle = BlockNodeHandle | FileHandle

FEATURES: Final = "features"
GET_STORE: Final = "get_store"
PROBE: Final = "probe"


class AgentCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One call: the operation it is of, an id for what it may make, its fence, and the request.

    ``expected`` is the store that the folder must be.
    """

    operation: str = ""
    fresh: str = ""
    fence: int = 0
    request: AgentRequest | None = None
    expected: ExpectedStore = ANY_STORE

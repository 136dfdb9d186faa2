"""The driver ``memory``, which can be imported by two processes of a run and by no third one.

The file named by ``STARTS_VARIABLE`` grows by one byte with each of them.
"""

import os
from pathlib import Path

from holdfast_drivers.memory.provider import MemoryProvider

STARTS_VARIABLE = "TEST_STARTS"

with Path(os.environ[STARTS_VARIABLE]).open("ab") as starts:
    starts.write(b".")
    starts.flush()
    if starts.tell() > 2:
        raise ImportError("no licence for a third process")


class Provider(MemoryProvider):
    """The provider ``memory``."""

"""Starts Python processes that look for modules where they were installed, and nowhere else.

Started plainly, ``python -m`` and ``python -c`` look into the current folder first: whoever can put
a file there has it executed.
"""

import os
import sys
from typing import Final

SAFE_PATH: Final = "PYTHONSAFEPATH"
"""The variable by which Python, and every Python that it starts, leaves the current folder out."""
_PATH: Final = "PYTHONPATH"


def python_command(*arguments: str) -> list[str]:
    """The command that starts this interpreter with arguments such as ``-m MODULE``."""
    return [sys.executable, "-P", *arguments]


def python_environment() -> dict[str, str]:
    """The environment for a Python that is started from this process.

    An empty entry of ``PYTHONPATH`` means the current folder, as a rule by mistake: it is left out.
    """
    environment = {**os.environ, SAFE_PATH: "1"}
    if _PATH in environment:
        named = filter(None, environment[_PATH].split(os.pathsep))
        environment[_PATH] = os.pathsep.join(named)
    return environment

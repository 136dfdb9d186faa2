"""``python -m holdfast_conformance.testbed_process CONTROL PARENT PROVIDER TESTBED RUN``."""

import asyncio
import socket
import sys

from holdfast_conformance.processes import adopt_orphans, die_with_parent
from holdfast_conformance.testbed_process.lifetime import BackendProcess


def main(arguments: list[str]) -> None:
    """Run a testbed behind an inherited socket."""
    control, parent, provider, testbed, run = arguments
    die_with_parent(int(parent))
    adopt_orphans()  # so that they end with the backend they belong to
    with socket.socket(fileno=int(control)) as supervisor:
        asyncio.run(BackendProcess(supervisor, run).live(provider, testbed))


if __name__ == "__main__":
    main(sys.argv[1:])

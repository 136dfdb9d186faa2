"""``python -m holdfast_conformance.worker FD FD FD FD FD PARENT``: numbers only."""

import sys

from holdfast_conformance.processes import adopt_orphans, die_with_parent
from holdfast_conformance.protocol import Channel
from holdfast_conformance.worker.main import Worker


def main(arguments: list[str]) -> None:
    """Run a worker on inherited descriptors."""
    commands, reports, backend, stdout, stderr, parent = map(int, arguments)
    die_with_parent(parent)
    adopt_orphans()  # so that what a driver detaches can be counted
    Worker(Channel(commands, reports), backend, stdout, stderr).run()


if __name__ == "__main__":
    main(sys.argv[1:])

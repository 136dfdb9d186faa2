"""``python -m benchmarks``: what a durable operation and a generated plan cost here, in one run."""

import platform

from benchmarks import operations, plans


def main() -> None:
    """Print every figure, with what it ran on and the goals beside them."""
    print(f"Python {platform.python_version()} on {platform.machine()}")
    for line in (*operations.main(), *plans.main()):
        print(line)


main()

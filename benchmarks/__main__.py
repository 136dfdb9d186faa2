"""``python -m benchmarks``: what a durable operation, its history and a plan cost here."""

import platform

from benchmarks import history, operations, plans


def main() -> None:
    """Print every figure, with what it ran on and the goals beside them."""
    print(f"Python {platform.python_version()} on {platform.machine()}")
    for line in (*operations.main(), *history.main(), *plans.main()):
        print(line)


main()

"""``python -m benchmarks``: what an operation, its history and a plan cost here, and what grows."""

import platform

from benchmarks import growth, history, operations, plans


def main() -> None:
    """Print every figure, with what it ran on and the goals beside them."""
    print(f"Python {platform.python_version()} on {platform.machine()}")
    for line in (*operations.main(), *history.main(), *plans.main(), *growth.main()):
        print(line)


main()

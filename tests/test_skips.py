"""What the tests say of what they did not run."""

from skips import not_run

NO_ENGINE = "Skipped: no container engine answers; run: holdfast backends build"


def test_each_backend_that_was_not_run_is_told_in_one_line_with_the_reason() -> None:
    """Tests of one backend, in whatever folder they are, are counted together."""
    skips = (
        ("tests/drivers/nfs/test_exports.py::test_one", NO_ENGINE),
        ("tests/backends/test_faults.py::test_two[nfs-container:qcow2-primary]", NO_ENGINE),
        ("tests/backends/test_faults.py::test_two[nfs-image-container-image]", NO_ENGINE),
        ("tests/servers/test_servers.py::test_three", "Skipped: it is Tuesday"),
    )

    assert not_run(skips) == [
        "not run: nfs, 2 tests: no container engine answers; run: holdfast backends build",
        "not run: nfs-image, 1 tests: no container engine answers; run: holdfast backends build",
        "not run: other tests, 1 tests: it is Tuesday",
    ]

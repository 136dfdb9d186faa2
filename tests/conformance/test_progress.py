"""What is told of a run that is under way, where there is no terminal."""

import pytest

from holdfast_conformance.supervision.progress import QUIET_S, Lines, watcher


class Clock:
    """A time that tests set."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_each_part_of_a_run_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error alone, and not where there is nothing to do."""
    lines = Lines(Clock())
    lines.phase("image: loading", 1)
    lines.phase("image: executing", 40)
    lines.phase("reducing failures", 0)

    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "image: loading\nimage: executing (40)\n")


def test_how_far_it_is_is_told_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """At most once in ten seconds: share, count, and failures where there are any."""
    clock = Clock()
    lines = Lines(clock)
    lines.phase("image: executing", 40)
    for _ in range(20):
        clock.now_s += QUIET_S / 5
        lines.advance(1, 0)
    clock.now_s += QUIET_S
    lines.advance(2, 3)

    assert capsys.readouterr().err.splitlines() == [
        "image: executing (40)",
        "image: executing: 12 %, 5 of 40",
        "image: executing: 25 %, 10 of 40",
        "image: executing: 37 %, 15 of 40",
        "image: executing: 50 %, 20 of 40",
        "image: executing: 55 %, 22 of 40, 3 failed",
    ]


def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A log shows that something happens, and standard output stays for the answer."""
    with watcher() as progress:
        progress.phase("smoke: mutants", 3)

    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "smoke: mutants (3)\n")

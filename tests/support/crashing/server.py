"""A process without threads that forks: it plays the demo in children, kills, recovers and looks.

Run as a program with an empty folder: answers each line of stdin, a ``Job`` or a ``CutJob``.
"""

import shutil
import sys
from pathlib import Path

import msgspec

from crashing.looking import Seen
from crashing.playing import Moment, Played, look_in_child, play, recover_and_die
from crashing.power import Cut, power_cuts
from holdfast.catalogue.migrations import revisions
from holdfast.files.mutations import MutationKind


class Job(msgspec.Struct, frozen=True, kw_only=True, tag="kill"):
    """One run of the demo: to its end, or killed at a point or a moment.

    With ``kill_recovery_at`` the first recovery is killed at a point as well.
    """

    kill_at: int = -1
    moment: Moment | None = None
    kill_recovery_at: int = -1


class CutJob(msgspec.Struct, frozen=True, kw_only=True, tag="cut"):
    """One run of the demo, with power cuts at every n-th sync."""

    every: int = 1
    never: tuple[MutationKind, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run, and what recovery made of it."""

    job: Job
    played: Played
    seen: Seen
    log: str = ""

    @property
    def inside(self) -> bool:
        """Whether the demo was killed while an operation was under way."""
        return self.played.status != 0 and self.seen.recovered > 0


def run_job(workplace: Path, job: Job) -> Report:
    """Play, then recover and look in a fresh process; the workplace is empty again afterwards."""
    folder, image, log = workplace / "demo", workplace / "image.raw", workplace / "log"
    played = play(folder, image, log, kill_at=job.kill_at, moment=job.moment)
    if job.kill_recovery_at >= 0:
        recover_and_die(folder, log, kill_at=job.kill_recovery_at)
    seen = look_in_child(folder, played.promises, answer=workplace / "seen", log=log)
    report = Report(job=job, played=played, seen=seen, log=log.read_text() if seen.problems else "")
    log.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return report


def make_image(path: Path) -> None:
    """A raw disk of 256 KiB with data, zeroes and a hole."""
    with path.open("wb") as file:
        file.write(bytes(range(256)) * 64 + bytes(16384))
        file.seek(200 << 10)
        file.write(b"holdfast" * 1024)
        file.truncate(256 << 10)


def main() -> None:
    """Serve jobs until stdin ends."""
    workplace = Path(sys.argv[1])
    revisions()  # loads Alembic here, once, and not in every child
    image = workplace / "image.raw"
    make_image(image)
    for line in sys.stdin.buffer:
        job: Job | CutJob = msgspec.json.decode(line, type=Job | CutJob)
        answer: Report | list[Cut]
        if isinstance(job, Job):
            answer = run_job(workplace, job)
        else:
            answer = list(power_cuts(workplace, image, every=job.every, never=job.never))
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

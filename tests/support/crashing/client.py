"""Runs jobs on several servers at once, each in a process and a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from crashing.power import Cut
from crashing.server import CutJob, Job, Report


def _serve(folder: Path, jobs: Sequence[Job | CutJob]) -> list[bytes]:
    folder.mkdir()
    support = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (support, os.environ.get("PYTHONPATH", ""))))
    done = subprocess.run(
        [sys.executable, "-m", "crashing.server", str(folder)],
        input=b"".join(msgspec.json.encode(job) + b"\n" for job in jobs),
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    return done.stdout.splitlines()


def run_jobs(folder: Path, jobs: Sequence[Job], *, servers: int = 1) -> list[Report]:
    """Run jobs in an empty folder; the reports are in no order."""
    shares = [jobs[first::servers] for first in range(servers)]
    with ThreadPoolExecutor(servers) as pool:
        folders = [folder / f"server-{number}" for number in range(servers)]
        answers = pool.map(_serve, folders, shares)
        lines = [line for answer in answers for line in answer]
    return [msgspec.json.decode(line, type=Report) for line in lines]


def cut_power(folder: Path, job: CutJob) -> list[Cut]:
    """The power cuts of one demo, in their order; the folder is empty."""
    (line,) = _serve(folder / "server", [job])
    return msgspec.json.decode(line, type=list[Cut])

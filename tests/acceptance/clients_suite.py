"""Runs rclone and restic, as Debian has them, against a server of Swift.

Every step says in advance what it must give, from the files alone and not from a server: so two
servers that pass gave equal results.
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
from tests.acceptance.commands import run_program
from tests.acceptance.outcomes import Outcome, Run, Suite, progress
from tests.acceptance.swift_suite import Target

from holdfast.contract.errors import EnvironmentUnavailable

_STEP_S = 120.0
_SAID = 1500
"""Characters kept of what a failed step said."""
_PASSWORD = "of-nobody"
FILES: Mapping[str, bytes] = {
    "empty": b"",
    "one.txt": b"one",
    "with space & sign #1.txt": b"two words",
    "naïve/Ελλάδα/文件.bin": bytes(range(256)) * 40,
    "deep/er/and/deeper/file": b"deep" * 1000,
    "large.bin": hashlib.sha256(b"large").digest() * (5 << 15),
}
"""The last has 5 MiB, which rclone cuts into segments of 1 MiB here."""
CHANGED: Mapping[str, bytes] = {
    **{name: data for name, data in FILES.items() if name != "one.txt"},
    "deep/er/and/deeper/file": b"changed" * 999,
    "new.txt": b"new",
}


class Wrong(Exception):
    """A step gave something else than it must."""


class Clients(msgspec.Struct, frozen=True, kw_only=True):
    """The two programs, a folder to work in, and the account that they are pointed at."""

    rclone: str
    restic: str
    folder: Path
    target: Target

    @property
    def environment(self) -> dict[str, str]:
        """Who asks and where, as both programs are told it; secrets are in no argument."""
        login = self.target.logins[0]
        user = f"{login.account}:{login.user}"
        auth = f"http://{self.target.host}:{self.target.port}/auth/v1.0"
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_SWIFT_USER": user,
            "RCLONE_SWIFT_KEY": login.key,
            "RCLONE_SWIFT_AUTH": auth,
            "RCLONE_SWIFT_CHUNK_SIZE": "1Mi",
            "ST_AUTH": auth,
            "ST_USER": user,
            "ST_KEY": login.key,
            "RESTIC_REPOSITORY": "swift:restic:/repository",
            "RESTIC_PASSWORD": _PASSWORD,
        }

    def tree(self, name: str, files: Mapping[str, bytes]) -> Path:
        """A folder with exactly these files."""
        top = self.folder / name
        shutil.rmtree(top, ignore_errors=True)
        for path, data in files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(data)
        return top

    async def run(self, *command: str, fails: bool = False) -> str:
        """What a program said; ``Wrong`` where it failed, or did not where it must."""
        ended = await run_program(command, timeout_s=_STEP_S, environment=self.environment)
        if ended.late or (ended.status != 0) is not fails:
            how = "did not end" if ended.late else f"ended with {ended.status}"
            raise Wrong(f"{' '.join(command[:4])} {how}: {ended.said[-_SAID:]}")
        return ended.said

    async def copied(self, *words: str) -> str:
        """What rclone said."""
        return await self.run(self.rclone, "--retries", "1", "--low-level-retries", "1", *words)

    async def kept(self, *words: str, fails: bool = False) -> str:
        """What restic said."""
        return await self.run(self.restic, "--no-cache", "--quiet", *words, fails=fails)

    async def listed(self, place: str, files: Mapping[str, bytes]) -> None:
        """A container has exactly these files, each with its size and MD5."""
        told = await self.copied("lsf", "-R", "--files-only", "--format", "psh", place)
        # rclone knows no MD5 of an object that is made of segments.
        wanted = [
            f"{name};{len(data)};{'' if len(data) > 1 << 20 else hashlib.md5(data).hexdigest()}"
            for name, data in files.items()
        ]
        same(sorted(told.splitlines()), sorted(wanted))


def same(found: object, wanted: object) -> None:
    """Raise ``Wrong`` where two things differ."""
    if found != wanted:
        raise Wrong(f"it gave {found!r}, not {wanted!r}")


def files_in(top: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()
    }


async def _copy_there(it: Clients) -> None:
    await it.copied("copy", str(it.tree("source", FILES)), ":swift:tree")
    await it.listed(":swift:tree", FILES)


async def _copy_back(it: Clients) -> None:
    back = it.tree("back", {})
    await it.copied("copy", ":swift:tree", str(back))
    same(files_in(back), dict(FILES))
    await it.copied("check", "--download", str(it.folder / "source"), ":swift:tree")


async def _nothing_to_do(it: Clients) -> None:
    told = await it.copied("sync", "--dry-run", str(it.folder / "source"), ":swift:tree")
    same([line for line in told.splitlines() if "Skipped" in line], [])


async def _sync(it: Clients) -> None:
    await it.copied("sync", str(it.tree("source", CHANGED)), ":swift:tree")
    await it.listed(":swift:tree", CHANGED)


async def _copy_inside(it: Clients) -> None:
    small = {name: data for name, data in CHANGED.items() if len(data) < 1 << 20}
    await it.copied("copy", "--exclude", "large.bin", ":swift:tree", ":swift:twin/below")
    await it.listed(":swift:twin/below", small)


async def _ranges(it: Clients) -> None:
    data = CHANGED["large.bin"]
    at, count = (1 << 20) - 3, 10  # over the border of two segments
    place = it.folder / "part"
    told = await it.run(
        "/bin/sh",
        "-c",
        f"{it.rclone} cat --offset {at} --count {count} :swift:tree/large.bin > {place}",
    )
    same((told, place.read_bytes()), ("", data[at : at + count]))


async def _stream(it: Clients) -> None:
    source = it.folder / "source" / "large.bin"
    await it.run("/bin/sh", "-c", f"{it.rclone} rcat :swift:twin/streamed < {source}")
    back = it.tree("streamed", {})
    await it.copied("copy", ":swift:twin/streamed", str(back))
    same(files_in(back), {"streamed": CHANGED["large.bin"]})


async def _move_and_remove(it: Clients) -> None:
    await it.copied("moveto", ":swift:twin/below/new.txt", ":swift:twin/moved.txt")
    await it.copied("deletefile", ":swift:twin/below/empty")
    told = await it.copied("lsf", "-R", "--files-only", ":swift:twin")
    gone = {"new.txt", "empty", "large.bin"}
    wanted = {f"below/{name}" for name in CHANGED if name not in gone}
    same(set(told.splitlines()), wanted | {"moved.txt", "streamed"})


async def _purge(it: Clients) -> None:
    for name in ("tree", "twin", "tree_segments", "twin_segments"):
        await it.copied("purge", f":swift:{name}")
    same(await it.copied("lsf", ":swift:"), "")


async def _make_repository(it: Clients) -> None:
    await it.kept("init")
    await it.kept("init", fails=True)  # it is there


async def _back_up(it: Clients) -> None:
    for files in (FILES, CHANGED):
        top = it.tree("saved", files)
        await it.kept("backup", str(top))
    told = json.loads(await it.kept("snapshots", "--json"))
    same([one["paths"] for one in told], [[str(it.folder / "saved")]] * 2)


async def _look(it: Clients) -> None:
    lines = (await it.kept("ls", "latest", "--json")).splitlines()
    found = {
        one["path"].removeprefix(f"{it.folder}/saved/"): one.get("size", 0)
        for one in map(json.loads, lines)
        if one.get("type") == "file"
    }
    same(found, {name: len(data) for name, data in CHANGED.items()})


async def _restore(it: Clients) -> None:
    for which, files in (("latest", CHANGED), ("first", FILES)):
        told = json.loads(await it.kept("snapshots", "--json"))
        snapshot = "latest" if which == "latest" else str(told[0]["short_id"])
        back = it.tree("restored", {})
        await it.kept("restore", snapshot, "--target", str(back))
        same(files_in(Path(f"{back}{it.folder}/saved")), dict(files))


async def _forget(it: Clients) -> None:
    await it.kept("check", "--read-data")
    await it.kept("forget", "--keep-last", "1", "--prune")
    await it.kept("check", "--read-data")
    same(len(json.loads(await it.kept("snapshots", "--json"))), 1)
    back = it.tree("restored", {})
    await it.kept("restore", "latest", "--target", str(back))
    same(files_in(Path(f"{back}{it.folder}/saved")), dict(CHANGED))


async def _end_repository(it: Clients) -> None:
    await it.kept("unlock")
    await it.copied("purge", ":swift:restic")
    await it.kept("snapshots", fails=True)  # which makes the container again, empty
    await it.copied("purge", ":swift:restic")
    same(await it.copied("lsf", ":swift:"), "")


Step = Callable[[Clients], Awaitable[None]]
STEPS: Mapping[str, Step] = {
    "rclone.copies_a_tree_there": _copy_there,
    "rclone.copies_it_back": _copy_back,
    "rclone.finds_nothing_to_do": _nothing_to_do,
    "rclone.syncs_changes": _sync,
    "rclone.copies_inside_the_server": _copy_inside,
    "rclone.reads_a_range": _ranges,
    "rclone.sends_a_stream": _stream,
    "rclone.moves_and_removes": _move_and_remove,
    "rclone.purges_containers": _purge,
    "restic.makes_a_repository": _make_repository,
    "restic.backs_up_twice": _back_up,
    "restic.lists_a_snapshot": _look,
    "restic.restores_both": _restore,
    "restic.forgets_and_prunes": _forget,
    "restic.leaves_nothing": _end_repository,
}


async def run_clients(target: Target) -> Run:
    """Take every step in turn; what fails is told, and the next is taken all the same.

    Raises:
        EnvironmentUnavailable: a program is not on this machine.
    """
    outcomes: dict[str, Outcome] = {}
    messages: dict[str, str] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="holdfast-clients-") as folder:
        it = Clients(
            rclone=_program("rclone"),
            restic=_program("restic"),
            folder=Path(folder),
            target=target,
        )
        for name, step in STEPS.items():
            try:
                await step(it)
            except (Wrong, OSError, ValueError, KeyError, IndexError) as why:
                messages[name] = str(why)
            outcomes[name] = Outcome.FAILED if name in messages else Outcome.PASSED
    took = time.monotonic() - began
    progress(target.product, "rclone and restic", outcomes, took)
    return Run(
        suite=Suite.CLIENTS,
        product=target.product,
        identity=target.identity,
        outcomes=outcomes,
        messages=messages,
        seconds=took,
    )


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise EnvironmentUnavailable(f"{name} is missing; install the package {name}")
    return found

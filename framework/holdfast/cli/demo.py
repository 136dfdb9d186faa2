"""``holdfast demo``: the whole story on real input, with each digest."""

import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from holdfast.concurrency.interruptions import run_program
from holdfast.contract.errors import ExitCode, UsageError
from holdfast.demo.play import CATALOGUE, Played, play
from holdfast.demo.rehearsal import rehearse
from holdfast.demo.stage import FOLDERS, Wanted, running_stage
from holdfast.demo.story import Chapter, Comparison
from holdfast.operations.plan_text import human_bytes
from holdfast.text.foreign import complain, tell, tell_json, tell_progress

INTERRUPTED = 130


class DemoReport(msgspec.Struct, frozen=True, kw_only=True):
    """The demo for machines."""

    passed: bool
    directory: str
    """Where catalogue and stores are; empty when they were removed."""
    chapters: tuple[Chapter, ...]
    comparisons: tuple[Comparison, ...]


def register(app: typer.Typer) -> None:
    """Add ``holdfast demo``."""
    app.command("demo")(run_demo)


def run_demo(  # noqa: PLR0917 - typer makes options of parameters
    image: Annotated[
        Path | None,
        typer.Option(help="A raw or qcow2 disk image; without it a file system is built."),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(help="Keep catalogue and stores here; must be empty or not exist yet."),
    ] = None,
    primary: Annotated[
        str,
        typer.Option(
            help="The provider of the primary stores: local, or one whose server is started for "
            "the story, such as nfs or iscsi; NAME or NAME:KIND."
        ),
    ] = FOLDERS,
    image_store: Annotated[
        str,
        typer.Option(help="The provider of the image store, likewise: local, swift, s3, ..."),
    ] = FOLDERS,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print every plan; touch nothing.")
    ] = False,
) -> None:
    """Play the whole story: stores, template, volume, write, snapshot, backup, grow, revert,
    restore.

    Without --directory it plays in a temporary folder that is removed at the end.
    """
    choice = Wanted(primary=primary, images=image_store)
    if choice.servers and (dry_run or directory is not None):
        raise UsageError(
            "servers run only for the story, so that nothing of them can be kept or planned "
            "beforehand; leave --directory and --dry-run out"
        )
    if dry_run:
        _rehearse(image, as_json=as_json)
        return
    if directory is not None:
        _play(directory, image, choice, kept=True, as_json=as_json)
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as folder:
        _play(Path(folder), image, choice, kept=False, as_json=as_json)


def _rehearse(image: Path | None, *, as_json: bool) -> None:
    plans = run_program(rehearse(image))
    if as_json:
        tell_json(plans)
        return
    for plan in plans:
        tell(*plan.lines())
    moved = sum(plan.moved_bytes for plan in plans)
    seconds = sum(plan.seconds for plan in plans)
    steps = sum(len(plan.steps) for plan in plans)
    tell(
        f"In all {steps} steps, at most {human_bytes(moved)} moved, about {seconds:.1f} s "
        "(assuming 200 MiB/s and 20 ms a call). Nothing was touched."
    )


def _play(folder: Path, image: Path | None, choice: Wanted, *, kept: bool, as_json: bool) -> None:
    chapters: list[Chapter] = []

    def show(chapter: Chapter) -> None:
        chapters.append(chapter)
        if not as_json:
            tell(_line(chapter))
        _progress(f"{chapter.number}: {chapter.title}")

    async def on_stage() -> Played:
        if choice.servers:
            _progress("starting the servers")
        async with running_stage(choice) as stage:
            for line in stage.told():
                complain(line)
            return await play(folder, image, show, stage)

    try:
        played = run_program(on_stage())
    except KeyboardInterrupt:
        complain(_advice_after_interrupt(folder, kept=kept))
        raise typer.Exit(INTERRUPTED) from None
    finally:
        _progress("")
    where = str(folder) if kept else ""
    if as_json:
        report = DemoReport(
            passed=played.passed,
            directory=where,
            chapters=tuple(chapters),
            comparisons=played.comparisons,
        )
        tell_json(report)
    else:
        _conclude(played, folder, choice, kept=kept)
    if not played.passed:
        raise typer.Exit(ExitCode.FAILED)


def _line(chapter: Chapter) -> str:
    size = human_bytes(chapter.size_bytes) if chapter.size_bytes else ""
    line = f"{chapter.number:3d}  {chapter.title:<36} {size:>10}  {chapter.digest}"
    return line.rstrip()


def _conclude(played: Played, folder: Path, choice: Wanted, *, kept: bool) -> None:
    for one in played.comparisons:
        if not one.agrees:
            tell(f"     {one.what}: expected {one.expected}, found {one.found}")
    agreeing = sum(one.agrees for one in played.comparisons)
    verdict = "PASS" if played.passed else "FAIL"
    tell(f"{verdict}  {agreeing} of {len(played.comparisons)} digests agree")
    if kept:
        catalogue = shlex.quote(str(folder / CATALOGUE))
        tell(
            f"Next: holdfast operations --catalogue {catalogue}   what was done",
            f"      holdfast scrub --deep --catalogue {catalogue}   does it still agree",
            f"      holdfast recover --catalogue {catalogue}   after a crash or Ctrl-C",
        )
    elif not choice.servers:
        tell(
            "The temporary folder was removed; keep it with --directory DIR, and then try "
            "holdfast operations, scrub and recover on it"
        )


def _advice_after_interrupt(folder: Path, *, kept: bool) -> str:
    if not kept:
        return "interrupted; the temporary folder and all servers were removed"
    if not (folder / CATALOGUE).exists():
        return f"interrupted before anything was accepted; remove {folder} and start again"
    return (
        "interrupted; what is unfinished is in the journal. Finish it with: "
        f"holdfast recover --catalogue {shlex.quote(str(folder / CATALOGUE))}"
    )


def _progress(text: str) -> None:
    """The last chapter on stderr, where a person looks and stdout goes elsewhere."""
    if sys.stderr.isatty() and not sys.stdout.isatty():
        tell_progress(text)

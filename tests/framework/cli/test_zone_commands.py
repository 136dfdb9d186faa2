"""A zone driven from the command line, in this process."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.assembly import open_orchestrator
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.cli import row_names
from holdfast.workflows import create_volume
from zone_program import Program, adding
from zones import Faults, FaultyOpener, Killed, MortalCatalogue, Switch

SECTORS = b"".join(bytes([n]) * 512 for n in range(64))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A zone with a host, a primary store and an image store in folders."""
    made = Program(tmp_path)
    made.done("zone", "create", "zone-1")
    made.done("host", "add", "host-1", "--zone", "zone-1")
    for name, role in (("fast", "primary"), ("images", "image")):
        made.done(*adding(made, name, role))
    return made


def template(program: Program) -> tuple[str, ...]:
    image = program.folder / "disk.raw"
    image.write_bytes(SECTORS)
    return ("template", "register", "disk", "--image", str(image), "--store", "images")


@pytest.mark.slow
def test_a_zone_lives_through_its_commands(program: Program) -> None:
    """Every workflow has a command, by names; afterwards scrub is clean and stores can go."""
    for command in (
        template(program),
        ("volume", "create", "root", "--store", "fast", "--template", "disk"),
        ("volume", "create", "data", "--store", "fast", "--bytes", "8192"),
        ("volume", "attach", "root", "--host", "host-1"),
        ("volume", "detach", "root", "--host", "host-1"),
        ("snapshot", "create", "before", "--volume", "root"),
        ("backup", "create", "kept", "--snapshot", "before", "--store", "images"),
        ("volume", "resize", "root", "--bytes", "65536"),
        ("volume", "revert", "root", "--snapshot", "before"),
        ("backup", "restore", "kept", "--volume", "again", "--store", "fast"),
        ("store", "maintain", "fast"),
        ("store", "cancel-maintenance", "fast"),
    ):
        program.done(*command)

    assert program.done("scrub", "--deep").startswith("clean: 2 stores")
    assert "unfinished" not in program.done("operations")

    for command in (
        ("backup", "delete", "kept"),
        ("snapshot", "delete", "before"),
        ("volume", "delete", "again"),
        ("volume", "delete", "root"),
        ("volume", "delete", "data"),
        ("store", "remove", "fast"),
    ):
        program.done(*command)

    assert program.done("scrub").startswith("clean: 1 stores")


@pytest.mark.slow
def test_a_dry_run_of_any_command_touches_nothing(program: Program) -> None:
    """The plan is printed with its bytes; journal and folders stay as they are."""
    before = program.done("operations", "--json")

    plan = program.done(*template(program), "--dry-run")
    other = json.loads(program.done(*adding(program, "more", "primary"), "--dry-run", "--json"))

    assert plan.startswith("register_template: 2 steps, at most 64.0 KiB moved")
    assert [step["kind"] for step in other["steps"]] == [
        "life_cycle.initialize",
        "life_cycle.attach",
        "store.describe",
    ]
    assert program.done("operations", "--json") == before
    assert not (program.folder / "more").exists()


@pytest.mark.slow
def test_wrong_names_get_the_nearest(program: Program) -> None:
    """An unknown store, driver, configuration key or row is named with what comes near it."""
    create = ("volume", "create", "v", "--bytes", "1", "--store")
    bad_key = ("--provider", "local", "--role", "primary", "--config", "rot=/x")

    assert program.refused(*create, "fst") == "there is no store 'fst'; did you mean fast?"
    assert "did you mean local?" in program.refused(
        "store", "add", "s", "--provider", "locla", "--role", "image"
    )
    assert "did you mean root?" in program.refused("store", "add", "s", *bad_key)
    assert "there is no volume 'root'" in program.refused("volume", "delete", "root")


@pytest.mark.slow
def test_what_the_zone_does_not_allow_is_refused_in_one_line(program: Program) -> None:
    """A workflow that cannot begin says what is in its way."""
    program.done("volume", "create", "data", "--store", "fast", "--bytes", "8192")
    program.done("volume", "attach", "data", "--host", "host-1")

    assert program.refused("volume", "delete", "data") == (
        "volume data is attached to host-1; detach it first"
    )
    assert program.refused("store", "remove", "fast") == (
        "store fast still holds 1: data; delete them first"
    )
    assert "named fast already" in program.refused(*adding(program, "fast", "primary"))
    assert "needs --bytes" in program.refused("volume", "create", "x", "--store", "fast")


async def cut_off(program: Program) -> None:
    """A process that dies after it has made a volume, and before it has said so."""
    switch = Switch()
    faults = Faults()
    async with open_catalogue(program.catalogue) as catalogue:
        mortal = MortalCatalogue(catalogue, switch)
        async with open_orchestrator(mortal, opener=FaultyOpener(faults, switch)) as orchestrator:
            store = await catalogue.transact(lambda tx: row_names.store(tx, "fast"))
            switch.kill_after(6)
            await orchestrator.run(create_volume(name="data", store=store, size_bytes=8192))


@pytest.mark.slow
def test_recover_says_what_it_finished(program: Program) -> None:
    """What a dead process left is finished, named, and not found a second time."""
    with pytest.raises(BaseExceptionGroup) as ended:
        asyncio.run(cut_off(program))
    assert ended.value.split(Killed)[1] is None

    assert "1 unfinished: run holdfast recover" in program.done("operations")
    assert program("scrub").exit_code == 1
    plain = json.loads(program.done("recover", "--json"))
    assert [(row["kind"], row["found"], row["verdict"]) for row in plain] == [
        ("create_volume", "Running", "succeeded")
    ]
    assert program.done("recover") == "nothing to recover\n"
    assert program.done("scrub").startswith("clean")


def test_a_catalogue_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Only `zone create` (and the demo) makes a catalogue."""
    program = Program(tmp_path)

    for command in (("recover",), ("scrub",), ("operations",), ("volume", "delete", "v")):
        assert "there is no such catalogue" in program.refused(*command)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_second_process_is_told_who_holds_the_catalogue(program: Program) -> None:
    """While another process has the catalogue, every command is refused with its process id."""
    hold = (
        "import asyncio, sys\n"
        "from holdfast.catalogue.sqlite import open_catalogue\n"
        "async def main():\n"
        "    async with open_catalogue(sys.argv[1]):\n"
        "        print('held', flush=True)\n"
        "        sys.stdin.read()\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", hold, str(program.catalogue)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        refusal = program.refused("recover")
        holder.stdin.close()

    assert str(holder.pid) in refusal

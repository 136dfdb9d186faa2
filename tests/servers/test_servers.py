"""Servers in containers, on a real engine."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers.container_client import engine_client, found_container
from holdfast_drivers.servers.running_servers import Completed, Mount, Server, run_server
from tiny_server import GREETING, greeting, greets, tiny

pytestmark = pytest.mark.slow


def exists(name: str) -> bool:
    with engine_client() as client:
        return found_container(client, name) is not None


def test_a_server_is_ready_inside_the_context_and_gone_after_it(run: str) -> None:
    """A server answers at its address when the context begins, and is removed when it ends."""

    async def story() -> tuple[bytes, str]:
        async with run_server(tiny(), run, greets) as server:
            assert exists(server.name)
            return await greeting(server.address), server.name

    said, name = asyncio.run(story())

    assert (said, exists(name)) == (GREETING, False)


def test_a_killed_server_comes_back_at_its_address_with_its_files(run: str) -> None:
    """After kill and start the address and what was written are as before."""

    async def story() -> tuple[bool, bytes, str, str]:
        async with run_server(tiny(), run, greets) as server:
            await server.put_file("/srv/greeting", b"changed\n")
            await server.kill()
            running = await server.is_running()
            await server.start()
            async with run_server(tiny(), run, lambda it: _says(it, b"changed\n")) as again:
                return running, await greeting(again.address), again.address, server.address

    running, said, after, before = asyncio.run(story())

    assert (running, said, after) == (False, b"changed\n", before)


async def _says(server: Server, expected: bytes) -> bool:
    return await greeting(server.address) == expected


def test_a_run_adopts_the_server_that_it_left_behind(run: str) -> None:
    """The same backend and run get the same container, even one that was killed meanwhile."""

    async def story() -> tuple[int, int, bytes]:
        async with run_server(tiny(), run, greets) as first:
            await first.put_file("/srv/mark", b"kept")
            await first.kill()
            async with run_server(tiny(), run, greets) as second:
                kept = await second.exec(["cat", "/srv/mark"])
                return await second.pid(), os.getpid(), kept.stdout

    pid, own, kept = asyncio.run(story())

    assert (pid > 0, pid != own, kept) == (True, True, b"kept")


def test_a_command_inside_gets_its_input_and_gives_output_errors_and_status(run: str) -> None:
    """`exec` passes all bytes in and out, apart, and the exit status."""
    data = bytes(range(256)) * 4096

    async def story() -> tuple[Completed, Completed]:
        async with run_server(tiny(), run, greets) as server:
            failed = await server.exec(["sh", "-c", "echo out; echo bad >&2; exit 7"])
            return failed, await server.exec(["cat"], data)

    failed, copied = asyncio.run(story())

    assert failed == Completed(status=7, stdout=b"out\n", stderr=b"bad\n")
    assert copied == Completed(status=0, stdout=data, stderr=b"")


def test_a_long_lived_command_answers_many_questions_and_costs_no_thread(run: str) -> None:
    """`connect` keeps one process inside for any number of questions; nothing runs here."""

    async def story() -> tuple[list[bytes], bytes, int]:
        async with run_server(tiny(), run, greets) as server:
            threads = {thread.name.rpartition("_")[0] for thread in threading.enumerate()}
            async with await server.connect(["cat"]) as stream:
                answers: list[bytes] = []
                for number in range(50):
                    await stream.write(b"%d\n" % number)
                    answers.append(await stream.read_line())
                await stream.write(b"12345")
                exact = await stream.read_exactly(5)
                tasks = len(asyncio.all_tasks())
            now = {thread.name.rpartition("_")[0] for thread in threading.enumerate()}
            assert now <= threads
            return answers, exact, tasks

    answers, exact, tasks = asyncio.run(story())

    assert answers == [b"%d\n" % number for number in range(50)]
    assert (exact, tasks) == (b"12345", 1)


def test_a_long_lived_command_that_ends_says_why(run: str) -> None:
    """Reading on after the end raises ``EOFError`` with what was written to standard error."""

    async def story() -> None:
        async with (
            run_server(tiny(), run, greets) as server,
            await server.connect(["sh", "-c", "echo no such luck >&2"]) as stream,
        ):
            await stream.read_line()

    with pytest.raises(EOFError, match="no such luck"):
        asyncio.run(story())


def test_a_paused_server_accepts_and_does_not_answer(run: str) -> None:
    """While a server is paused clients wait; afterwards they are answered."""

    async def story() -> tuple[bool, bytes]:
        async with run_server(tiny(), run, greets) as server:
            await server.pause()
            waiting = asyncio.ensure_future(greeting(server.address))
            running = await server.is_running()
            assert not waiting.done()
            await server.unpause()
            return running, await waiting

    assert asyncio.run(story()) == (True, GREETING)


def test_a_folder_of_this_machine_is_mounted_as_asked(run: str, tmp_path: Path) -> None:
    """A mount shows the folder, and is read-only unless it is said to be writable."""
    (tmp_path / "note").write_bytes(b"from outside")
    mounts = (
        Mount(source=tmp_path, target="/closed"),
        Mount(source=tmp_path, target="/opened", writable=True),
    )

    async def story() -> tuple[bytes, int]:
        async with run_server(tiny(mounts=mounts), run, greets) as server:
            read = await server.exec(["cat", "/closed/note"])
            refused = await server.exec(["touch", "/closed/new"])
            await server.exec(["sh", "-c", "echo -n inside > /opened/answer"])
            return read.stdout, refused.status

    assert asyncio.run(story()) == (b"from outside", 1)
    assert (tmp_path / "answer").read_bytes() == b"inside"


def test_a_server_that_ends_at_once_is_told_with_its_last_words(run: str) -> None:
    """The error quotes the log, which is kept in a file that a note names; nothing is left."""
    broken = tiny(command=("sh", "-c", "echo my configuration is bad; exit 3"))

    async def story() -> None:
        async with run_server(broken, run, greets):
            pytest.fail("it cannot be ready")

    with pytest.raises(EnvironmentUnavailable, match="my configuration is bad") as caught:
        asyncio.run(story())

    (note,) = caught.value.__notes__
    kept = Path(note.rpartition(" ")[2])
    assert kept.read_text() == "my configuration is bad\n"
    kept.unlink()
    assert not exists(f"holdfast-tiny-{run}")


def test_a_missing_image_names_the_command_that_makes_it(run: str) -> None:
    """A server without its image is no traceback but a command to run."""

    async def story() -> None:
        async with run_server(tiny(image="holdfast/nobody:none"), run, greets):
            pytest.fail("it cannot be started")

    with pytest.raises(EnvironmentUnavailable, match="run: holdfast backends build"):
        asyncio.run(story())


def test_a_cancelled_start_leaves_no_container(run: str) -> None:
    """Ctrl-C while a server starts waits for the start and removes what it made."""

    async def never(_: Server) -> bool:
        return False

    async def story() -> None:
        starting = asyncio.Event()

        async def probe(server: Server) -> bool:
            starting.set()
            return await never(server)

        async def use() -> None:
            async with run_server(tiny(), run, probe):
                pytest.fail("it is never ready")

        task = asyncio.ensure_future(use())
        await starting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())

    assert not exists(f"holdfast-tiny-{run}")


def test_a_start_that_is_cancelled_at_once_leaves_no_container(run: str) -> None:
    """Even before the container exists, a cancelled start cleans up after itself."""

    async def story() -> None:
        async def use() -> None:
            async with run_server(tiny(), run, greets):
                pytest.fail("it was cancelled before")

        task = asyncio.ensure_future(use())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())

    assert not exists(f"holdfast-tiny-{run}")

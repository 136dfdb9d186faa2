"""Whoever asks a program to end is heard, wherever that program happens to be."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WAITING = """
import os, signal, threading, weakref
from holdfast.concurrency.interruptions import hear_all_interruptions

class Referred: pass

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.{number})

def asked(number, frame):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt

{hear}
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, asked)
referred = Referred()
kept = weakref.ref(referred, lambda _: os.kill(os.getpid(), signal.{number}))
try:
    {swallowed}
    os.write(1, b"swallowed\\n")  # at once: what is heard may come between a text and its end
    threading.Event().wait({patience_s})
    print("never heard")
except KeyboardInterrupt:
    print("heard")
"""
SWALLOWED = ("del referred", "Finalized()")


def told(number: str, swallowed: str, hear: str, patience_s: float) -> list[str]:
    """What a program says that is asked to end while it runs what cannot raise."""
    program = WAITING.format(number=number, swallowed=swallowed, hear=hear, patience_s=patience_s)
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=300
    )
    return done.stdout.split()


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("swallowed", SWALLOWED)
def test_an_interruption_that_python_swallows_is_heard(number: str, swallowed: str) -> None:
    """In a weak reference's callback and in a finalizer no exception comes through."""
    assert told(number, swallowed, "hear_all_interruptions()", 200)[-1] == "heard"


@pytest.mark.parametrize("swallowed", SWALLOWED)
def test_without_it_the_interruption_is_lost(swallowed: str) -> None:
    """What is tested here is there: Python does swallow it."""
    assert told("SIGINT", swallowed, "", 0.1) == ["swallowed", "never", "heard"]


ENDING = """
import concurrent.futures.thread as pools, os, signal, threading, time
from holdfast.concurrency.interruptions import hear_all_interruptions

hear_all_interruptions()
signal.signal(signal.SIGINT, signal.default_int_handler)

class TakenDown:
    def __del__(self, wait=time.sleep):
        wait(0.1)  # as the modules of a large program do, when no handler is left any more

def asks_at_the_end():
    while not pools._shutdown:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
    asked.set()

taken_down, asked = TakenDown(), threading.Event()
pools.ThreadPoolExecutor(1).submit(asked.wait)
threading.Thread(target=asks_at_the_end, daemon=True).start()
"""


def test_one_that_comes_at_a_programs_end_leaves_its_exit_code() -> None:
    """There is nobody left to tell, and no alarm ends the program instead of its own end."""
    done = subprocess.run([sys.executable, "-c", ENDING], check=False, capture_output=True)

    assert done.returncode == 0, done.stderr


SLEEPING = """
import asyncio, signal, threading
from holdfast.concurrency.interruptions import run_program

async def waits():
    # A signal that another thread takes is what one is that comes just before the loop waits: its
    # handler has been, and the wait begins.
    patient = asyncio.get_running_loop().create_future()
    print("waits", flush=True)
    threading.Timer(0.2, signal.pthread_kill, (other.ident, signal.SIGINT)).start()
    await patient

forever = threading.Event()
other = threading.Thread(target=forever.wait, daemon=True)
other.start()
try:
    run_program(waits())
except KeyboardInterrupt:
    print("heard")
"""


def test_a_command_that_waits_is_woken_by_an_interruption() -> None:
    """Also where the signal came to another thread, or just before the wait."""
    done = subprocess.run(
        [sys.executable, "-c", SLEEPING], check=True, capture_output=True, text=True, timeout=300
    )

    assert done.stdout.split() == ["waits", "heard"]


def test_no_command_runs_a_loop_that_sleeps_through_an_interruption() -> None:
    """Every command's loop is one that wakes."""
    commands = [
        path
        for folder in ("framework/holdfast", "drivers/holdfast_drivers", "conformance")
        for path in (ROOT / folder).rglob("cli/*.py")
    ]

    assert len(commands) > 20
    assert [str(path) for path in commands if "asyncio.run(" in path.read_text()] == []

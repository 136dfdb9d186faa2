"""An entry for agents under test: it answers, fails in every way, and waits to be told."""

import os
import signal
import time
from pathlib import Path

import msgspec

from holdfast.contract import errors
from holdfast.host_agent.service import Service, Verb


class Ask(msgspec.Struct, frozen=True):
    """What is asked; ``path`` is a file to wait for."""

    text: str = ""
    path: str = ""


def _fail(ask: Ask) -> None:
    raise {
        "InUse": errors.InUse("it is held", object="vol", holders=("host-a", "host-b")),
        "Precondition": errors.Precondition("it rests", object="vol", state="maintenance"),
        "Exhausted": errors.Exhausted("no room", object="vol", what="slots"),
        "NotFound": errors.NotFound("it is not there", object="vol"),
        "Unknown": errors.Unknown("who knows", object="vol"),
    }[ask.text]


def _wait(ask: Ask) -> str:
    Path(ask.path).with_suffix(".begun").touch()
    while not Path(ask.path).exists():
        time.sleep(0.01)
    Path(ask.path).with_suffix(".done").write_text(ask.text)
    return ask.text


def _note(ask: Ask) -> str:
    Path(ask.path).write_text(ask.text)
    return ask.text


def _break(ask: Ask) -> None:
    raise RuntimeError(f"the secret is {ask.text}")


def _die(_: Ask) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _noise(ask: Ask) -> str:
    print("between the frames")  # noqa: T201 - that is what is tested
    return ask.text


def entry(config: bytes) -> Service:
    """The verbs; a configuration of ``refuse`` is none."""
    if config == b"refuse":
        raise errors.Invalid("this configuration can never work")
    return {
        "echo": Verb(Ask, lambda ask: f"{config.decode()}:{ask.text}"),
        "fail": Verb(Ask, _fail),
        "wait": Verb(Ask, _wait),
        "note": Verb(Ask, _note),
        "pid": Verb(Ask, lambda _: str(os.getpid())),
        "break": Verb(Ask, _break),
        "die": Verb(Ask, _die),
        "noise": Verb(Ask, _noise),
    }

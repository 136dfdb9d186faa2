"""``holdfast certify`` and ``holdfast replay`` from the outside."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from holdfast.contract.errors import EnvironmentUnavailable, ExitCode
from holdfast.contract.requests import Role
from holdfast_conformance.processes import backend_mark, processes_of
from holdfast_conformance.report.document import REPORT_NAME, Report, decode_report
from holdfast_conformance.report.verify import Standing, verify
from holdfast_conformance.supervision.killed_run_record import LANE, ledger_folder
from holdfast_conformance.supervision.output_files import writing
from holdfast_conformance.verdict import Status
from small_plans import FIGURES, write_repro

STARTS_VARIABLE = "TEST_STARTS"
pytestmark = [pytest.mark.usefixtures("odd"), pytest.mark.slow]


def holdfast(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "holdfast", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def certify(out: Path, driver: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = ("certify", driver, "--profile", "quick", "--jobs", "2", "--out", str(out))
    return holdfast(*command, *options)


def complaints(told: str) -> list[str]:
    """What is said on standard error beside how far the run is."""
    phases = ("primary: ", "image: ", "reducing failures")
    return [line for line in told.splitlines() if not line.startswith(phases)]


def report_in(out: Path) -> Report:
    return decode_report((out / REPORT_NAME).read_bytes())


def failed_in(out: Path) -> set[str]:
    results = report_in(out).verdict.results
    return {result.id for result in results if result.status is Status.FAIL}


def test_the_reference_driver_is_certified(tmp_path: Path) -> None:
    """The reference driver reaches L1, nothing of the run is left, and standard error only
    tells how far it is.
    """
    done = certify(tmp_path / "out", "memory")

    assert "primary: executing (" in done.stderr
    assert (done.returncode, complaints(done.stderr)) == (ExitCode.DONE, [])
    assert report_in(tmp_path / "out").verdict.ok
    assert list(ledger_folder().iterdir()) == []


def test_a_driver_that_starts_no_more_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a further worker cannot be started there is no verdict, and what to do next is said."""
    monkeypatch.setenv(STARTS_VARIABLE, str(tmp_path / "starts"))
    done = certify(tmp_path / "out", "starts_twice:Provider")

    assert done.returncode == ExitCode.USAGE
    assert "no licence for a third process" in done.stderr
    assert "--jobs 1" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(ledger_folder().iterdir()) == []


@pytest.mark.parametrize("provider", ["PlainProvider", "PoorProvider", "StrictProvider"])
def test_an_image_store_that_can_do_little_is_certified(tmp_path: Path, provider: str) -> None:
    """What a store does not declare leaves no property without what it needs for a pass."""
    done = certify(tmp_path / "out", f"small_images:{provider}")

    assert (done.returncode, complaints(done.stderr)) == (ExitCode.DONE, [])
    assert report_in(tmp_path / "out").verdict.ok


def test_a_store_that_takes_plain_names_only_is_certified(tmp_path: Path) -> None:
    """Odd names may be refused, and hosts that nobody told of."""
    done = certify(tmp_path / "out", "plain_names:PlainNamesProvider", "--profile", "smoke")

    assert done.returncode == ExitCode.DONE, done.stderr
    assert report_in(tmp_path / "out").verdict.ok


@pytest.mark.parametrize(
    "provider", ["UnderDeadline", "UnderThrottle", "UnderRecorder", "UnderFaultsAndRetries"]
)
def test_a_driver_under_a_layer_is_certified(tmp_path: Path, provider: str) -> None:
    """No layer takes anything from a driver: under each the reference driver reaches L1."""
    done = certify(tmp_path / "out", f"layered_memory:{provider}")

    assert (done.returncode, complaints(done.stderr)) == (ExitCode.DONE, [])
    assert report_in(tmp_path / "out").verdict.ok


@pytest.mark.parametrize("driver", ["OnlyObject", "OnlyPass", "OnlyYes"])
def test_a_hollow_driver_is_refused(tmp_path: Path, driver: str) -> None:
    """``object()``, a driver of ``pass`` and one that always says yes reach no level above L0."""
    done = certify(tmp_path / "out", f"hollow_providers:{driver}")

    level = report_in(tmp_path / "out").verdict.level
    assert done.returncode == ExitCode.FAILED
    assert level is None or level.value == "L0"
    assert verify(tmp_path / "out").standing is Standing.RIGHT


@pytest.mark.parametrize(
    "driver",
    [
        "refused_providers:an_object",
        "refused_providers:WrongConstructor",
        "refused_providers:NoTestbed",
        "refused_providers:BrokenTestbed",
        "refused_providers:NoRole",
        "raises_at_import:Provider",
        "exits_at_import:Provider",
    ],
)
def test_a_driver_that_cannot_be_loaded_gets_a_verdict(tmp_path: Path, driver: str) -> None:
    """What is wrong is the finding of CAP-01, in a report like any other."""
    done = certify(tmp_path / "out", driver)

    assert done.returncode == ExitCode.FAILED
    assert "CAP-01" in failed_in(tmp_path / "out")
    assert verify(tmp_path / "out").standing is Standing.RIGHT
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("memry",), "did you mean memory"),
        (("memory", "--profile", "smok"), "did you mean smoke"),
        (("memory", "--level", "L9"), "no level 'L9'"),
        (("memory", "--backend", "contaner"), "it offers"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(
    tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    """Exit 5, one line, and no report behind."""
    out = tmp_path / "out"
    done = holdfast("certify", "--out", str(out), *options)

    assert done.returncode == ExitCode.CONFIGURATION
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not out.exists()


def test_a_folder_in_use_is_not_overwritten(tmp_path: Path) -> None:
    """A report is never mixed with what is there already."""
    (tmp_path / "mine").write_text("precious")
    done = certify(tmp_path, "memory")

    assert done.returncode == ExitCode.USAGE
    assert [path.name for path in tmp_path.iterdir() if path.name != "state"] == ["mine"]


def test_a_state_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3 with the path: the machine is at fault, neither driver nor suite."""
    state = tmp_path / "no-folder"
    state.write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    done = certify(tmp_path / "out", "memory")

    assert done.returncode == ExitCode.UNAVAILABLE
    assert str(state) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_full_disk_is_told_with_the_trace() -> None:
    """What the disk does not take is never taken for written."""
    full = Path("/dev/full")
    with pytest.raises(EnvironmentUnavailable, match="No space left"), writing(full):
        full.write_bytes(b"a line")


def test_more_workers_than_make_sense_are_bad_usage(tmp_path: Path) -> None:
    """The limit is named before anything is started."""
    done = holdfast("certify", "memory", "--jobs", "65", "--out", str(tmp_path / "out"))

    assert done.returncode == ExitCode.USAGE
    assert "64" in done.stderr


@contextmanager
def long_run(driver: str, out: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A certification that is executing plans, and its id; killed at the end if it still runs."""
    command = [sys.executable, "-m", "holdfast", "certify", driver, "--profile", "ci"]
    with subprocess.Popen(
        [*command, "--jobs", "2", "--out", str(out)], stderr=subprocess.PIPE, text=True
    ) as running:
        while not list(out.glob("traces/*-primary.jsonl")):
            assert running.poll() is None
            time.sleep(0.05)
        run = min(path.stem for path in ledger_folder().iterdir()).partition(LANE)[0]
        try:
            yield running, run
        finally:
            running.kill()


def left_of(run: str) -> tuple[int, ...]:
    """The processes of a run's two lanes, those of their testbeds included."""
    lanes = (f"{run}{LANE}1", f"{run}{LANE}2")
    marks = [mark for lane in lanes for mark in (lane, backend_mark(lane))]
    return tuple(pid for mark in marks for pid in processes_of(mark))


@pytest.mark.parametrize("driver", ["memory", "local"])
def test_ctrl_c_cleans_up_and_says_so(driver: str, tmp_path: Path) -> None:
    """An interrupted run ends its workers, removes what it made, and names the run."""
    with long_run(driver, tmp_path / "out") as (running, run):
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=300)

    assert running.returncode == 128 + signal.SIGINT
    assert f"run {run} is interrupted; nothing of it is left behind" in told
    assert left_of(run) == ()
    assert list(ledger_folder().iterdir()) == []


@pytest.mark.parametrize("driver", ["memory", "local"])
def test_a_killed_run_can_be_cleaned_up(driver: str, tmp_path: Path) -> None:
    """After SIGKILL the workers are gone by themselves, and the ledgers name what is left."""
    with long_run(driver, tmp_path / "out") as (running, run):
        running.kill()
        running.wait()
        done = holdfast("certify", "--cleanup", run)

    assert done.returncode == ExitCode.DONE, done.stderr
    assert left_of(run) == ()
    assert list(ledger_folder().iterdir()) == []
    assert holdfast("certify", "--cleanup", run).returncode == ExitCode.CONFIGURATION


def test_a_failure_is_replayed_on_the_driver_and_not_on_a_correct_one(tmp_path: Path) -> None:
    """Replay exits 1 where the property fails again, and 0 where it holds."""
    certify(tmp_path / "out", "hollow_providers:OnlyYes")
    repros = sorted((tmp_path / "out" / "repro").glob("VOL-*.json"))
    assert repros

    again = holdfast("replay", str(repros[0]), "--driver", "hollow_providers:OnlyYes")
    clean = holdfast("replay", str(repros[0]), "--driver", "memory")

    assert (again.returncode, clean.returncode) == (ExitCode.FAILED, ExitCode.DONE)


def test_a_driver_that_breaks_its_process_gets_a_verdict_soon(tmp_path: Path) -> None:
    """Three broken processes of one role are enough, and its report is one that is verified."""
    done = certify(tmp_path / "out", "hollow_providers:OnlyExit")

    assert done.returncode == ExitCode.FAILED
    assert verify(tmp_path / "out").standing is Standing.RIGHT
    assert processes_of(report_in(tmp_path / "out").stated.run.id) == ()


def test_a_file_that_is_no_replay_file_is_one_line(tmp_path: Path) -> None:
    """Exit 2 with the file's name."""
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    done = holdfast("replay", str(wrong), "--driver", "memory")

    assert done.returncode == ExitCode.USAGE
    assert "wrong.json" in done.stderr
    assert os.linesep not in done.stderr.strip()


def test_a_recorded_trace_is_reduced_to_a_replay_file(tmp_path: Path) -> None:
    """Reduce takes a trace as it was recorded, on the driver that the command names."""
    mutant = "mutant:last-byte-is-lost"
    certify(tmp_path / "out", mutant)
    plans = {
        finding.plan
        for result in report_in(tmp_path / "out").verdict.results
        for finding in result.findings
        if result.id == "IMG-01"
    }
    trace = next(
        path
        for path in sorted((tmp_path / "out" / "traces").iterdir())
        if any(f'"id":"{plan}"'.encode() in path.read_bytes() for plan in plans)
    )
    small = tmp_path / "small.json"

    done = holdfast(
        "reduce", str(trace), "--property", "IMG-01", "--driver", mutant, "--out", str(small)
    )

    assert done.returncode == ExitCode.FAILED, done.stderr
    assert f"holdfast replay {small} --driver {mutant}\n" in done.stdout
    assert holdfast("replay", str(small), "--driver", mutant).returncode == ExitCode.FAILED
    assert holdfast("replay", str(small), "--driver", "memory").returncode == ExitCode.DONE


def test_a_replay_that_tests_nothing_is_not_said_to_hold(tmp_path: Path) -> None:
    """Exit 4 and the reason, where the plan does not reach what the property is about."""
    file = write_repro(tmp_path / "repro.json")

    nothing = holdfast("replay", file, "--driver", "memory")
    elsewhere = holdfast("replay", file, "--driver", "hollow_providers:OnlyPass")

    assert nothing.returncode == ExitCode.NOTHING_EXERCISED
    assert "not reached: nothing in it puts SNP-01 to the test" in nothing.stdout
    assert elsewhere.returncode == ExitCode.NOTHING_EXERCISED
    assert "failed at step 0, where the plan ends" in elsewhere.stdout


def test_a_replay_on_a_driver_without_the_role_is_refused(tmp_path: Path) -> None:
    """Exit 5 and what the driver has, where the plan cannot be executed at all."""
    image = msgspec.structs.replace(FIGURES, role=Role.IMAGE)
    file = write_repro(tmp_path / "repro.json", role=Role.IMAGE, plan=image)

    done = holdfast("replay", file, "--driver", "odd_driver:OddProvider")
    torn_file = write_repro(tmp_path / "torn.json", role=Role.IMAGE)
    torn = holdfast("replay", torn_file, "--driver", "memory")

    assert done.returncode == ExitCode.CONFIGURATION
    assert "has only: primary" in done.stderr
    assert torn.returncode == ExitCode.USAGE
    assert "is of the image role, and its plan of primary" in torn.stderr


def test_an_unknown_property_is_not_reduced(tmp_path: Path) -> None:
    """Exit 5 and the nearest names, before anything is executed."""
    file = write_repro(tmp_path / "repro.json")

    done = holdfast("reduce", file, "--property", "SNP-0")

    assert done.returncode == ExitCode.CONFIGURATION
    assert "did you mean SNP-0" in done.stderr

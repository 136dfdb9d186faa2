"""Descriptions of real stores, and the choice of a testbed by name."""

from pathlib import Path

import pytest

from holdfast.contract.errors import ConfigurationError
from holdfast.contract.live_store import LiveStore, read_live_store
from holdfast.contract.requests import Role
from holdfast.contract.testbed_choice import choose_testbed
from holdfast.stores.plugins import load_provider

TOML = """
hosts = ["host-a"]
[image]
endpoint = "https://objects.example"
[inspector]
secret_key = "other"
"""


def test_a_description_can_be_toml_or_json(tmp_path: Path) -> None:
    """Both say the same; each role gets its settings in the namespace it is asked for."""
    (tmp_path / "live.toml").write_text(TOML)
    (tmp_path / "live.json").write_text(
        '{"hosts": ["host-a"], "image": {"endpoint": "https://objects.example"},'
        ' "inspector": {"secret_key": "other"}}'
    )
    expected = LiveStore(
        image={"endpoint": "https://objects.example"},
        inspector={"secret_key": "other"},
        hosts=("host-a",),
    )
    assert read_live_store(tmp_path / "live.toml") == expected
    assert read_live_store(tmp_path / "live.json") == expected
    assert expected.settings(Role.IMAGE, "space") == {
        "endpoint": "https://objects.example",
        "namespace": "space",
    }


def test_a_role_that_is_not_described_is_refused() -> None:
    """A file about an image store lends no primary store."""
    with pytest.raises(ConfigurationError, match=r"no primary store; add a table \[primary\]"):
        LiveStore(image={"endpoint": ""}).settings(Role.PRIMARY, "space")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('secret = "canary', "is no valid TOML"),
        ('inspektor = { key = "canary" }', r"describes no store .*; it has the keys primary"),
        ('hosts = "canary"', r"describes no store \(`\$.hosts`\)"),
    ],
)
def test_a_wrong_description_is_refused_without_its_values(
    tmp_path: Path, content: str, told: str
) -> None:
    """What is wrong is named, and no value of the file is repeated: it may be a secret."""
    path = tmp_path / "live.toml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=told) as refused:
        read_live_store(path)
    assert "canary" not in str(refused.value)


def test_a_missing_description_is_named(tmp_path: Path) -> None:
    """A file that is not there is named, with the reason."""
    with pytest.raises(ConfigurationError, match=r"missing\.toml cannot be read: No such file"):
        read_live_store(tmp_path / "missing.toml")


def test_a_provider_without_a_live_testbed_says_so(tmp_path: Path) -> None:
    """A provider that cannot be looked into by another path is not certified on a real store."""
    path = tmp_path / "live.toml"
    path.write_text(TOML)
    with pytest.raises(ConfigurationError, match="provider memory cannot be certified on a real"):
        choose_testbed(load_provider("memory"), f"live:{path}")


def test_a_testbed_is_chosen_by_name_and_the_first_by_default() -> None:
    """An unknown name is refused with those that there are."""
    provider = load_provider("memory")
    assert choose_testbed(provider, "") == choose_testbed(provider, "embedded")
    with pytest.raises(ConfigurationError, match="no backend 'container'; it offers: embedded"):
        choose_testbed(provider, "container")

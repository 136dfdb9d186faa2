"""What a build needs of this machine's configuration: package sources, certificates, pip settings.

It reaches a build as secrets: in no layer, no argument and no file that outlives the build.
"""

import configparser
import os
import platform
from pathlib import Path

BASE_CODENAME = "bookworm"
_SOURCES = Path("/etc/apt/sources.list")
_SOURCES_FOLDER = Path("/etc/apt/sources.list.d")
_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/cert.pem"),
)
_FIELDS = {"arch": "Architectures", "lang": "Languages", "target": "Targets"}
_PIP_FILES = (Path("/etc/pip.conf"), Path("~/.pip/pip.conf"), Path("~/.config/pip/pip.conf"))
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "find-links", "proxy")


def build_secrets(folder: Path) -> dict[str, Path]:
    """The secrets that this machine has, by the id that a Dockerfile mounts them under.

    What has to be put together is written into ``folder``, for its owner's eyes only.
    """
    secrets: dict[str, Path] = {}
    sources = host_sources(folder)
    if sources is not None:
        secrets["sources"] = sources
    bundle = certificate_bundle()
    if bundle is not None:
        secrets["ca"] = bundle
    pip = _pip_configuration()
    if pip.sections():
        secrets["pip"] = _private_file(folder / "pip.conf")
        with secrets["pip"].open("w") as file:
            pip.write(file)
    return secrets


def certificate_bundle() -> Path | None:
    """The certificates this machine trusts."""
    named = os.environ.get("SSL_CERT_FILE")
    return next((path for path in (Path(named or "/"), *_BUNDLES) if path.is_file()), None)


def host_sources(folder: Path) -> Path | None:
    """The package sources of this machine, where it runs the base's distribution."""
    if platform.freedesktop_os_release().get("VERSION_CODENAME") != BASE_CODENAME:
        return None
    return all_host_sources(folder)


def all_host_sources(folder: Path) -> Path | None:
    """The distribution's own package sources of this machine, as one deb822 file."""
    distribution = platform.freedesktop_os_release().get("ID", "")
    for name in (f"{distribution}.sources", "system.sources"):
        if (_SOURCES_FOLDER / name).is_file():
            return _SOURCES_FOLDER / name
    if not _SOURCES.is_file():
        return None
    stanzas = [stanza for line in _SOURCES.read_text().splitlines() if (stanza := _as_stanza(line))]
    if not stanzas:
        return None
    path = _private_file(folder / "host.sources")
    path.write_text("\n\n".join(stanzas) + "\n")
    return path


def _as_stanza(line: str) -> str:
    """One line of a ``sources.list`` as a deb822 stanza; nothing for other lines."""
    words = line.partition("#")[0].split()
    if len(words) < 3 or words[0] != "deb":
        return ""
    options: list[str] = []
    rest = words[1:]
    if rest[0].startswith("["):
        end = next((at for at, word in enumerate(rest) if word.endswith("]")), 0)
        options = " ".join(rest[: end + 1]).strip("[] ").split()
        rest = rest[end + 1 :]
    fields = [f"Types: deb\nURIs: {rest[0]}\nSuites: {rest[1]}"]
    if rest[2:]:
        fields.append(f"Components: {' '.join(rest[2:])}")
    for option in options:
        key, _, value = option.partition("=")
        field = _FIELDS.get(key, key.title())
        fields.append(f"{field}: {value.replace(',', ' ')}")
    return "\n".join(fields)


def _pip_configuration() -> configparser.RawConfigParser:
    """What pip is told on this machine about where packages come from."""
    configuration = configparser.RawConfigParser()
    named = os.environ.get("PIP_CONFIG_FILE")
    files = [*_PIP_FILES, *([Path(named)] if named else [])]
    configuration.read([path.expanduser() for path in files])
    for setting in _PIP_SETTINGS:
        value = os.environ.get(f"PIP_{setting.upper().replace('-', '_')}")
        if value:
            if not configuration.has_section("global"):
                configuration.add_section("global")
            configuration.set("global", setting, value)
    return configuration


def _private_file(path: Path) -> Path:
    path.touch(mode=0o600)
    return path

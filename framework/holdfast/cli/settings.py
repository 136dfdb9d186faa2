"""A provider's configuration as a person gives it: settings, files of them, and secrets by name."""

import json
import os
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from holdfast.contract.errors import ConfigurationError, UsageError

_BYTES_MAX: Final = 1 << 20
_FROM_FILE: Final = "@"


def settings_of(arguments: Sequence[str], file: Path | None) -> dict[str, Any]:
    """The settings in ``KEY=VALUE`` or ``KEY=@FILE``, over those of a file; no error repeats one.

    Raises:
        UsageError: one is not of that form.
        ConfigurationError: a file cannot be read or holds no settings.
    """
    settings = {} if file is None else _settings_in(file)
    for one in arguments:
        key, equals, value = one.partition("=")
        if not equals:
            raise UsageError("a configuration is given as KEY=VALUE or KEY=@FILE; one has no '='")
        if value.startswith(_FROM_FILE):
            value = _line_in(Path(value.removeprefix(_FROM_FILE)))
        settings[key] = value
    return settings


def _settings_in(path: Path) -> dict[str, Any]:
    """A table of settings, TOML or (with the suffix ``.json``) JSON."""
    is_json = path.suffix == ".json"
    data = _read(path)
    try:
        settings: object = json.loads(data) if is_json else tomllib.loads(data)
    except (ValueError, RecursionError):  # its text may quote a secret
        raise ConfigurationError(f"{path} is no valid {'JSON' if is_json else 'TOML'}") from None
    try:
        return msgspec.convert(settings, dict[str, Any])
    except msgspec.ValidationError:
        raise ConfigurationError(f"{path} holds no table of settings") from None


def _line_in(path: Path) -> str:
    """What a file says, without the end of its line."""
    return _read(path).removesuffix("\n").removesuffix("\r")


def _read(path: Path) -> str:
    try:
        # What is no file would block, or never end.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ConfigurationError(f"{path} is no regular file")
            data = file.read(_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _BYTES_MAX:
        raise ConfigurationError(f"{path} has more than {_BYTES_MAX} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is no text in UTF-8") from None

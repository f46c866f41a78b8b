# SPDX-License-Identifier: Apache-2.0
"""Everything that can be set, in one typed object read once per process.

Rooms that read the environment by themselves cannot be told apart from each other in a test, and nobody can
list what may be set. So `platform.py` and the command line take a :class:`Settings`, and nothing else looks.
A person sets a value by the environment variable ``ENCHANTED_`` and the field's name in capitals;
``docs/CONFIGURATION.md`` is written from the fields below, and a test fails when it is stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "ENCHANTED_"
_EMBEDDED: Final = "embedded:"


class SettingsError(Exception):
    """A setting has a value that it cannot have; the text names the variable and says what it takes."""


class Settings(BaseSettings):
    """The settings of one process."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    data: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("enchanted", appauthor=False)),
        description="The folder that holds everything the platform keeps. Made if it is not there. "
        "Default: the folder for application data of the person who runs it.",
    )
    port: int = Field(
        default=8080,
        ge=0,
        le=65535,
        description="The port of the web pages and of Git, on this machine only. 0 takes any free port.",
    )
    store: str = Field(
        default_factory=lambda earlier: f"{_EMBEDDED}{earlier['data'] / 'store'}",
        description="Where the records are kept: `embedded:/folder` for a folder of this machine, "
        "`fdb:/path/fdb.cluster` for a FoundationDB cluster. Default: the folder `store` in ENCHANTED_DATA.",
    )
    suite_seconds: int = Field(
        default=300,
        ge=10,
        le=7200,
        description="Most that one run of a repository's tests may take, in seconds. A suite that takes "
        "longer is run again file by file, each file for a tenth of it; files that take longer are left out.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="How much is written to `logs/hub.log` in ENCHANTED_DATA: "
        "`debug`, `info`, `warning` or `error`.",
    )

    @property
    def host(self) -> str:
        """The address served. Only this machine's own, until there is sign-in."""
        return "127.0.0.1"

    @property
    def embedded_folder(self) -> Path | None:
        """The folder of the embedded store; ``None`` when the store is a cluster."""
        return Path(self.store.removeprefix(_EMBEDDED)) if self.store.startswith(_EMBEDDED) else None

    @field_validator("data", mode="after")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        return folder.expanduser().absolute()


def load() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: If a value cannot be; one line that names the variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else PREFIX
        raise SettingsError(f"{name}={first['input']!s} cannot be used: {first['msg']}") from error


def reference() -> str:
    """The page ``docs/CONFIGURATION.md``, from the fields."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_shown_default(name)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join((_HEAD, *rows, _TAIL))


def _shown_default(name: str) -> str:
    default = Settings.model_fields[name].default
    return f"`{default}`" if isinstance(default, int | str) else "see right"


_HEAD: Final = """# Configuration

Everything that can be set is an environment variable. There is no settings file, and no secret is ever set
this way: the platform makes its keys itself and keeps them, readable by you alone, in its folder.

| variable | default | what it is |
|---|---|---|"""

_TAIL: Final = """
The platform serves 127.0.0.1 only: whoever can open a connection on this machine may read, and nobody else
can connect.

The command line also follows `NO_COLOR` (any value: no colours) and `TERM=dumb`.

## The folder

| path in `ENCHANTED_DATA` | what it is |
|---|---|
| `store/` | the records: projects, history, jobs (`ENCHANTED_STORE` moves it) |
| `blobs/` | files too large for a record, by the hash of their sealed bytes |
| `keys/root.key` | what everything is sealed with. **Keep a copy: without it nothing can be read** |
| `scratch/` | throw-away copies that agents test on; emptied when a hub starts |
| `checkpoints/` | the last state of each history that a `verify` here saw, to prove that it only grew |
| `logs/hub.log` | what the platform did, one JSON object a line |
| `logs/agents-JOB.log` | what the agents of a job said outside of the history |
| `hub.json` | while a hub runs: its process, its addresses and the token by which commands reach it |
| `hub.sock` | where a hub answers commands and agents |
| `lock` | held by the one process that owns the folder |
"""

"""Every setting of the server: its environment variable, default, unit and meaning. It decides nothing from them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from server.errors import ConfigurationError

PREFIX = "INKWASH_"


def _split_paths(value: object) -> object:
    """`a:b` or `a,b` as two folders; one path as a list of one."""
    if isinstance(value, str):
        return [part for chunk in value.split(",") for part in chunk.split(os.pathsep) if part.strip()]
    return [value] if isinstance(value, Path) else value


def _split_words(value: object) -> object:
    """`a, b` as two words."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split_paths)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_words)]


class Settings(BaseSettings):
    """Read from `INKWASH_*` variables; arguments of the constructor win."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    models_dir: Paths = Field((), description="Folders of model folders, separated by `,` or the system's path separator.")
    bundled_models: bool = Field(True, description="Serve the models that come with Inkwash as well.")
    preload: bool = Field(True, description="Load models at start, as many as may stay loaded, before telling readiness.")
    max_loaded_models: int = Field(4, ge=1, description="Models that stay in memory; the least recently used one gives way.")

    tracer: str | None = Field(None, description="Id of the model that makes lines of photos; the first by id when unset.")

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for every network.")
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 picks a free one.")
    trusted_proxies: Words = Field(("127.0.0.1",), description="Proxies whose X-Forwarded-For and -Proto are believed.")
    allowed_origins: Words = Field((), description="Other web origins that may call the API and open sockets.")

    device: str = Field("auto", description="`auto`, `cpu`, `cuda` or `tensorrt`. Only `auto` falls back, and it says so.")
    threads: int = Field(0, ge=0, le=512, description="CPU threads of inference; 0 takes the container's quota.")
    spin_microseconds: int = Field(
        50, ge=0, le=10_000, description="How long threads of inference spin for work before they sleep; 0 sleeps at once."
    )
    cache_dir: Path | None = Field(None, description="Where TensorRT keeps its engines; none are kept when unset.")

    max_upload_bytes: int = Field(16 * 2**20, ge=1024, description="Largest request body, bytes.")
    max_pixels: int = Field(2**24, ge=1, description="Largest picture, pixels (width x height).")
    max_side: int = Field(8192, ge=1, description="Largest width or height of a picture, pixels.")
    max_tiled_pixels: int = Field(2**25, ge=1, description="Pixels of all tiles of a request, overlaps and variations counted.")
    body_timeout_seconds: float = Field(20.0, gt=0, description="Longest wait for the next part of a request body, seconds.")
    body_deadline_seconds: float = Field(120.0, gt=0, description="Longest time for a whole request body to arrive, seconds.")

    queue_size: int = Field(64, ge=1, description="Requests that may be under way for a model; one client gets at most 3/4.")
    deadline_seconds: float = Field(30.0, gt=0, description="Longest wait for a model and for a turn, seconds.")

    max_connections: int = Field(256, ge=1, description="Open live sockets, in all.")
    max_connections_per_address: int = Field(64, ge=1, description="Open live sockets of one address.")
    max_frame_bytes: int = Field(4 * 2**20, ge=1024, description="Largest live frame, bytes.")
    max_frame_pixels: int = Field(2**22, ge=1, description="Largest picture in a live frame, pixels.")
    idle_timeout_seconds: float = Field(300.0, gt=0, description="A socket without a frame for so long is closed, seconds.")
    send_timeout_seconds: float = Field(20.0, gt=0, description="A socket that does not read for so long is closed, seconds.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe messages to log.")
    log_format: Literal["console", "json"] = Field("console", description="Log lines for people or for machines.")
    shutdown_grace_seconds: float = Field(20.0, ge=0, description="Time given to unfinished work at shutdown, seconds.")

    @field_validator("allowed_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise ValueError(f"'{origin}' is not an origin; write scheme and host alone, such as https://example.org.")
        return origins


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def load_settings(environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Reads the settings and refuses variables that mean nothing.

    Args:
        environment: Looked at for unknown names only; the process's own when absent.
        overrides: Values that win over the environment; None means not given.

    Raises:
        ConfigurationError: names each wrong variable, its value and the rule.
    """
    known = {variable(name) for name in Settings.model_fields}
    given = os.environ if environment is None else environment
    unknown = sorted(name for name in given if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise ConfigurationError("\n".join(_unknown_variable(name, known) for name in unknown))
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigurationError("\n".join(told(error, variable))) from None


def _unknown_variable(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name.upper(), known, n=1)
    hint = f"did you mean {close[0]}?" if close else "docs/serving.md lists the settings."
    return f"{name} is not a setting; {hint}"


def told(error: ValidationError, naming: Callable[[str], str] = str) -> list[str]:
    """What is wrong, a line for each value; `naming` makes of a field's name what the person typed."""
    return [_line(dict(item), naming) for item in error.errors()]


def _line(item: dict[str, object], naming: Callable[[str], str]) -> str:
    location = item["loc"]
    name = str(location[0]) if isinstance(location, tuple) and location else "settings"
    reason = str(item["msg"]).removeprefix("Value error, ")
    return f"{naming(name)} = {item['input']!r}: {reason[:1].lower()}{reason[1:]}"

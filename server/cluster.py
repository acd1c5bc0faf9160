"""The same app on Ray Serve, when one machine is not enough: `serve run server.cluster:app replicas=4`.

Ray starts the replicas, each on a machine with room for one, and its proxies share requests and live sockets out between them.
docs/deployment.md tells how. It needs the extra `ray`, which nothing else of the server imports.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ray import serve

from server import logs
from server.app import create_app
from server.errors import ConfigurationError
from server.service import Service
from server.settings import Settings, load_settings, told

NAME = "inkwash"
"""Of the deployment, by which a configuration file can change its options."""

OTHER_REQUESTS = 4096
"""Under way in one replica beside its live sockets. Far above what the app itself admits, whose refusals tell the reason."""


class Arguments(BaseModel):
    """What `serve run server.cluster:app name=value` takes, or `args` of a configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replicas: int = Field(1, ge=1, description="Servers; each holds its own copy of the models.")
    cpus: float = Field(2.0, gt=0, le=512, description="Cores that Ray sets aside for a replica.")
    gpus: float = Field(0.0, ge=0, le=1, description="GPU that Ray sets aside for a replica; 0.5 lets two share one.")


def app(given: Mapping[str, object]) -> serve.Application:
    """The application for Ray Serve. Settings are read here, from `INKWASH_` variables, and every replica gets the same ones.

    Args:
        given: `Arguments` by name; texts from the command line, typed values from a configuration file.

    Raises:
        ConfigurationError: an argument or a variable is wrong. What a machine lacks, a folder or a device, its replica finds.
    """
    arguments = read_arguments(given)
    settings = of_replica(load_settings(), arguments)
    deployment = serve.deployment(
        name=NAME,
        num_replicas=arguments.replicas,
        max_ongoing_requests=settings.max_connections + OTHER_REQUESTS,
        # Ray waits so long for requests, and the app as long again for what they left.
        graceful_shutdown_timeout_s=2 * settings.shutdown_grace_seconds + 1,
        ray_actor_options={"num_cpus": arguments.cpus, "num_gpus": arguments.gpus},
    )
    return deployment(serve.ingress(_builder(settings))()).bind()


def read_arguments(given: Mapping[str, object]) -> Arguments:
    """Checks them.

    Raises:
        ConfigurationError: names each wrong one, its value and the rule.
    """
    try:
        return Arguments.model_validate(given)
    except ValidationError as error:
        known = f"Arguments of server.cluster:app are {', '.join(Arguments.model_fields)}."
        raise ConfigurationError("\n".join([*told(error), known])) from None


def of_replica(settings: Settings, arguments: Arguments) -> Settings:
    """The settings as every replica needs them.

    Threads are the cores that Ray sets aside, where no setting says otherwise: a replica sees all those of its machine. Folders
    are absolute: a replica works in a folder of its own.
    """
    threads = settings.threads or max(1, math.floor(arguments.cpus))
    return settings.model_copy(update={"threads": threads, "models_dir": tuple(map(Path.absolute, settings.models_dir))})


def _builder(settings: Settings) -> Callable[[], FastAPI]:
    """A function, as sessions and queues do not travel: each replica makes its own."""

    def build() -> FastAPI:
        logs.configure(settings.log_level, settings.log_format)
        built = create_app(settings)
        start_when_loaded(built)
        return built

    return build


def start_when_loaded(built: FastAPI) -> None:
    """Ray takes a replica that has started for one that is ready, so starting includes the loading of the models."""
    lifespan, service = built.router.lifespan_context, built.state.service
    assert isinstance(service, Service)

    @contextlib.asynccontextmanager
    async def loaded(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app):
            await service.preloaded.wait()
            yield

    built.router.lifespan_context = loaded

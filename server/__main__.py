"""The command line: serve, translate files, list models. It parses and prints; the work is done by the modules it calls."""

from __future__ import annotations

from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
import uvicorn
from fastapi import FastAPI
from rich.console import Console
from rich.table import Column, Table

from server import logs
from server.app import create_app, version
from server.batch import BatchOptions, translate_files
from server.catalog import Catalog, bundled_folder, read_catalog
from server.errors import ConfigurationError
from server.service import Service
from server.settings import Settings, load_settings
from server.translator import SizeMode

USAGE_ERROR = 2
"""Exit code for settings and arguments that cannot be used."""

main = typer.Typer(name="inkwash", help="Draw lines, get pictures.", no_args_is_help=True, add_completion=False)
errors = Console(stderr=True, emoji=False)  # `:x:` in what was typed is no cross

Models = Annotated[list[Path] | None, typer.Option("--models", help="Folder of model folders; may be given again.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or tensorrt.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"inkwash {version()}")
        raise typer.Exit


@main.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Draw lines, get pictures."""


class _Server(uvicorn.Server):
    """Tells the app at the first signal, so that readiness turns before connections close."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app = self.config.app
        if isinstance(app, FastAPI):
            service: Service = app.state.service
            service.engine.drain()
        super().handle_exit(sig, frame)


@main.command()
def serve(
    models: Models = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port.")] = None,
    device: Device = None,
) -> None:
    """Serve the page and the API. Every setting is an INKWASH_ variable; docs/serving.md lists them."""
    settings = _settings(models_dir=tuple(models) if models else None, host=host, port=port, device=device)
    logs.configure(settings.log_level, settings.log_format)
    try:
        app = create_app(settings)
    except ConfigurationError as error:
        _fail(str(error))
    _announce(app.state.service)
    server = _Server(_uvicorn_config(app, settings))
    server.run()
    if not server.started:
        raise typer.Exit(1)


def _uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """permessage-deflate is off: pictures are compressed already, and it costs memory a socket."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=list(settings.trusted_proxies),
        ws="websockets-sansio",
        ws_max_size=settings.max_frame_bytes,
        ws_per_message_deflate=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace_seconds)),
    )


def _announce(service: Service) -> None:
    """What people want to see first: where, on what, and which models."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    settings = service.settings
    shown = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host
    console.print(f"[bold]Inkwash {service.version}[/bold]  http://{shown}:{settings.port}")
    console.print(f"device  {service.choice.device}, {service.threads} threads ({service.choice.reason})")
    console.print(f"models  {', '.join(entry.id for entry in service.catalog) or 'none'}")
    for broken in service.catalog.broken:
        console.print(f"[red]broken[/red]  {broken.id}: {broken.reason}")
    if not len(service.catalog):
        console.print(f"Put model folders into {bundled_folder()} or name a folder with --models or INKWASH_MODELS_DIR.")


@main.command()
def translate(
    files: Annotated[list[Path], typer.Argument(help="Pictures to translate: the main input, one after another.")],
    model: Annotated[str, typer.Option(help="Id of the model.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; made when missing.")] = Path("translated"),
    seed: Annotated[int, typer.Option(help="Seed of every picture.", min=0, max=2**32 - 1)] = 0,
    image_format: Annotated[str, typer.Option("--format", help="png, jpeg or webp.")] = "png",
    size: Annotated[
        SizeMode | None, typer.Option(help="Of the results: the model's or the original's; the model's choice when absent.")
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="NAME=FILE: a further input, the same for every file; may be repeated.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="photo: the files are photos, traced to the lines that the model draws from.")
    ] = None,
    mix: Annotated[
        str | None, typer.Option(help="In place of the seed's latent several, mixed: 7:0.6,12:0.4; `style` may be a term.")
    ] = None,
    style: Annotated[
        Path | None, typer.Option(help="A picture in whose style the results are to be, for models that take styles.")
    ] = None,
    models: Models = None,
    device: Device = None,
) -> None:
    """Translate files without a server; a file that cannot be used is told and passed over, and the exit code is 1."""
    settings = _settings(models_dir=tuple(models) if models else None, device=device)
    logs.configure("warning", settings.log_format)
    options = BatchOptions(seed, image_format, size, _named_files(inputs or []), source, mix, style)
    try:
        failed = translate_files(settings, files, model, out, options, errors)
    except ConfigurationError as error:
        _fail(str(error))
    if failed:
        raise typer.Exit(1)


def _named_files(given: list[str]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for text in given:
        name, separator, path = text.partition("=")
        if not separator or not path or name in named:
            _fail(f"--input is '{text}'; write NAME=FILE, each name once.")
        named[name] = Path(path)
    return named


@main.command("models")
def list_models(models: Models = None) -> None:
    """List the models that would be served, and the folders that would not."""
    settings = _settings(models_dir=tuple(models) if models else None)
    try:
        catalog = read_catalog(settings.models_dir, bundled_folder() if settings.bundled_models else None)
    except ConfigurationError as error:
        _fail(str(error))
    Console().print(_table(catalog))
    for broken in catalog.broken:
        errors.print(f"[red]broken[/red]  {broken.id}: {broken.reason}", soft_wrap=True, highlight=False)
    for note in catalog.shadowed:
        errors.print(note, soft_wrap=True, highlight=False, markup=False)
    if catalog.broken:
        raise typer.Exit(1)


def _table(catalog: Catalog) -> Table:
    table = Table(Column("id", no_wrap=True), "title", "takes", "family", "size", "folder", box=None, pad_edge=False)
    for entry in catalog:
        takes = " + ".join(f"{spec.kind.value}{' (optional)' if spec.optional else ''}" for spec in entry.manifest.inputs)
        size = sum(path.stat().st_size for path in (entry.graph, entry.encoder) if path)
        shown = f"{size / 2**20:.1f} MB"
        table.add_row(entry.id, entry.manifest.title["en"], takes, entry.manifest.family, shown, str(entry.folder))
    return table


def _settings(**overrides: Any) -> Settings:
    try:
        return load_settings(**overrides)
    except ConfigurationError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    errors.print(message, style="red", highlight=False, soft_wrap=True, markup=False)
    raise typer.Exit(USAGE_ERROR)


if __name__ == "__main__":
    main()

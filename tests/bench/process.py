"""A real `inkwash serve` in a process of its own, on a free port of the loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

START_SECONDS = 60.0
STOP_SECONDS = 30.0


class ServerProcess:
    """Serves the models of one folder from the block's start to its end, with every other setting at its default."""

    host = "127.0.0.1"

    def __init__(self, models: Path) -> None:
        self.port = free_port()
        self._models = models
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process, closed by _stop
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "server", "serve", "--host", self.host, "--port", str(self.port)]
        root = Path(__file__).parents[2]
        settings = {"INKWASH_MODELS_DIR": str(self._models.resolve()), "INKWASH_BUNDLED_MODELS": "false"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("INKWASH_")}
        self._process = subprocess.Popen(command, cwd=root, env=inherited | settings, stdout=self._log, stderr=self._log)
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    @property
    def resident_mib(self) -> float:
        """Memory of the server in MiB: what is resident now."""
        if self._process is None:
            raise RuntimeError("The server has not been started; use it in a `with` block.")
        return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        url = f"http://{self.host}:{self.port}/v2/health/ready"
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"The server ended at its start:\n{self._output()}")
            try:
                with urllib.request.urlopen(url, timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        raise RuntimeError(f"The server was not ready within {START_SECONDS:g} s:\n{self._output()}")

    def _output(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-4000:]

    def _stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()


def free_port() -> int:
    """A port of the loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

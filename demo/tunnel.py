"""A loopback port that leads to the control plane, made of `kubectl port-forward`.

kubectl gives a forward up as soon as one connection through it is reset, which API servers do to every other exec. Each connection
therefore gets a forward of its own; one is always ready, so that nobody waits for it to start.
"""

from __future__ import annotations

import queue
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread

from lab.errors import LabError

_START = 30.0  # seconds until kubectl must have set a forward up
_CHUNK = 65536


@contextmanager
def tunnel(command: Sequence[str], *, port: int = 0) -> Iterator[int]:
    """Listens on loopback, on `port` or a free one, which it gives, and passes each connection on until left.

    `command` is a `kubectl port-forward` that lacks only the ports, such as `:443`, as its last argument. Raises LabError.
    """
    relay = _Relay([*command, ":443"], port)
    try:
        relay.start()
        yield relay.port
    finally:
        relay.end()


@dataclass(frozen=True, slots=True)
class _Forward:
    """One running `kubectl port-forward` and the loopback port on which it listens."""

    process: subprocess.Popen[str]
    port: int


class _Relay:
    def __init__(self, command: Sequence[str], port: int) -> None:
        self._command = command
        try:
            self._listener = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise LabError(f"port {port} on loopback cannot be used: {error.strerror}", "end what uses it") from error
        self.port: int = self._listener.getsockname()[1]
        self._spare: queue.Queue[_Forward] = queue.Queue(maxsize=1)
        self._running: set[subprocess.Popen[str]] = set()
        self._over = Event()
        self._stocker = Thread(target=self._stock, daemon=True)

    def start(self) -> None:
        """Shows that a forward can be had, and serves from then on."""
        self._spare.put(self._forward())
        self._stocker.start()
        Thread(target=self._serve, daemon=True).start()

    def end(self) -> None:
        """Takes no more connections and ends those that are open."""
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with suppress(queue.Empty):
            self._spare.get_nowait()
        if self._stocker.is_alive():
            self._stocker.join(_START)
        for process in tuple(self._running):
            self._end(process)

    def _end(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._running.discard(process)

    def _forward(self) -> _Forward:
        process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._running.add(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        if " -> " not in line or self._over.is_set():
            self._end(process)
            raise LabError(f"kubectl port-forward: {line.strip()}", "see that the control plane's pod is ready")
        return _Forward(process, int(line.split(" -> ")[0].rpartition(":")[2]))

    def _stock(self) -> None:
        while not self._over.is_set():
            try:
                forward = self._forward()
            except LabError:
                self._over.wait(1)
                continue
            self._spare.put(forward)

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        forward = self._live_forward()
        with near, suppress(OSError):
            if forward is None:
                return
            with socket.create_connection(("127.0.0.1", forward.port)) as far:
                back = Thread(target=_copy, args=(far, near), daemon=True)
                back.start()
                _copy(near, far)
                back.join()
        if forward is not None:
            self._end(forward.process)

    def _live_forward(self) -> _Forward | None:
        """The spare one; one that has ended meanwhile, as when the pod was started again, is thrown away."""
        with suppress(queue.Empty):
            while True:
                forward = self._spare.get(timeout=_START)
                if forward.process.poll() is None:
                    return forward
                self._end(forward.process)
        return None


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copies until the source ends, and says so to the target."""
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)

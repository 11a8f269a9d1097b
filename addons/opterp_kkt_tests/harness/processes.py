# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Operating-system processes of a proof: started on 127.0.0.1, watched, faulted, and gone when the proof
ends.
"""

import atexit
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).absolute().parents[3]
RUN = ROOT / ".run"
LOGS = RUN / "log" / "poc"

_given_ports: set[int] = set()
_numbers = itertools.count(1)


def new_file(name: str, suffix: str = "") -> Path:
    """Return a path among the logs that no other run uses; what is written there stays for the reader of a failure."""
    LOGS.mkdir(parents=True, exist_ok=True)
    return LOGS / f"{name}-{os.getpid()}-{next(_numbers)}{suffix}"


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1 that a server may be restarted on.

    It lies below the kernel's ephemeral range (32768 and up), so that no outgoing connection takes it in
    between.
    """
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            if port not in _given_ports and probe.connect_ex(("127.0.0.1", port)):
                _given_ports.add(port)
                return port


def wait_until(condition, seconds: float, what: str, pause: float = 0.05):
    """Call `condition` until it returns something true and return that; TimeoutError naming `what` after
    `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
    return result


class ProcessDied(RuntimeError):
    """A server ended although nobody asked it to; the message carries its last log lines."""


class Server:
    """One server process and its children, in a process group of their own.

    `start` launches `command()` and returns when `ready()` says so. The faults are those of real life: `kill`
    is a power cut (SIGKILL of the whole group), `pause` a hung host (SIGSTOP; connections stay open),
    `resume` its return, `stop` an orderly end. A subclass says what to run and when it is ready. As a context
    manager it starts and stops; whatever is still alive when Python ends is killed.
    """

    start_timeout = 300.0
    stop_signal = signal.SIGTERM
    _alive: set["Server"] = set()

    def __init__(self, name: str, *, user: str | None = None, port: int | None = None):
        self.name = name
        self.user = user
        self.port = port or free_port()
        self.log = new_file(name, ".log")
        self.process: subprocess.Popen | None = None
        self.start_seconds = 0.0

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def ready(self) -> bool:
        with socket.socket() as probe:
            return not probe.connect_ex(("127.0.0.1", self.port))

    def start(self):
        began = time.monotonic()
        self.process = self.launch()
        self._alive.add(self)
        try:
            wait_until(self._ready_or_dead, self.start_timeout, f"start of {self.name} (log: {self.log})")
        except BaseException:
            self.kill()
            raise
        self.start_seconds = time.monotonic() - began
        return self

    def launch(self):
        """The process, just begun: a Popen, or what is like one."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command(),
                env=self.environment(),
                cwd=self.working_directory(),
                user=self.user,
                group=self.user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def working_directory(self) -> Path:
        return ROOT

    def _ready_or_dead(self) -> bool:
        self.check()
        return self.ready()

    def check(self):
        """Raise ProcessDied with the last log lines when the process has ended by itself."""
        if self.process and self.process.poll() is not None:
            self._alive.discard(self)
            raise ProcessDied(f"{self.name} ended with {self.process.returncode}:\n{self.last_log_lines()}")

    def last_log_lines(self, count: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return bool(self.process) and self.process.poll() is None

    def _signal(self, number: signal.Signals):
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def pause(self):
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    @contextmanager
    def paused(self):
        """Accepts connections (the kernel does), answers nothing."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def kill(self):
        """End the whole group at once, as a power cut does; harmless when it has ended already."""
        self._end(signal.SIGKILL)

    def stop(self, seconds: float = 60.0):
        """End it orderly; what is still there after `seconds` is killed."""
        self.resume_if_started()
        self._end(self.stop_signal, seconds)

    def resume_if_started(self):
        if self.running:
            self.resume()

    def _end(self, number: signal.Signals, seconds: float = 60.0):
        if not self.process:
            return
        self._signal(number)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        self._signal(signal.SIGKILL)  # children that outlive their parent
        self.process.wait()
        wait_until(lambda: not _lives(self.pid), seconds, f"the end of {self.name}")  # its port is free then
        self._alive.discard(self)

    def restart(self):
        """Crash and come back on the same port."""
        self.kill()
        return self.start()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()


@atexit.register
def _kill_what_is_left():
    for server in list(Server._alive):
        server.kill()


@contextmanager
def python_process(code: str, *arguments: str):
    """Another Python process that sees the same modules; talk to it by lines, it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _lives(group: int) -> bool:
    """Whether somebody of a process group is there still; who waits to be reaped holds nothing any more."""
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError):
            if process.info["status"] != psutil.STATUS_ZOMBIE and os.getpgid(process.pid) == group:
                return True
    return False


def children(pid: int) -> list[int]:
    """Process ids of all descendants of `pid` (the backends of PostgreSQL, the workers of a prefork server)."""
    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []

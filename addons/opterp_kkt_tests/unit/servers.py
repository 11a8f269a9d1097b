"""A real PostgreSQL and a real Redis of one's own, to be stopped, hung and restarted at will."""
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

STARTUP = 20  # s


def binary(name: str) -> str:
    """Path of a server's program, on PATH or where Debian keeps PostgreSQL's."""
    found = shutil.which(name) or max(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), default=None)
    if not found:
        raise RuntimeError(f"{name} not found: these tests need redis-server and a PostgreSQL server")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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


class Server:
    """A server process in a directory, on a loopback port that it keeps over restarts."""

    stop_signal = signal.SIGKILL

    def __init__(self, directory):
        self.directory = Path(directory)
        self.port = free_port()
        self.process = None

    def start(self) -> None:
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.directory, stdout=log, stderr=log, **self.process_options()
            )
        deadline = time.monotonic() + STARTUP
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no start: {(self.directory / 'log').read_text()}")
            time.sleep(0.01)

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(self.stop_signal)
            self.process.wait()
            self.process = None

    def process_options(self) -> dict:
        return {}

    @contextmanager
    def hung(self):
        """Accepts connections (the kernel does), answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


class RedisServer(Server):
    """Redis without persistence: a restart is a flush."""

    def __init__(self, directory, *options: str):
        super().__init__(directory)
        self.options = options
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        listen = ["--bind", "127.0.0.1", "--port", str(self.port)]
        return [binary("redis-server"), *listen, "--save", "", "--appendonly", "no", *self.options]

    def answers(self) -> bool:
        """Whether it speaks, be it a complaint (loading, password)."""
        try:
            self.admin().ping()
        except (redis.BusyLoadingError, redis.AuthenticationError):
            return True
        except redis.ConnectionError:
            return False
        return True

    def admin(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, decode_responses=True, retry=Retry(NoBackoff(), 0))


class PostgresServer(Server):
    """PostgreSQL that trusts everybody on its port; as root it runs as the user `postgres`, as it must."""

    stop_signal = signal.SIGQUIT  # "immediate": sessions are cut, as in a crash

    @property
    def dsn(self) -> dict:
        return {"host": "127.0.0.1", "port": self.port, "user": "kkt", "database": "postgres"}

    def initialise(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        command = [binary("initdb"), "-D", "data", "-U", "kkt", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            command, cwd=self.directory, check=True, stdout=subprocess.DEVNULL, **self.process_options()
        )

    def command(self) -> list[str]:
        listen = ["-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-F"]
        return [binary("postgres"), "-D", "data", *listen]

    def process_options(self) -> dict:
        return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}

    def answers(self) -> bool:
        try:
            psycopg2.connect(**self.dsn).close()
        except psycopg2.OperationalError:
            return False
        return True


@contextmanager
def running_redis(directory, *options: str):
    directory.mkdir(exist_ok=True)
    server = RedisServer(directory, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def running_postgres():
    # Not below tmp_path: pytest closes that to other users, and the server may have to be another user.
    with tempfile.TemporaryDirectory(prefix="kkt-postgres-") as directory:
        server = PostgresServer(directory)
        server.initialise()
        try:
            server.start()
            yield server
        finally:
            server.stop()

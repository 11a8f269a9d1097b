# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Odoo processes that are there at once. Nine tenths of an Odoo's start is the import of Odoo's own modules: the nursery has
done that once, and forks. What it forks is an operating-system process as any other, with a process group, a registry and
connections of its own; our addons it imports itself. Under clocks that are wrong (`stack.Clock`) there is a nursery of its own.

This file is both sides: who asks (`launch`), and, run as a program, the nursery.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).absolute().parents[3]
INSTALLED = "SELECT name FROM ir_module_module WHERE state = 'installed' AND name NOT LIKE 'opterp_kkt%%' ORDER BY name"
AT_START = ("LD_PRELOAD", "PYTHONPATH", "FAKETIME")  # what counts at a program's start: who forks has it already
_open: list[dict[str | None, "Nursery"]] = []  # by the library that is preloaded


@contextmanager
def opened():
    """Have `launch` take its processes from nurseries, for the block."""
    nurseries = {}
    _open.append(nurseries)
    try:
        yield
    finally:
        _open.remove(nurseries)


def launch(database, arguments: list[str], environment: dict[str, str], log: Path, output: Path | None = None):
    """Start `odoo` with these arguments, and these variables beside our own, for a database; what it prints goes to `log`, or
    to `output` and only its errors to `log`. Return what is like a Popen: `pid`, `poll`, `wait`, `returncode`.
    """
    if _open and "ODOO_ADDONS_PATH" not in environment:  # other addons are found at a program's start only
        nursery = _open[-1].setdefault(environment.get("LD_PRELOAD"), Nursery())
        return nursery.fork(database, arguments, environment, log, output or log)
    with log.open("ab") as errors, (output or log).open("ab") as out:
        return subprocess.Popen(
            ["odoo", *arguments],
            env=os.environ | environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
        )


class Nursery:
    """The program below, which is started with the first process that is asked of it and ends when we do."""

    def __init__(self):
        self._program: subprocess.Popen | None = None
        self._lock = threading.Lock()

    def fork(self, database, arguments: list[str], environment: dict[str, str], log: Path, output: Path) -> "Forked":
        with self._lock:
            if not self._program:
                self._start([row["name"] for row in database.query(INSTALLED)], environment)
        return Forked(self, self.ask(arguments=arguments, environment=environment, log=str(log), output=str(output)))

    def _start(self, modules: list[str], environment: dict[str, str]):
        ours, theirs = socket.socketpair()
        with theirs:
            self._program = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno()), *modules],
                env=os.environ | {name: value for name, value in environment.items() if name.startswith(AT_START)},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._channel = ours.makefile("rw")
        ours.close()  # the file has it

    def ask(self, **request):
        with self._lock:
            print(json.dumps(request), file=self._channel, flush=True)
            return json.loads(self._channel.readline())


class Forked:
    """A process that the nursery forked; it tells how it ended."""

    def __init__(self, nursery: Nursery, pid: int):
        self._nursery = nursery
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.ask(pid=self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = timeout and time.monotonic() + timeout
        while self.poll() is None:
            if deadline and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("odoo", timeout)
            time.sleep(0.01)
        return self.returncode


# --- the program -------------------------------------------------------------------------------------------------


def import_odoo(modules: list[str]):
    for name in ("odoo.cli.server", "odoo.service.server"):
        import_module(name)
    from odoo.modules.module import initialize_sys_path, load_openerp_module

    initialize_sys_path()
    for module in modules:
        load_openerp_module(module)


def serve(channel) -> dict | None:
    """Fork and tell until nobody asks any more; in a child, return what it is to be."""
    for line in channel:
        request = json.loads(line)
        if "pid" in request:
            answer = how_it_ended(request["pid"])
        elif not (answer := os.fork()):
            return request
        print(json.dumps(answer), file=channel, flush=True)


def how_it_ended(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def become(request: dict):
    """What a start by `exec` would give: a session, files, variables and arguments of its own."""
    os.setsid()
    os.chdir(ROOT)
    for descriptor, path in ((1, request["output"]), (2, request["log"])):
        opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.update(request["environment"])
    sys.argv = [shutil.which("odoo"), *request["arguments"]]
    leave_websockets_out()


def leave_websockets_out():
    """A server with workers starts a program for them, which imports Odoo anew; browsers here visit servers without workers."""
    from odoo.service.server import PreforkServer

    PreforkServer.long_polling_spawn = lambda server: None


def main():
    import gc

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _program, descriptor, *modules = sys.argv
    import_odoo(modules)
    gc.freeze()  # what all have in common is not looked at in each
    with socket.socket(fileno=int(descriptor)) as connection, connection.makefile("rw") as channel:
        request = serve(channel)
    if request:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        become(request)
        import odoo.cli

        odoo.cli.main()


if __name__ == "__main__":
    main()

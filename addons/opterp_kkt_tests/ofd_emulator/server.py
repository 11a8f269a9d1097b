"""HTTP/1.1, one thread per connection: the contract under /v1, the orders under /_control, the page; and drives' sessions."""

from __future__ import annotations

import re
import select
import socket
import socketserver
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from . import drive, ofd, orange
from .exchange import to_json
from .faults import Fault, check_setting, parse_fault
from .history import Record
from .page import render

DOCUMENTS = "/v1/documents"
TASKS = "/api/v2/requests"  # of a register, see `register.py`
CLOUD = "/possystem/v5"  # see `cloud.py`
ORANGE = "/api/v2"  # see `orange.py`
BASES = {"cloud": CLOUD, "orange": ORANGE}
SIGNED = {"cloud": "Token", "orange": "X-Signature"}  # where they say who they are; others in Authorization
OPENAPI = Path(__file__).with_name("openapi.yaml")
MAX_BODY = 1 << 20  # bytes
MAX_DISCARDED = 16 << 20  # bytes of a body that is too large, read so that its sender gets to see the answer
JSON = "application/json; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER for 0 s


class Server(socketserver.ThreadingTCPServer):
    """Accepts connections for one OFD."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], emulated: ofd.Ofd):
        self.ofd = emulated
        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # clients may leave whenever they like
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection: read a request whole, find its route, write the answer in one piece.

    A request under /v1 gets its record, then meets the fault in force when it arrived (`meet_<mode>`);
    most of these come down to the OFD's decision and `send`, or to `drop`.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    speaks_http = True

    def parse_request(self) -> bool:
        """Also called for the first line of what is no HTTP."""
        if self.raw_requestline != drive.SIGNATURE:
            return super().parse_request()
        self.take_session()
        return False

    def dispatch(self) -> None:
        self.arrived = time.time() * 1000
        self.url = urlsplit(self.path)
        if not self.read_body():
            return
        methods = self.routes().get(self.url.path)
        if methods is None:
            self.send_error(404, "Нет такого адреса")
        elif self.command not in methods:
            self.send_error(405, "Метод не поддерживается", allow=", ".join(methods))
        else:
            methods[self.command]()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = dispatch

    def routes(self) -> dict[str, dict[str, Callable[[], None]]]:
        path = self.url.path
        if path.startswith(f"{DOCUMENTS}/") and path != f"{DOCUMENTS}/":
            return {path: {"GET": self.look_up}}
        if path.startswith(f"{TASKS}/") and path != f"{TASKS}/":
            return {path: {"GET": self.ask_register}}
        if path.startswith(f"{CLOUD}/"):
            return {path: {"GET": self.ask_cloud, "POST": self.command_cloud}}
        if path.startswith(tuple(f"{ORANGE}/{resource}/" for resource in orange.RESOURCES)):
            return {path: {"GET": self.ask_orange, "POST": self.command_orange}}
        return {
            TASKS: {"POST": self.command_register},
            "/_control/device": {"POST": self.set_device},
            "/_control/cloud": {"POST": self.set_cloud},
            "/_control/orange": {"POST": self.set_orange},
            DOCUMENTS: {"POST": self.submit},
            "/": {"GET": self.page},
            "/openapi.yaml": {"GET": self.openapi},
            "/_control/mode": {"POST": self.set_mode},
            "/_control/refuse": {"POST": self.refuse},
            "/_control/fail_matching": {"POST": self.fail_matching},
            "/_control/reset": {"POST": self.reset},
            "/_control/history": {"GET": self.history},
            "/_control/status": {"GET": self.status},
        }

    # -- /v1 -------------------------------------------------------------------------------------------------

    def submit(self) -> None:
        self.meet(self.headers["Idempotency-Key"], ofd.parse_object(self.body or b""))

    def look_up(self) -> None:
        self.meet(unquote(self.url.path[len(DOCUMENTS) + 1 :]), None)

    def command_register(self) -> None:
        payload = ofd.parse_object(self.body or b"")
        uuid = (payload or {}).get("uuid")
        self.meet(uuid if isinstance(uuid, str) else None, payload, dialect="register")

    def ask_register(self) -> None:
        self.meet(unquote(self.url.path[len(TASKS) + 1 :]), None, dialect="register")

    def command_cloud(self) -> None:
        payload = ofd.parse_object(self.body or b"")
        key = (payload or {}).get("external_id")
        asks = self.url.path == f"{CLOUD}/getToken"
        self.meet(key if isinstance(key, str) else None, payload, dialect="cloud", method="TOKEN" if asks else "POST")

    def ask_cloud(self) -> None:
        self.meet(None, None, dialect="cloud")

    def command_orange(self) -> None:
        payload = ofd.parse_object(self.body or b"")
        key = (payload or {}).get("id")
        self.meet(key if isinstance(key, str) else None, payload, dialect="orange")

    def ask_orange(self) -> None:
        self.meet(unquote(self.url.path.rpartition("/")[2]), None, dialect="orange")

    def meet(self, key: str | None, payload: dict[str, Any] | None, dialect: str = "", method: str = "") -> None:
        epoch = self.headers["X-Delivery-Epoch"] or ""
        request = ofd.Request(
            method or self.command,
            key,
            int(epoch) if re.fullmatch("[0-9]{1,18}", epoch) else None,
            self.headers[SIGNED.get(dialect, "Authorization")],
            self.body,
            payload,
            dialect,
            tuple(unquote(part) for part in self.url.path[len(BASES[dialect]) + 1 :].split("/")) if dialect in BASES else (),
        )
        self.face(request)

    def take_session(self) -> None:
        """What a drive sends over TCP, one session a connection."""
        self.arrived, self.speaks_http, self.close_connection = time.time() * 1000, False, True
        if session := drive.read_session(self.rfile):
            asks = len(session) == drive.SESSION.size
            self.face(ofd.Request("GET" if asks else "POST", None, None, None, session, None, "drive"))

    def face(self, request: ofd.Request) -> None:
        record, fault = self.server.ofd.arrive(request, self.arrived)
        getattr(self, f"meet_{fault.mode}")(request, record, fault)

    def meet_ok(self, request: ofd.Request, record: Record, fault: Fault) -> None:
        answer = self.server.ofd.decide(record, request)
        if answer:
            self.send(answer)
        else:
            self.drop(record)

    def meet_slow(self, request: ofd.Request, record: Record, fault: Fault) -> None:
        if self.client_leaves(fault.seconds):
            self.drop(record)
        else:
            self.meet_ok(request, record, fault)

    def meet_wait(self, request: ofd.Request, record: Record, fault: Fault) -> None:
        while self.server.ofd.is_in_force(fault):
            if self.client_leaves(0.02):
                return self.drop(record)
        self.meet_slow(request, record, replace(fault, seconds=0))

    def meet_drip(self, request: ofd.Request, record: Record, fault: Fault) -> None:
        answer = self.server.ofd.decide(record, request, ends=False)
        if answer is None:
            return self.drop(record)
        data = self.encode(answer)
        if self.drip(data[:-1], fault.seconds / len(data)):
            self.server.ofd.end(record, **ofd.ending(answer))
            self.wfile.write(data[-1:])
        else:
            self.drop(record)

    def drip(self, data: bytes, pause: float) -> bool:
        """Write byte by byte with a pause (s) after each; False once the client has left."""
        try:
            for at in range(len(data)):
                self.wfile.write(data[at : at + 1])
                if self.client_leaves(pause):
                    return False
        except ConnectionError:  # left just before a write
            return False
        return True

    def meet_drop(self, request: ofd.Request, record: Record, fault: Fault) -> None:
        self.server.ofd.decide(record, request, ends=False)
        self.drop(record)

    def meet_hang(self, request: ofd.Request, record: Record, fault: Fault) -> None:
        self.client_leaves(None)
        self.drop(record)

    def meet_reset(self, request: ofd.Request, record: Record, fault: Fault) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
        self.drop(record)
        self.connection.close()  # before the server's shutdown(), which would send a polite FIN first

    def meet_fail(self, request: ofd.Request, record: Record, fault: Fault) -> None:
        self.finish_with(record, ofd.failure(fault.status, fault.retry_after))

    meet_throttle = meet_fail_lookups = meet_fail

    def meet_page(self, request: ofd.Request, record: Record, fault: Fault) -> None:
        self.finish_with(record, ofd.page(fault.status, fault.body, fault.content_type))

    def meet_garbage(self, request: ofd.Request, record: Record, fault: Fault) -> None:
        self.finish_with(record, ofd.garbage())

    def meet_other_key(self, request: ofd.Request, record: Record, fault: Fault) -> None:
        self.finish_with(record, ofd.other_key())

    def finish_with(self, record: Record, answer: ofd.Answer) -> None:
        self.server.ofd.end(record, **ofd.ending(answer))
        self.send(answer)

    def drop(self, record: Record) -> None:
        self.server.ofd.end(record, outcome="dropped", closed=time.time() * 1000)
        self.close_connection = True

    def client_leaves(self, seconds: float | None) -> bool:
        """Wait up to `seconds` (None: for ever); True as soon as the client closes its connection."""
        poll = select.poll()
        poll.register(self.connection, select.POLLRDHUP)  # not POLLIN: a pipelined request is no farewell
        return bool(poll.poll(None if seconds is None else seconds * 1000))

    # -- /_control and the page ------------------------------------------------------------------------------

    def set_mode(self) -> None:
        self.obey(lambda order: self.server.ofd.set_fault(parse_fault(order)))

    def refuse(self) -> None:
        self.obey(
            lambda order: self.server.ofd.refuse(
                _text(order, "match"),
                _text(order, "code", "refused"),
                _text(order, "message", "Документ не прошёл форматно-логический контроль"),
            )
        )

    def fail_matching(self) -> None:
        self.obey(lambda order: self.server.ofd.fail_matching(_text(order, "match"), _answer(order)))

    def set_device(self) -> None:
        self.obey(lambda order: self.server.ofd.set_condition("register", order))

    def set_cloud(self) -> None:
        self.obey(lambda order: self.server.ofd.set_condition("cloud", order))

    def set_orange(self) -> None:
        self.obey(lambda order: self.server.ofd.set_condition("orange", order))

    def reset(self) -> None:
        self.obey(lambda order: self.server.ofd.reset())

    def obey(self, carry_out: Callable[[dict[str, Any]], None]) -> None:
        """Carry out an order given as JSON, or by one of the page's forms, which get their page again."""
        order = ofd.parse_object(self.body or b"{}")
        form = order is None and self.headers.get_content_type() == FORM  # curl -d says FORM of JSON, too
        order = _parse_form(self.body) if form else order
        lang = order.pop("lang", "ru") if form else None
        try:
            if order is None:
                raise ValueError("the order must be a JSON object")
            carry_out(order)
        except ValueError as error:
            return self.send_error(400, str(error))
        if form:
            self.write(303, b"", "text/plain", location="/?lang=en" if lang == "en" else "/")
        else:
            self.send_json(self.server.ofd.status())

    def history(self) -> None:
        since = self.query("since", "0")
        if not re.fullmatch("[0-9]{1,18}", since):
            return self.send_error(400, "since must be a sequence number")
        self.send_json(self.server.ofd.history(int(since)))

    def status(self) -> None:
        self.send_json(self.server.ofd.status())

    def page(self) -> None:
        emulated = self.server.ofd
        page = render(emulated.status(), emulated.latest(), self.query("lang", "ru"))
        self.write(200, page.encode("utf-8", "replace"), "text/html; charset=utf-8")

    def openapi(self) -> None:
        self.write(200, OPENAPI.read_bytes(), "application/yaml; charset=utf-8")

    def query(self, name: str, default: str) -> str:
        return parse_qs(self.url.query).get(name, [default])[0]

    # -- HTTP ------------------------------------------------------------------------------------------------

    def read_body(self) -> bool:
        """Read the body whole, so that the next request starts where it should; False: give up."""
        length = self.headers["Content-Length"] or "0"
        if self.headers["Transfer-Encoding"] or not re.fullmatch("[0-9]{1,18}", length):
            self.close_connection = True
            self.send_error(411, "Content-Length is needed")
            return False
        if int(length) > MAX_BODY:
            return self.discard_body(int(length))
        self.body = self.rfile.read(int(length))
        self.close_connection |= len(self.body) < int(length)
        return len(self.body) == int(length)

    def discard_body(self, length: int) -> bool:
        self.body = None
        self.close_connection |= length > MAX_DISCARDED
        left = min(length, MAX_DISCARDED)
        while left:
            piece = self.rfile.read1(min(left, 1 << 16))
            if not piece:
                self.close_connection = True
                return False
            left -= len(piece)
        return True

    def send(self, answer: ofd.Answer) -> None:
        self.wfile.write(self.encode(answer))

    def encode(self, answer: ofd.Answer) -> bytes:
        if not self.speaks_http:
            return answer.body
        retry = {} if answer.retry_after is None else {"retry_after": f"{answer.retry_after:g}"}
        return self.message(answer.status, answer.body, answer.content_type, **retry)

    def send_json(self, value: Any) -> None:
        self.write(200, to_json(value))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None, **headers: str) -> None:
        """Also called by the base class, for what is not HTTP at all."""
        phrase = _phrase(code)
        error = {"error": {"code": phrase.lower().replace(" ", "_"), "message": message or phrase}}
        self.write(code, to_json(error), **headers)

    def write(self, status: int, body: bytes, content_type: str = JSON, **headers: str) -> None:
        self.wfile.write(self.message(status, body, content_type, **headers))

    def message(self, status: int, body: bytes, content_type: str, **headers: str) -> bytes:
        """A whole HTTP message; in header names `_` stands for `-`."""
        lines = [
            f"HTTP/1.1 {status} {_phrase(status)}",
            f"Date: {self.date_time_string()}",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
        ]
        lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
        return head if self.command == "HEAD" else head + body

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """The history is the log."""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _parse_form(body: bytes | None) -> dict[str, Any]:
    """A form's fields; numbers as numbers, as they would be in JSON."""
    fields = parse_qsl((body or b"").decode("ascii", "replace"))
    return {name: int(value) if re.fullmatch("[0-9]{1,9}", value) else value for name, value in fields}


def _text(order: dict[str, Any], name: str, default: str | None = None) -> str:
    value = order.get(name, default)
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string")
    return value


def _answer(order: dict[str, Any]) -> ofd.Answer:
    """With a `body` a page, else the OFD's own error."""
    status, content_type = order.get("status", 500), order.get("content_type", "text/html")
    check_setting("status", status)
    check_setting("content_type", content_type)
    return ofd.page(status, _text(order, "body"), content_type) if "body" in order else ofd.failure(status)

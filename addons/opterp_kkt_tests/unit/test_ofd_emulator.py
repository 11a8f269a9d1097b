"""The OFD emulator over real sockets: it judges the other tests, so its history has to be right."""

import hashlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

ADDON = Path(__file__).resolve().parents[1]
PATIENCE = 60.0  # s: only ends what hangs
DRIVE = "9999078900001234"


class Emulator:
    """The emulator as a process of its own; `post`, `get` and `control` use a new connection each."""

    def __init__(self, *arguments, port=0):
        command = [sys.executable, "-m", "ofd_emulator", "--port", str(port), *map(str, arguments)]
        self.process = subprocess.Popen(command, cwd=ADDON, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(self.process.communicate()[1])
        self.port = int(line.rsplit(":", 1)[1])

    def connect(self, timeout=PATIENCE):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=PATIENCE):
        connection = self.connect(timeout)
        try:
            return exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def post(self, document, timeout=PATIENCE, **headers):
        body = encode(document)
        return self.request("POST", "/v1/documents", body, headers_of(document, **headers), timeout)

    def look_up(self, key, timeout=PATIENCE):
        return self.request("GET", f"/v1/documents/{key}", timeout=timeout)

    def control(self, order, **fields):
        status, answer, _ = self.request("POST", f"/_control/{order}", json.dumps(fields))
        assert status == 200, answer
        return answer

    def history(self, since=0):
        return self.request("GET", f"/_control/history?since={since}")[1]

    def wait_for(self, outcome, count=1, seconds=PATIENCE):
        """The records with this outcome, once there are `count` of them."""
        deadline = time.monotonic() + seconds
        while True:
            found = [record for record in self.history() if record["outcome"] == outcome]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"no {outcome} in {self.history()}"
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@contextmanager
def running(*arguments, port=0):
    emulator = Emulator(*arguments, port=port)
    try:
        yield emulator
    finally:
        if emulator.process.poll() is None:
            emulator.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with running("--history", tmp_path_factory.mktemp("ofd") / "ofd.jsonl") as emulator:
        yield emulator


@pytest.fixture
def ofd(shared):
    shared.control("reset")
    return shared


def document(key="db:1", fd_number=1, register=DRIVE, **more):
    return {
        "idempotency_key": key,
        "fd_number": fd_number,
        "document_type": "receipt",
        "register": {"fiscal_drive_number": register, "registration_number": "0000000001012345"},
        "hlc": {"local_time": 1700000000000 + fd_number, "logical_counter": 2, "node": "pos-1"},
        "document": {
            "operationType": 1,
            "totalSum": 1250000,
            "fiscalDocumentNumber": fd_number,
            "items": [{"name": "Оправа", "price": 1250000, "quantity": 1, "sum": 1250000, "nds": 11}],
        },
        **more,
    }


def encode(payload):
    return payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()


def headers_of(payload, **more):
    key = payload["idempotency_key"] if isinstance(payload, dict) else "raw"
    return {"Idempotency-Key": key, "X-Delivery-Epoch": "7", **{name.replace("_", "-"): value for name, value in more.items()}}


def exchange(connection, method, path, body=None, headers=None):
    """(status, JSON or text, headers) of one request on a connection that stays open."""
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    data = response.read()
    parsed = json.loads(data) if "json" in response.headers["Content-Type"] else data.decode()
    return response.status, parsed, response.headers


# -- the contract --------------------------------------------------------------------------------------------


def test_an_accepted_document_is_in_the_history(ofd):
    before = time.time() * 1000
    status, answer, _ = ofd.post(document())
    after = time.time() * 1000
    assert status == 200
    assert answer["status"] == "accepted" and answer["idempotency_key"] == "db:1" and answer["ofd_id"]
    [record] = ofd.history()
    assert before <= record["arrived"] <= record["answered"] <= after
    assert before - 1 <= answer["server_time"] <= after
    assert record["sha256"] == hashlib.sha256(encode(document())).hexdigest()
    assert record["hlc"] == document()["hlc"]
    expected = {
        "method": "POST",
        "register": DRIVE,
        "key": "db:1",
        "fd_number": 1,
        "document_type": "receipt",
        "operation_type": 1,
        "total_sum": 1250000,
        "epoch": 7,
        "status": 200,
        "outcome": "accepted",
        "accepted": True,
        "closed": None,
    }
    assert {name: record[name] for name in expected} == expected


def test_the_same_key_and_bytes_get_the_same_answer(ofd):
    first, again = ofd.post(document()), ofd.post(document())
    assert first[:2] == again[:2]
    assert [(r["outcome"], r["accepted"]) for r in ofd.history()] == [("accepted", True), ("duplicate", False)]


def test_the_same_key_with_other_bytes_is_a_conflict(ofd):
    first = ofd.post(document())
    status, answer, _ = ofd.post(document(fd_number=2))
    assert status == 409 and answer["error"]["code"] == "conflict"
    assert ofd.look_up("db:1")[1] == first[1]
    assert [r["outcome"] for r in ofd.history()] == ["accepted", "conflict", "lookup_hit"]


def test_order_and_epochs_are_not_its_business(ofd):
    assert ofd.post(document("db:9", 9))[0] == 200
    assert ofd.post(document("db:3", 3), X_Delivery_Epoch="1")[0] == 200
    assert ofd.post(document("db:3b", 3), X_Delivery_Epoch="nonsense")[0] == 200
    assert [(r["fd_number"], r["epoch"]) for r in ofd.history()] == [(9, 7), (3, 1), (3, None)]


def test_look_ups(ofd):
    answer = ofd.post(document("db:with space/x"))[1]
    assert ofd.look_up("db%3Awith%20space%2Fx")[:2] == (200, answer)
    status, missing, _ = ofd.look_up("never-seen")
    assert status == 404 and missing["error"]["message"]
    assert [(r["method"], r["key"], r["outcome"], r["status"]) for r in ofd.history()[1:]] == [
        ("GET", "db:with space/x", "lookup_hit", 200),
        ("GET", "never-seen", "lookup_miss", 404),
    ]


@pytest.mark.parametrize(
    "body, code",
    [
        (b"not json", "bad_json"),
        (b"[1]", "bad_json"),
        (b"", "bad_json"),
        (b"[" * 100_000, "bad_json"),
        (encode(document("other")), "key_mismatch"),
        (encode({**document("raw"), "register": {}}), "missing_field"),
        (encode({**document("raw"), "register": "x"}), "missing_field"),
        (encode({**document("raw"), "document": None}), "missing_field"),
        (encode({**document("raw"), "fd_number": "1"}), "bad_field"),
        (encode({**document("raw"), "fd_number": True}), "bad_field"),
    ],
)
def test_what_is_no_document_is_refused(ofd, body, code):
    status, answer, _ = ofd.post(body)
    assert (status, answer["error"]["code"]) == (422, code)
    assert any("а" <= letter <= "я" for letter in answer["error"]["message"])
    [record] = ofd.history()
    assert (record["outcome"], record["accepted"], record["key"]) == ("refused", False, "raw")


def test_strange_values_do_not_break_the_history(ofd):
    strange = document("strange", hlc={"local_time": "x" * 1000, "node": ["deep"]})
    strange["document"]["totalSum"] = 10**400
    strange["register"]["fiscal_drive_number"] = "\ud800" + "9" * 100
    assert ofd.post(json.dumps(strange).encode(), Idempotency_Key="strange")[0] == 200
    [record] = ofd.history()
    assert record["hlc"] == {"local_time": "x" * 64, "logical_counter": None, "node": None}
    assert record["total_sum"] is None and len(record["register"]) == 64
    assert ofd.request("GET", "/")[0] == 200


def test_more_than_one_mebibyte_is_too_large(ofd):
    connection = ofd.connect()
    edge = document("edge", padding="")
    edge["padding"] = "x" * ((1 << 20) - len(encode(edge)))
    assert exchange(connection, "POST", "/v1/documents", encode(edge), headers_of(edge))[0] == 200
    over = {**edge, "padding": edge["padding"] + "x"}
    assert exchange(connection, "POST", "/v1/documents", encode(over), headers_of(over))[0] == 413
    assert exchange(connection, "GET", "/v1/documents/edge")[0] == 200  # the connection is still in step
    connection.close()
    assert [r["outcome"] for r in ofd.history()] == ["accepted", "refused", "lookup_hit"]


def test_unknown_paths_and_methods(ofd):
    assert ofd.request("GET", "/nowhere")[0] == 404
    assert ofd.request("GET", "/v1/documents/")[0] == 404
    status, answer, headers = ofd.request("GET", "/v1/documents")
    assert status == 405 and headers["Allow"] == "POST" and answer["error"]["message"]
    assert ofd.request("DELETE", "/v1/documents/db:1")[0] == 405
    assert ofd.request("POST", "/_control/history", b"{}")[0] == 405
    assert ofd.request("GET", "/openapi.yaml")[0] == 200
    assert ofd.history() == []


def test_a_body_of_unknown_length_is_not_waited_for(ofd):
    status, _, headers = ofd.request("POST", "/v1/documents", iter([b"{}"]), {"Transfer-Encoding": "chunked"})
    assert status == 411 and headers["Connection"] == "close"


def test_expect_100_continue_and_pipelining(ofd):
    body = encode(document())
    head = (
        f"POST /v1/documents HTTP/1.1\r\nHost: x\r\nIdempotency-Key: db:1\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    ).encode()
    look_up = b"GET /v1/documents/db:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", ofd.port), timeout=PATIENCE) as raw:
        raw.sendall(head)
        assert raw.recv(100).startswith(b"HTTP/1.1 100")
        raw.sendall(body + look_up)
        answers = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 200 OK") == 2


def test_the_token_is_asked_for_only_when_set():
    with running("--token", "s3cret") as guarded:
        assert guarded.post(document())[0] == 401
        assert guarded.post(document(), Authorization="Bearer wrong")[0] == 401
        assert guarded.look_up("db:1")[0] == 401
        assert guarded.post(document(), Authorization="Bearer s3cret")[0] == 200
        assert [r["outcome"] for r in guarded.history()] == ["unauthorized"] * 3 + ["accepted"]


# -- faults --------------------------------------------------------------------------------------------------


def test_fail_counts_posts_and_not_look_ups(ofd):
    ofd.control("mode", mode="fail", status=503, count=2, retry_after=3)
    status, answer, headers = ofd.post(document())
    assert status == 503 and headers["Retry-After"] == "3" and answer["error"]["message"]
    assert ofd.look_up("db:1")[0] == 404
    assert ofd.post(document())[0] == 503
    assert ofd.post(document())[0] == 200
    assert [r["outcome"] for r in ofd.history()] == ["failed", "lookup_miss", "failed", "accepted"]


def test_fail_without_a_count_lasts(ofd):
    ofd.control("mode", mode="fail")
    assert [ofd.post(document())[0] for _ in range(3)] == [500] * 3
    assert ofd.control("mode", mode="ok")["mode"] == "ok"
    assert ofd.post(document())[0] == 200


def test_throttle(ofd):
    ofd.control("mode", mode="throttle", count=1)
    status, _, headers = ofd.post(document())
    assert (status, headers["Retry-After"]) == (429, "2")
    assert ofd.post(document())[0] == 200
    assert [r["outcome"] for r in ofd.history()] == ["throttled", "accepted"]


def test_drop_accepts_and_closes(ofd):
    ofd.control("mode", mode="drop", count=1)
    with pytest.raises(http.client.RemoteDisconnected):
        ofd.post(document())
    [record] = ofd.history()
    assert (record["outcome"], record["accepted"], record["status"], record["answered"]) == ("dropped", True, None, None)
    assert record["arrived"] <= record["closed"] <= time.time() * 1000
    assert ofd.look_up("db:1")[0] == 200
    ofd.post(document())
    assert ofd.history()[-1]["outcome"] == "duplicate"


def test_reset_accepts_nothing_and_cuts_look_ups_too(ofd):
    ofd.control("mode", mode="reset", count=1)
    with pytest.raises(ConnectionResetError) as caught:
        ofd.look_up("db:1")
    assert not isinstance(caught.value, http.client.RemoteDisconnected)  # an RST, not an end of file
    with pytest.raises(ConnectionResetError):
        ofd.post(document())
    assert ofd.look_up("db:1")[0] == 404
    assert [(r["method"], r["outcome"], r["accepted"]) for r in ofd.history()] == [
        ("GET", "dropped", False),
        ("POST", "dropped", False),
        ("GET", "lookup_miss", False),
    ]


def test_garbage_and_other_key_accept_nothing(ofd):
    ofd.control("mode", mode="garbage", count=1)
    status, answer, _ = ofd.post(document())
    assert status == 200 and isinstance(answer, str)
    ofd.control("mode", mode="other_key", count=1)
    status, answer, _ = ofd.post(document())
    assert status == 200 and answer["status"] == "accepted" and answer["idempotency_key"] != "db:1"
    assert ofd.look_up("db:1")[0] == 404
    assert [r["outcome"] for r in ofd.history()] == ["failed", "failed", "lookup_miss"]


def test_slow_decides_at_the_end(ofd):
    """A look-up that was answered before the document was has missed it, one that came after it has found it."""
    ofd.control("mode", mode="slow", seconds=1, count=1)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(ofd.post, document())
        ofd.wait_for("in_flight")
        while not answer.done():
            ofd.look_up("db:1")
        assert answer.result()[0] == 200
    ofd.look_up("db:1")
    record, *look_ups = ofd.history()
    assert record["outcome"] == "accepted"
    assert {r["outcome"] for r in look_ups if r["answered"] < record["answered"]} <= {"lookup_miss"}
    assert {r["outcome"] for r in look_ups if r["arrived"] > record["answered"]} == {"lookup_hit"}


def test_wait_decides_when_another_order_comes(ofd):
    ofd.control("mode", mode="wait")
    with ThreadPoolExecutor() as pool:
        for number in (1, 2):
            answer = pool.submit(ofd.post, document(f"db:{number}", number))
            [record] = ofd.wait_for("in_flight")
            assert record["key"] == f"db:{number}" and record["answered"] is None and record["status"] is None
            assert ofd.look_up(record["key"])[0] == 404 and not answer.done()
            ofd.control("mode", mode="wait")
            assert answer.result()[0] == 200 and ofd.look_up(record["key"])[0] == 200


@contextmanager
def sending(ofd, document):
    """A client that waits for its answer during the block, and then leaves."""
    connection = ofd.connect()
    connection.request("POST", "/v1/documents", encode(document), headers_of(document))
    ofd.wait_for("in_flight")
    yield
    connection.close()


@pytest.mark.parametrize("order", [{"mode": "slow", "seconds": 3600}, {"mode": "wait"}, {"mode": "hang"}])
def test_a_client_that_leaves_is_seen_leaving(ofd, order):
    ofd.control("mode", **order)
    with sending(ofd, document()):
        leaves = int(time.time() * 1000)
    [record] = ofd.wait_for("dropped")
    assert leaves <= record["closed"] <= time.time() * 1000
    assert record["answered"] is None and not record["accepted"]
    ofd.control("mode", mode="ok")
    assert ofd.look_up("db:1")[0] == 404


def test_hang_cuts_look_ups_too(ofd):
    ofd.control("mode", mode="hang", count=1)
    with pytest.raises(TimeoutError):
        ofd.look_up("db:1", timeout=0.2)
    ofd.wait_for("dropped")
    with pytest.raises(TimeoutError):
        ofd.post(document(), timeout=0.2)
    ofd.wait_for("dropped", 2)
    assert ofd.post(document())[0] == 200


def test_a_fault_may_change_while_requests_are_in_flight(ofd):
    ofd.control("mode", mode="hang")
    with sending(ofd, document()):
        ofd.control("mode", mode="ok")
        assert ofd.post(document("db:2", 2))[0] == 200
        assert ofd.wait_for("in_flight")[0]["key"] == "db:1"
    ofd.wait_for("dropped")


def test_drip_accepts_first_and_answers_byte_by_byte(ofd):
    ofd.control("mode", mode="drip", seconds=0.6, count=2)
    assert ofd.post(document())[0] == 200
    ofd.control("mode", mode="drip", seconds=3600)
    with socket.create_connection(("127.0.0.1", ofd.port), timeout=PATIENCE) as raw:
        body = encode(document("db:2", 2))
        raw.sendall(
            b"POST /v1/documents HTTP/1.1\r\nHost: x\r\nIdempotency-Key: db:2\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        assert raw.recv(100) == b"H"
        assert [r["accepted"] for r in ofd.wait_for("in_flight")] == [True]
    assert [r["accepted"] for r in ofd.wait_for("dropped")] == [True]


def test_matching_documents_are_refused_until_cleared(ofd):
    ofd.control("refuse", match="Оправа", code="flk", message="Неверная ставка НДС")
    status, answer, _ = ofd.post(document())
    assert (status, answer) == (422, {"error": {"code": "flk", "message": "Неверная ставка НДС"}})
    other = document("db:2", 2, document={"operationType": 2})
    assert ofd.post(other)[0] == 200
    ofd.control("refuse", match="")
    assert ofd.post(document())[0] == 200
    ofd.control("refuse", match="Оправа")
    assert ofd.post(document())[0] == 200  # taken already: the same answer again


def test_matching_documents_fail_while_others_pass(ofd):
    ofd.control("fail_matching", match='"db:1"', status=502)
    assert [ofd.post(document())[0] for _ in range(2)] == [502, 502]
    assert ofd.look_up("db:1")[0] == 404
    assert ofd.post(document("db:2", 2))[0] == 200
    ofd.control("fail_matching", match="")
    assert ofd.post(document())[0] == 200


@pytest.mark.parametrize(
    "status, body, outcome",
    [
        (403, "<h1>Blocked</h1>", "failed"),
        (409, "", "failed"),
        (422, "", "failed"),
        (409, '{"error": {"code": "", "message": ""}}', "conflict"),
        (422, '{"error": {}}', "refused"),
    ],
)
def test_a_firewall_answers_matching_documents_in_the_ofds_stead(ofd, status, body, outcome):
    ofd.control("fail_matching", match='"db:1"', status=status, body=body)
    connection = ofd.connect()
    connection.request("POST", "/v1/documents", encode(document()), headers_of(document()))
    answer = connection.getresponse()
    assert (answer.status, answer.read().decode(), answer.headers["Content-Type"]) == (status, body, "text/html")
    connection.close()
    assert ofd.post(document("db:2", 2))[0] == 200 and ofd.look_up("db:1")[0] == 404
    assert ofd.history()[0]["outcome"] == outcome and not ofd.history()[0]["accepted"]


def test_a_proxys_page_hides_the_ofd_lookups_too(ofd):
    ofd.post(document())
    ofd.control("mode", mode="page", status=400, body="The plain HTTP request was sent to HTTPS port", count=2)
    assert ofd.look_up("db:1")[0] == 400
    assert [ofd.post(document("db:2", 2))[0] for _ in range(3)] == [400, 400, 200]
    assert ofd.look_up("db:1")[0] == 200


def test_lookups_fail_while_documents_pass(ofd):
    ofd.control("mode", mode="fail_lookups", status=502, count=2)
    assert ofd.post(document())[0] == 200
    assert [ofd.look_up("db:1")[0] for _ in range(3)] == [502, 502, 200]


@pytest.mark.parametrize(
    "path, order",
    [
        ("mode", {}),
        ("mode", {"mode": "nonsense"}),
        ("mode", {"mode": ["ok"]}),
        ("mode", {"mode": "ok", "count": 1}),
        ("mode", {"mode": "fail", "status": 99}),
        ("mode", {"mode": "fail", "count": 0}),
        ("mode", {"mode": "slow", "seconds": "1"}),
        ("mode", {"mode": "drop", "seconds": 1}),
        ("mode", []),
        ("refuse", {"match": 1}),
        ("refuse", {}),
        ("fail_matching", {"match": "x", "status": "500"}),
        ("fail_matching", {"match": "x", "body": 1}),
        ("mode", {"mode": "page", "content_type": "a\nb"}),
        ("mode", {"mode": "fail", "body": ""}),
    ],
)
def test_wrong_orders_change_nothing(ofd, path, order):
    status, answer, _ = ofd.request("POST", f"/_control/{path}", json.dumps(order))
    assert status == 400 and answer["error"]["message"]
    assert ofd.request("GET", "/_control/status")[1]["mode"] == "ok"


def test_reset_forgets_also_what_is_in_flight(ofd):
    ofd.post(document("old"))
    ofd.control("refuse", match="Оправа")
    ofd.control("mode", mode="wait")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(ofd.post, document())
        ofd.wait_for("in_flight")
        status = ofd.control("reset")
        with pytest.raises(http.client.RemoteDisconnected):
            slow.result()
    assert ofd.history() == []
    assert status == {
        "mode": "ok",
        "fault": {"mode": "ok"},
        "refuse": [],
        "fail_matching": [],
        "requests": 0,
        "documents": 0,
        "in_flight": 0,
        "outcomes": {},
    }
    assert ofd.look_up("old")[0] == 404 and ofd.look_up("db:1")[0] == 404


# -- the history ---------------------------------------------------------------------------------------------


def test_many_clients_at_once_are_all_written_down_once(ofd):
    clients, each = 24, 20
    start = threading.Barrier(clients)

    def client(number):
        """Sends its own documents, and each of the documents that everybody sends."""
        connection = ofd.connect(timeout=30)
        start.wait()
        times = []
        for n in range(each):
            own = document(f"own:{number}:{n}", n + 1, f"9999{number:012}")
            for payload in (own, document(f"common:{n}", n + 1)):
                sent = time.time() * 1000
                answer = exchange(connection, "POST", "/v1/documents", encode(payload), headers_of(payload))
                times.append((payload["idempotency_key"], sent, time.time() * 1000, answer[:2]))
        connection.close()
        return times

    with ThreadPoolExecutor(clients) as pool:
        seen = [request for times in pool.map(client, range(clients)) for request in times]
    history = ofd.history()
    assert len(history) == len(seen) == clients * each * 2
    assert [r["seq"] for r in history] == list(range(history[0]["seq"], history[0]["seq"] + len(history)))
    taken = [r["key"] for r in history if r["accepted"]]
    assert len(taken) == len(set(taken)) == clients * each + each
    assert {r["outcome"] for r in history} == {"accepted", "duplicate"}
    answers = {}
    for key, _, _, (status, answer) in seen:
        assert status == 200 and answers.setdefault(key, answer) == answer
    spans = {}
    for record in history:
        spans.setdefault(record["key"], []).append((record["arrived"], record["answered"]))
    for key, sent, got, _ in seen:
        assert any(sent <= arrived <= answered <= got for arrived, answered in spans[key]), key
    assert ofd.history(since=history[-2]["seq"]) == history[-1:]


def test_one_key_from_many_clients_is_accepted_once(ofd):
    start = threading.Barrier(16)

    def send(number):
        start.wait()
        return ofd.post(document(fd_number=number % 2))[0]

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(send, range(16)))
    outcomes = [r["outcome"] for r in ofd.history()]
    assert sorted(set(statuses)) == [200, 409]
    assert sorted(outcomes) == ["accepted"] + ["conflict"] * 8 + ["duplicate"] * 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_everything_survives_a_restart(tmp_path, number):
    file = tmp_path / "ofd.jsonl"
    with running("--history", file) as first:
        answer = first.post(document())[1]
        first.control("mode", mode="drop", count=1)
        with pytest.raises(http.client.RemoteDisconnected):
            first.post(document("db:2", 2))
        before = first.history()
        assert first.stop(number) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        with running("--history", file, port=first.port) as second:
            assert second.history() == before
            assert second.post(document())[1] == answer
            assert second.look_up("db:2")[0] == 200
            assert second.post(document("db:2", 3))[0] == 409
            assert second.history()[-1]["seq"] == 5
            assert second.request("GET", "/_control/status")[1]["outcomes"] == {
                "accepted": 1,
                "dropped": 1,
                "duplicate": 1,
                "lookup_hit": 1,
                "conflict": 1,
            }


def test_an_answer_seen_before_kill_9_is_in_the_file(tmp_path):
    """Killed in the middle of a stream of documents: whatever a client was told stays true."""
    file = tmp_path / "ofd.jsonl"
    told, ready = [], threading.Event()

    def stream(emulator, client):
        connection = emulator.connect()
        for n in range(10_000):
            payload = document(f"{client}:{n}", n + 1)
            request = ("POST", "/v1/documents", encode(payload), headers_of(payload))
            try:
                told.append(exchange(connection, *request)[1])
            except (OSError, http.client.HTTPException):
                return
            if len(told) > 200:
                ready.set()

    with running("--history", file) as first, ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(stream, first, client) for client in range(4)]
        assert ready.wait(20)
        first.stop(signal.SIGKILL)
        for client in clients:
            client.result()
    with running("--history", file) as second:
        for answer in told:
            assert second.look_up(answer["idempotency_key"])[:2] == (200, answer)
        assert not [r for r in second.history() if r["outcome"] == "in_flight"]


def test_requests_in_flight_at_a_crash_end_with_it(tmp_path):
    file = tmp_path / "ofd.jsonl"
    with running("--history", file) as first, ThreadPoolExecutor() as pool:
        first.control("mode", mode="hang")
        hung = pool.submit(first.post, document())
        first.wait_for("in_flight")
        first.stop(signal.SIGKILL)
        with pytest.raises((OSError, http.client.HTTPException)):
            hung.result()
    with running("--history", file) as second:
        [record] = second.history()
        assert (record["outcome"], record["accepted"]) == ("dropped", False)
        assert record["arrived"] < record["closed"] <= time.time() * 1000


def test_a_torn_last_line_harms_nothing(tmp_path):
    file = tmp_path / "ofd.jsonl"
    with running("--history", file) as first:
        first.post(document())
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"seq":2,"arr')
    with running("--history", file) as second:
        assert len(second.history()) == 1
        second.post(document("db:2", 2))
    with running("--history", file) as third:
        assert [r["key"] for r in third.history()] == ["db:1", "db:2"]
    assert file.read_bytes().startswith(whole)


def test_two_lines_per_request_and_never_a_rewrite(tmp_path):
    file = tmp_path / "ofd.jsonl"
    with running("--history", file) as emulator:
        emulator.post(document())
        before = file.read_bytes()
        assert before.count(b"\n") == 2
        emulator.control("reset")
        emulator.post(document())
        assert file.read_bytes().startswith(before) and file.read_bytes().count(b"\n") == 5


def test_a_history_in_use_is_not_shared(tmp_path):
    with running("--history", tmp_path / "ofd.jsonl"):
        with pytest.raises(RuntimeError, match="in use by another emulator"):
            Emulator("--history", tmp_path / "ofd.jsonl")


# -- the page ------------------------------------------------------------------------------------------------


def test_the_page_shows_documents_in_both_languages(ofd):
    ofd.post(document(register="<b>&"))
    ofd.control("mode", mode="fail", count=5)
    russian, english = ofd.request("GET", "/")[1], ofd.request("GET", "/?lang=en")[1]
    assert "Эмулятор ОФД: не настоящий ОФД" in russian and "12\u00a0500,00\u00a0₽" in russian
    assert "Чек, приход" in russian and "осталось: 5" in russian
    assert "not a real OFD" in english and "12,500.00\u00a0₽" in english and "Receipt, sale" in english
    assert "<b>&" not in russian and "&lt;b&gt;&amp;" in russian
    assert "http" not in russian.replace("http-equiv", "")  # self-contained


def test_the_pages_buttons(ofd):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, _, headers = ofd.request("POST", "/_control/mode", "mode=fail&count=5&lang=en", form)
    assert (status, headers["Location"]) == (303, "/?lang=en")
    assert ofd.request("GET", "/_control/status")[1]["fault"] == {"mode": "fail", "status": 500, "count": 5}
    status, _, headers = ofd.request("POST", "/_control/mode", "mode=slow&seconds=3&lang=ru", form)
    assert (status, headers["Location"]) == (303, "/")
    by_curl = ofd.request("POST", "/_control/mode", '{"mode": "ok"}', form)  # curl -d says so of everything
    assert by_curl[1]["mode"] == "ok"

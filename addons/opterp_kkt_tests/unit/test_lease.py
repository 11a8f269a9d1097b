import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from delivery.lease import Lease, LeaseLost, LeaseUnavailable, connect
from harness.processes import free_port, python_process, wait_until
from harness.stack import Redis
from unit.transport_peer import Peer, sends

KEY = "kkt:test:register:1"
PATIENCE = 60.0  # s: Redis has so long where it should answer; only who lets it hang takes the product's own
OPERATIONS = ("acquire", "take_over", "renew", "release", "current_holder")


@pytest.fixture(autouse=True)
def socket_timeout(monkeypatch):
    """Have a busy machine time to answer; return the product's own time-out."""
    module = sys.modules[Lease.__module__]
    own = module.SOCKET_TIMEOUT
    monkeypatch.setattr(module, "SOCKET_TIMEOUT", PATIENCE)
    return own


@pytest.fixture
def impatient(monkeypatch, socket_timeout):
    monkeypatch.setattr(sys.modules[Lease.__module__], "SOCKET_TIMEOUT", socket_timeout)


@pytest.fixture
def lease_of(redis_server):
    """Make a lease of a holder, each with a connection of its own."""
    return lambda holder, ttl=30.0: Lease(connect(redis_server.url), KEY, holder, ttl)


def assert_unavailable(lease, operations=OPERATIONS):
    for operation in operations:
        with pytest.raises(LeaseUnavailable):
            getattr(lease, operation)()


def once_answered(operation):
    """What an operation says when Redis answers within the product's own time-out, which a busy machine may miss."""
    for _ in range(100):
        with suppress(LeaseUnavailable):
            return operation()
    return operation()


def assert_ends(lease, since, ttl):
    """What we count on ends `ttl` after a moment since `since` (monotonic), and not later than Redis frees the lease."""
    known = lease._redis.pttl(lease.key)
    remaining = lease.remaining
    assert since + ttl <= time.monotonic() + remaining + 1e-6
    assert remaining <= ttl and remaining * 1000 <= known + 5  # ms: Redis looks at its clock once per round of work


# One holder at a time


def test_second_acquire_fails_until_release(lease_of):
    first, second = lease_of("first"), lease_of("second")
    assert first.acquire()
    assert not second.acquire()
    assert second.remaining == 0
    assert second.current_holder() == "first"
    assert first.release()
    assert second.current_holder() is None
    assert second.acquire()


CONTENDER = """
import sys
from delivery.lease import Lease, connect
sys.modules[Lease.__module__].SOCKET_TIMEOUT = 60.0
lease = Lease(connect(sys.argv[1]), *sys.argv[2:])
input("ready\\n")
print(lease.acquire())
"""


def test_one_of_many_processes_gets_it(redis_server):
    with ExitStack() as stack:
        processes = [stack.enter_context(python_process(CONTENDER, redis_server.url, KEY, f"holder {n}")) for n in range(3)]
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 3
        for process in processes:
            process.stdin.write("go\n")
        outcomes = [process.stdout.readline().strip() for process in processes]
    assert sorted(outcomes) == ["False", "False", "True"]
    assert redis_server.client.get(KEY) == f"holder {outcomes.index('True')}"


def test_one_of_many_threads_gets_it_on_a_shared_client(redis_server):
    client = connect(redis_server.url)
    leases = [Lease(client, KEY, f"thread {n}") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(Lease.acquire, leases)) == 1


def test_client_survives_a_fork(redis_server):
    """Parent and child must not read each other's answers from one inherited socket."""
    client = connect(redis_server.url)
    lease = Lease(client, KEY, "parent")
    lease.acquire()
    child = os.fork()
    if not child:
        other = Lease(client, "kkt:test:register:2", "child")
        other.take_over()
        os._exit(any(other.current_holder() != "child" for _ in range(300)))
    assert all(lease.current_holder() == "parent" for _ in range(300))
    assert os.waitpid(child, 0)[1] == 0
    assert lease.current_holder() == "parent"


def test_stranger_releases_nothing(lease_of):
    first, second = lease_of("first"), lease_of("second")
    first.acquire()
    assert not second.release()
    assert first.current_holder() == "first"


def test_release_of_a_free_lease(lease_of):
    assert not lease_of("first").release()


# Time


def test_lease_expires_for_others_and_for_itself(lease_of):
    """For itself first: when another can take it, it has ended."""
    first, second = lease_of("first", ttl=0.15), lease_of("second")
    assert first.acquire()
    assert first.remaining <= 0.15
    while not second.acquire():
        time.sleep(0.01)
    assert first.remaining == 0


def test_renewal_extends(lease_of, redis_server):
    lease, admin = lease_of("first"), redis_server.client
    lease.acquire()
    for _ in range(4):
        before = admin.pexpiretime(KEY)
        time.sleep(0.01)
        began = time.monotonic()
        lease.renew()
        assert_ends(lease, began, 30)
        assert admin.pexpiretime(KEY) > before
    assert lease.current_holder() == "first"


def test_default_time_to_live(lease_of, redis_server):
    lease, began = lease_of("first"), time.monotonic()
    lease.take_over()
    assert_ends(lease, began, 30)
    assert redis_server.client.pttl(KEY) <= 30_000


@pytest.mark.parametrize("operation", ["acquire", "take_over", "renew"])
def test_remaining_counts_from_before_the_call(lease_of, redis_server, operation, monkeypatch):
    """The answer takes 0.1 s: that time is gone from what we may count on."""
    lease, asked = lease_of("first", ttl=100), []
    command = "eval" if operation == "renew" else "set"
    ask = getattr(lease._redis, command)

    def ask_slowly(*args, **kwargs):
        asked.append(time.monotonic())
        answer = ask(*args, **kwargs)
        time.sleep(0.1)
        return answer

    monkeypatch.setattr(lease._redis, command, ask_slowly)
    getattr(lease, operation)()
    now = time.monotonic()
    assert now + lease.remaining <= asked[-1] + 100


def test_remaining_ignores_the_wall_clock(lease_of, monkeypatch):
    lease = lease_of("first")
    began = time.monotonic()
    lease.acquire()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert_ends(lease, began, 30)


def test_release_ends_remaining(lease_of):
    lease = lease_of("first")
    lease.acquire()
    lease.release()
    assert lease.remaining == 0


# Taken over, flushed


def test_taken_over(lease_of, redis_server):
    first, second = lease_of("first"), lease_of("second", ttl=5)
    first.acquire()
    second.take_over()
    with pytest.raises(LeaseLost):
        first.renew()
    assert first.remaining == 0
    assert not first.release()
    assert first.current_holder() == "second"
    assert redis_server.client.pttl(KEY) <= 5000  # neither call touched it


def test_take_over_of_a_free_lease(lease_of):
    lease = lease_of("first")
    lease.take_over()
    assert lease.current_holder() == "first"


def test_renewal_sets_a_flushed_lease_again(lease_of, redis_server):
    lease = lease_of("first")
    lease.acquire()
    redis_server.client.flushall()
    began = time.monotonic()
    lease.renew()
    assert lease.current_holder() == "first"
    assert not lease_of("second").acquire()
    assert_ends(lease, began, 30)


def test_renewal_after_a_flush_yields_to_another(lease_of, redis_server):
    first, second = lease_of("first"), lease_of("second")
    first.acquire()
    redis_server.client.flushall()
    assert second.acquire()
    with pytest.raises(LeaseLost):
        first.renew()


# Redis fails


def test_redis_restarted_empty(lease_of, redis_server):
    lease = lease_of("first")
    lease.acquire()
    redis_server.kill()
    assert_unavailable(lease)
    redis_server.start()
    lease.renew()
    assert lease.current_holder() == "first"


def test_redis_never_there():
    assert_unavailable(Lease(connect(f"redis://127.0.0.1:{free_port()}/0"), KEY, "first"))


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not connected"])
def test_redis_hung(lease_of, redis_server, impatient, connected):
    """It hangs until we let it go on, so every call here has ended by itself."""
    lease = lease_of("first")
    if connected:
        once_answered(lease.take_over)
    with redis_server.paused():
        assert_unavailable(lease)
    once_answered(lease.take_over)
    assert once_answered(lease.current_holder) == "first"


def test_failed_renewal_adds_no_time(lease_of, redis_server, impatient):
    lease = lease_of("first", ttl=3600)
    once_answered(lease.take_over)
    time.sleep(0.4)  # more than the failing call takes
    before = lease.remaining
    with redis_server.paused():
        assert_unavailable(lease, ["renew"])
    assert 0 < lease.remaining < before


def test_read_only_replica(lease_of, redis_server, tmp_path):
    lease_of("first").acquire()
    redis_server.client.config_set("repl-diskless-sync-delay", 0)
    with Redis("--replicaof", f"127.0.0.1 {redis_server.port}", directory=tmp_path) as replica:
        wait_until(lambda: replica.client.get(KEY) == "first", PATIENCE, "replication")
        lease = Lease(connect(replica.url), KEY, "first")
        assert_unavailable(lease, ["acquire", "take_over", "renew", "release"])
        assert lease.current_holder() == "first"


def test_loading(tmp_path):
    with Redis(directory=tmp_path) as server:
        server.client.mset({f"key {n}": os.urandom(1000) for n in range(5000)})
        server.client.save()
    slow = ["--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"]
    with Redis(*slow, directory=tmp_path) as server:
        assert_unavailable(Lease(connect(server.url), KEY, "first"))


def test_out_of_memory(lease_of, redis_server):
    redis_server.client.config_set("maxmemory", 1)
    assert_unavailable(lease_of("first"), ["acquire", "take_over", "renew"])


@pytest.mark.parametrize("password", ["", ":wrong@"])
def test_password(password):
    with Redis("--requirepass", "right") as server:
        assert_unavailable(Lease(connect(server.url.replace("//", f"//{password}")), KEY, "first"))
        lease = Lease(connect(server.url.replace("//", "//:right@")), KEY, "first")
        assert lease.acquire()


def test_value_that_is_no_text(lease_of, redis_server):
    redis_server.client.set(KEY, b"\xff")
    assert_unavailable(lease_of("first"), ["current_holder"])
    assert not lease_of("first").acquire()


def test_key_of_another_type(lease_of, redis_server):
    redis_server.client.rpush(KEY, "not a lease")
    assert_unavailable(lease_of("first"), ["renew", "release", "current_holder"])


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b":\r\n", b"$x\r\n"])
def test_not_a_redis(answer):
    with Peer(sends(answer), reading=lambda connection: connection.recv(1000)) as peer:
        assert_unavailable(Lease(connect(f"redis://127.0.0.1:{peer.port}/0"), KEY, "first"))
        assert peer.connections == len(OPERATIONS), "each is tried once"


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "redis://localhost:port"])
def test_malformed_url(url):
    with pytest.raises(LeaseUnavailable):
        connect(url)


def test_unix_socket(tmp_path):
    with Redis("--unixsocket", "redis.sock", directory=tmp_path) as server:
        lease = Lease(connect(f"unix://{tmp_path}/redis.sock?db=0"), KEY, "first")
        assert lease.acquire()
        server.kill()
        assert_unavailable(lease)

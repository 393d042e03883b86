"""Redis fails over: two real servers, one of which replicates the other."""

import contextlib
import subprocess
import time

import pytest
import redis
from redis.exceptions import ReadOnlyError

from deploy.local.ports import free_port
from deploy.local.valkey import _binary
from tests.base.data.forwarder import Forwarder
from twitter.base.data import redis as project_redis
from twitter.base.data import resp


def until(true, *, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, true
        time.sleep(0.02)


class Server:
    """A Valkey of its own, without a password."""

    def __init__(self, folder):
        self.port = free_port()
        self.client = redis.Redis(port=self.port, db=0)
        folder.mkdir()
        command = [str(_binary()), "--port", str(self.port), "--save", "", "--dir", str(folder)]
        command += ["--repl-diskless-sync-delay", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self.answers)

    def answers(self):
        with contextlib.suppress(redis.ConnectionError):
            return self.client.ping()

    def follow(self, primary):
        self.client.replicaof("127.0.0.1", primary.port)
        until(lambda: self.client.info("replication")["master_link_status"] == "up")

    def caught_up(self, primary):
        def offset(server):
            return server.client.info("replication")["master_repl_offset"]

        until(lambda: offset(self) == offset(primary))

    def promote(self):
        self.client.replicaof("NO", "ONE")

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def two(tmp_path):
    servers = [Server(tmp_path / name) for name in ("a", "b")]
    yield servers
    for server in servers:
        server.end()


@pytest.fixture
def connect(settings):
    """Return a function that makes a connection to a server, as another process would."""
    made = []

    def do(server):
        default = settings.CACHES["default"]
        location = f"redis://127.0.0.1:{server.port}/0"
        settings.CACHES = {"default": {**default, "LOCATION": location}}
        connection = resp._Connection((0, location))
        made.append(connection)
        return connection

    yield do
    for connection in made:
        connection.close()


def ask(connection, *arguments):
    connection.send(resp.pack(*arguments))
    return connection.receive(1)[0]


def test_after_a_promotion_data_is_dropped_once_and_never_in_turns(two, connect):
    old, new = two
    ask(connect(old), "SET", "home", "1")
    new.follow(old)
    connect(old)  # the first replica gives its primary another ID
    ask(connect(old), "SET", "home", "2")
    new.caught_up(old)
    new.promote()
    assert ask(connect(new), "GET", "home") is None  # it may lack the last writes
    ask(connect(new), "SET", "home", "3")
    old.follow(new)
    # Half of the processes still find the one, half the other.
    for _ in range(3):
        with pytest.raises(ReadOnlyError):
            connect(old)
        assert ask(connect(new), "GET", "home") == b"3"
    assert old.client.get("home") == b"3"


def test_when_the_first_server_takes_over_again_its_data_is_dropped_too(two, connect):
    """The first server has the run id that it always had, though it has the other's data."""
    first, second = two
    connect(first)
    second.follow(first)
    second.promote()
    connect(second)
    first.follow(second)
    ask(connect(second), "SET", "home", "lost the next moment")
    first.caught_up(second)
    first.promote()
    assert ask(connect(first), "GET", "home") is None
    ask(connect(first), "SET", "home", "new")
    assert ask(connect(first), "GET", "home") == b"new"


def test_servers_that_show_one_data_set_are_one_whatever_their_run_ids(two, connect):
    primary, replica = two
    replica.follow(primary)
    ask(connect(primary), "SET", "home", "1")
    replica.caught_up(primary)
    ids = {server.client.info("server")["run_id"] for server in two}
    assert len(ids) == 2
    for _ in range(2):
        with pytest.raises(ReadOnlyError):
            connect(replica)
        assert ask(connect(primary), "GET", "home") == b"1"


@pytest.mark.parametrize("client", ["resp", "redis-py"])
def test_a_connection_to_what_became_a_replica_is_replaced(two, settings, client):
    """The address is like a name that leads to the new primary from now on."""
    old, new = two

    def write(value):
        if client == "resp":
            return resp.exchange(resp.pack("SET", "home", value))
        return project_redis.client().set("home", value)

    with Forwarder(old.port) as name:
        default = settings.CACHES["default"]
        location = f"redis://127.0.0.1:{name.port}/0"
        settings.CACHES = {"default": {**default, "LOCATION": location}}
        assert write("1")
        old.follow(new)
        name.target = new.port
        assert write("2")
        assert new.client.get("home") == b"2"
        resp.exchange(resp.pack("PING"))
        resp._connection("exchange").close()
        project_redis.client().connection_pool.disconnect()

"""The service with its messages in a real RabbitMQ, which is killed and comes back."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from kombu import Connection

from accounts.graph import services as graph_services
from accounts.models import AccountCounterDelta
from deploy.local import backup
from deploy.local.errors import StackError
from deploy.local.ports import free_port
from deploy.local.run import PROCESSES
from tests.deploy.stack import ROOT
from timelines.home import store
from tweets.models import Tweet
from twitter.outbox.models import Delivery

# Not the one on the PATH, which Debian lets only root and the user rabbitmq start.
SERVER = next(
    (
        path
        for path in ("/usr/lib/rabbitmq/bin/rabbitmq-server", shutil.which("rabbitmq-server") or "")
        if Path(path).is_file()
    ),
    None,
)
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(SERVER is None, reason="needs RabbitMQ: Debian's package rabbitmq-server"),
]


class Broker:
    """A RabbitMQ of this test's own, with its files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.port, names = free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self.folder = folder
        (folder / "plugins").write_text("[].")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),  # of the cookie
            # What finds nodes by their names goes on when the node ends: it has a port of its own.
            "ERL_EPMD_PORT": str(names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }
        self.log = folder / "rabbitmq.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(SERVER)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self.answers, log=self.log)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError), Connection(self.url, connect_timeout=1) as broker:
            broker.connect()
            return True
        return False

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()

    def end(self) -> None:
        self.kill()
        # It lets itself be ended when it has seen that the node is gone.
        wait_for(lambda: self._names("-names").returncode or not self._names("-kill").returncode)

    def _names(self, option: str) -> subprocess.CompletedProcess[bytes]:
        command = ["epmd", "-port", self.environment["ERL_EPMD_PORT"], option]
        return subprocess.run(command, capture_output=True, check=False)


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> Iterator[Broker]:
    server = Broker(tmp_path_factory.mktemp("rabbitmq"))
    try:
        server.start()
        yield server
    finally:
        server.end()


@contextlib.contextmanager
def process(name: str, broker: Broker, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of the service's processes on the servers and the database of this test."""
    database = os.environ["DATABASE_URL"].rpartition("/")[0]
    environment = os.environ | {
        "DATABASE_URL": f"{database}/{connection.settings_dict['NAME']}",
        "REDIS_URL": settings.CACHES["default"]["LOCATION"],
        "CELERY_BROKER_URL": broker.url,
        "OUTBOX_RESEND_SECONDS": "3600",  # nothing arrives only because it was sent again
    }
    with log.open("wb") as output:
        started = subprocess.Popen(
            PROCESSES[name], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(timeout=60)


def wait_for(condition: Callable[[], object], *, log: Path | None = None) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, log and log.read_text()
        time.sleep(0.05)


def somebody_waits() -> bool:
    """Tell whether a process waits for a lock in this test's database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE datname = current_database() AND NOT granted"
        )
        return cursor.fetchone()[0] > 0


def test_tweets_arrive_through_a_rabbitmq_that_is_killed_and_comes_back(
    api, broker, make_account, tmp_path
):
    """One before, one posted while it is away; relay and worker go on by themselves.

    The worker has a task in hand when the broker goes, which it cannot acknowledge any more.
    """
    ann, bob = make_account("ann"), make_account("bob")
    graph_services.follow(follower_id=bob, followed_id=ann)

    def post() -> int:
        answer = api(ann).post("/tweet/create", {"text": "hello"})
        assert answer.status_code == 201, answer.content
        return int(answer.json()["data"]["id"])

    def arrived(tweet_id: int) -> bool:
        home = store.peek(bob)
        return home is not None and tweet_id in {store.id_of(entry) for entry in home.entries}

    relay_log, worker_log = tmp_path / "relay.log", tmp_path / "worker.log"
    with (
        process("relay", broker, relay_log) as relay,
        process("worker", broker, worker_log) as worker,
    ):
        api(bob).get("/timeline/timeline")  # a home that is never read is not written to
        first = post()
        wait_for(lambda: arrived(first), log=worker_log)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {AccountCounterDelta._meta.db_table}")
            wait_for(somebody_waits, log=worker_log)  # the relay's clock has it folded each second
            broker.kill()
        second = post()
        wait_for(lambda: "tries again" in relay_log.read_text(), log=relay_log)
        assert not arrived(second)
        broker.start()
        wait_for(lambda: arrived(second), log=worker_log)
        wait_for(lambda: not Delivery.objects.exists(), log=worker_log)
        assert (relay.poll(), worker.poll()) == (None, None)
    assert Tweet.objects.count() == 2
    assert (relay.returncode, worker.returncode) == (0, 0), worker_log.read_text()


def test_a_restore_empties_the_queues(broker, settings):
    """Also those that no process has declared yet."""
    settings.BROKER_IS_REDIS, settings.CELERY_BROKER_URL = False, broker.url
    with Connection(broker.url) as sending:
        queue = current_app.amqp.queues["default"].bind(sending.default_channel)
        queue.declare()
        sending.Producer().publish({}, routing_key="default")
        wait_for(lambda: queue.queue_declare(passive=True).message_count, log=broker.log)
        backup._empty_queues(dry_run=True)
        assert queue.queue_declare(passive=True).message_count > 0
        backup._empty_queues()
        assert queue.queue_declare(passive=True).message_count == 0
    settings.CELERY_BROKER_URL = f"amqp://127.0.0.1:{free_port()}//"
    with pytest.raises(StackError, match="Nothing was restored"):
        backup._empty_queues(dry_run=True)

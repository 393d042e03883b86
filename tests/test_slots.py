"""Ready for a cluster without one: each command, and each script, touches keys of one slot.

Told to split, the service reads many keys by slot. Whatever it then sends is looked at.
"""

from binascii import crc_hqx

import pytest
import redis as redis_library
from redis.exceptions import ResponseError

from accounts.graph import popularity
from accounts.models import Account
from accounts.people.counters import fold_counters
from tests.asking import ask, request
from tests.commands import commands_in
from timelines.home.verification import difference
from tweets.posts import moderation
from twitter import wsgi
from twitter.base.data import parts, resp

pytestmark = pytest.mark.usefixtures("commits")


def keys_of(command):
    """Return the keys that a command touches, as the server tells them."""
    try:
        return resp.exchange(resp.pack("COMMAND", "GETKEYS", *command))[0]
    except ResponseError as error:
        if "no key arguments" in str(error):
            return []
        raise


@pytest.fixture
def sent(monkeypatch):
    """Return all commands that are sent from now on, on either way to Redis."""
    found = []
    send, pack = resp._Connection.send, redis_library.connection.Connection.pack_command

    def note(self, message):
        found.extend(commands_in(message))
        send(self, message)

    def note_packed(self, *arguments):
        packed = pack(self, *arguments)
        found.extend(commands_in(b"".join(packed)))
        return packed

    monkeypatch.setattr(parts, "split_by_slot", True)
    monkeypatch.setattr(resp._Connection, "send", note)
    monkeypatch.setattr(redis_library.connection.Connection, "pack_command", note_packed)
    return found


@pytest.mark.parametrize(
    ("key", "slot"), [(b"123456789", 12739), (b"{123456789}x", 12739), (b"a{123456789}b{c}", 12739)]
)
def test_slots_are_those_of_the_specification(key, slot):
    assert parts.slot_of(key) == slot


@pytest.mark.parametrize("key", [b"{}x", b"}{", b"{x"])
def test_without_something_in_braces_the_whole_key_counts(key):
    assert parts.slot_of(key) == crc_hqx(key, 0) % parts.SLOTS


def test_what_touches_keys_of_two_slots_would_be_noticed(sent):
    resp.exchange(resp.pack("MGET", "a", "b"))
    with pytest.raises(AssertionError, match="MGET"):
        check(sent)


def check(sent):
    """Fail if a command touches keys of more than one slot; return how many have two keys."""
    with_several = 0
    for command in list(sent):  # what is asked about them is noted as well
        keys = keys_of(command)
        assert len({parts.slot_of(key) for key in keys}) < 2, command
        with_several += len(keys) > 1
    return with_several


def test_each_command_touches_keys_of_one_slot(sent, make_account, api, run_outbox, settings):
    people = {name: make_account(name) for name in ("ann", "bob", "cat", "mod")}
    clients = {name: api(account_id) for name, account_id in people.items()}

    def do(name, method, path, **body):
        answer = getattr(clients[name], method)(path, body)
        assert answer.status_code < 300, answer.content
        return answer.json()

    def read(name):
        for query in ("", "limit=100"):
            assert ask(wsgi.application, request(people[name], query))[0] == "200 OK"
        do(name, "get", "/timeline/timeline")

    for name in ("bob", "cat"):
        do(name, "post", "/auth/follow", user_id=str(people["ann"]))
        read(name)
    posted = [
        int(do("ann", "post", "/tweet/create", text=f"{number}")["data"]["id"])
        for number in range(70)
    ]
    run_outbox()
    for tweet_id in posted[:3]:
        for path in ("/tweet/like", "/tweet/retweet"):
            do("cat", "post", path, tweet_id=str(tweet_id))
    run_outbox()
    for name in people:
        read(name)
    do("cat", "delete", "/tweet/like", tweet_id=str(posted[0]))
    do("cat", "delete", "/tweet/retweet", tweet_id=str(posted[0]))
    do("ann", "delete", f"/tweet/delete/{posted[5]}")
    moderation.hide(tweet_ids=[posted[6]], by_id=people["mod"], reason="spam")
    run_outbox()
    settings.FANOUT_MAX_FOLLOWERS = 1
    fold_counters()
    popularity.note(list(Account.objects.values_list("id", flat=True)))
    run_outbox()
    do("ann", "post", "/tweet/create", text="to be merged")
    run_outbox()
    for name, account_id in people.items():
        read(name)
        do(name, "get", "/timeline/update?since_id=1")
        assert difference(account_id) is None
    do("bob", "delete", "/auth/unfollow", user_id=str(people["ann"]))
    run_outbox()
    names = {command[0] for command in sent}
    assert {b"MGET", b"LPUSHX", b"UNLINK", b"EVALSHA", b"INCR"} <= names
    assert check(sent) > 5

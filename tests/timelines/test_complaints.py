"""What users of comparable systems complain about; docs/complaints.md names who, and where."""

import pytest
from celery import current_app

from timelines.home import services, store
from timelines.home.verification import difference
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.usefixtures("commits")


def test_who_comes_back_after_weeks_finds_all_of_it_in_the_first_answer(
    ids, people, follow, post, read, run_outbox, valkey
):
    follow("bob", "ann")
    posted = [post("ann") for _ in range(3)]
    run_outbox()
    assert ids(read("bob")) == posted[::-1]
    [home] = valkey.keys(f"home:*:{{{people['bob']}}}")
    assert 0 < valkey.ttl(home) <= 15 * 86_400
    valkey.delete(home)  # weeks go by
    posted += [post("ann") for _ in range(30)]
    run_outbox()
    assert not valkey.exists(home), "the home of a reader who stays away is not written to"
    first = read("bob", limit=20)
    rest = read("bob", limit=20, max_id=first["meta"]["oldest_id"])
    assert ids(first) + ids(rest) == posted[::-1]


def test_what_was_posted_while_redis_was_away_is_not_missing_afterwards(
    ids, people, follow, post, read, run_outbox, redis_gone, monkeypatch
):
    follow("bob", "ann")
    run_outbox()
    before = post("ann")
    run_outbox()
    assert ids(read("bob")) == [before]
    redis_gone()
    meanwhile = [post("ann") for _ in range(3)]
    assert ids(read("bob")) == [*meanwhile[::-1], before]
    monkeypatch.undo()  # Redis is back, with the home that it had
    assert store.peek(people["bob"]) is not None
    after = post("ann")
    run_outbox()
    assert ids(read("bob")) == [after, *meanwhile[::-1], before]
    assert difference(people["bob"]) is None


def test_a_popular_authors_tweet_lets_the_next_one_pass(
    ids, people, follow, post, read, run_outbox, monkeypatch
):
    """A run of the fan-out takes so many followers, and the rest comes after what waits already."""
    monkeypatch.setattr(services, "PAGE", 1)
    monkeypatch.setattr(services, "PAGES", 1)
    monkeypatch.setattr(services, "FEW", 1)
    for fan in ("bob", "cat", "dan"):
        follow(fan, "ann")
    follow("dan", "cat")
    run_outbox()
    for reader in people:
        read(reader)
    popular, other = post("ann"), post("cat")
    waiting = Delivery.objects.filter(task="timelines.tasks.fan_out").order_by("id")
    assert waiting.count() == 2
    for delivery in list(waiting):  # one run of each
        current_app.tasks[delivery.task](delivery_ids=[delivery.pk])
    assert [delivery.payload["tweet_id"] for delivery in waiting.all()] == [popular], (
        "it has more to do"
    )
    assert other in ids(read("dan"))
    run_outbox()
    assert ids(read("dan")) == [other, popular]
    assert all(difference(account) is None for account in people.values())

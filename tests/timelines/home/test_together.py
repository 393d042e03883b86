"""Fan-outs of one message, delivered as a set: each comes out as it would by itself."""

import psycopg
import pytest
from celery import current_app
from django.db import transaction

from accounts.models import Account, Follow, PopularAuthor
from accounts.moderation import services as moderation
from timelines.home import services, store
from timelines.home.verification import difference
from tweets.entries import Ref, id_of
from tweets.events import TweetPosted
from tweets.models import Tweet
from twitter.base.data import resp
from twitter.outbox.events import publish
from twitter.outbox.models import Delivery
from twitter.outbox.tasks import SET_SIZE

pytestmark = pytest.mark.usefixtures("commits")


@pytest.fixture
def run_set():
    """Return a function that delivers all fan-outs that wait, in one message."""

    def run() -> list[int]:
        waiting = Delivery.objects.filter(task="timelines.tasks.fan_out", failed_at=None)
        ids = list(waiting.values_list("id", flat=True))
        current_app.tasks["timelines.tasks.fan_out"](delivery_ids=ids)
        return ids

    return run


@pytest.fixture
def by_itself(monkeypatch):
    """Return a list that receives the author of each fan-out that is done by itself."""
    authors = []
    fan_out = services.fan_out

    def note(ref, *, after):
        authors.append(ref.author_id)
        return fan_out(ref, after=after)

    monkeypatch.setattr(services, "fan_out", note)
    return authors


@pytest.fixture
def before_the_look(monkeypatch):
    """Return a function that has another done when a set is written, before it looks again."""

    def do(act) -> None:
        push = store.push_pages

        def push_and_act(pages):
            yield from push(pages)
            monkeypatch.setattr(store, "push_pages", push)
            act()

        monkeypatch.setattr(store, "push_pages", push_and_act)

    return do


@pytest.fixture
def warm(people, follow, read, run_outbox):
    """Bob and Cat follow Ann and Dan, and all have homes."""
    for follower in ("bob", "cat"):
        for followed in ("ann", "dan"):
            follow(follower, followed)
    run_outbox()
    for reader in people:
        read(reader)
    return people


def unlike(people) -> list[str]:
    return [name for name, account_id in people.items() if difference(account_id) is not None]


def test_all_of_a_set_arrive_an_authors_several_too(warm, post, read, ids, run_set, by_itself):
    posted = [post(author) for author in ("ann", "dan", "ann", "ann", "dan", "bob")]
    run_set()
    assert ids(read("bob")) == posted[::-1]
    assert ids(read("cat")) == posted[-2::-1]
    assert ids(read("ann")) == [posted[number] for number in (3, 2, 0)]
    assert not Delivery.objects.exists()
    assert (by_itself, unlike(warm)) == ([], [])


def test_a_set_that_is_delivered_again_changes_nothing(warm, post, read, ids, run_set):
    posted = [post(author) for author in ("ann", "dan", "ann")]
    rows = list(Delivery.objects.values())
    run_set()
    Delivery.objects.bulk_create(Delivery(**row) for row in rows)
    run_set()
    assert ids(read("bob")) == posted[::-1]
    assert unlike(warm) == []


def test_what_was_removed_meanwhile_is_taken_back_and_the_others_stay(
    warm, post, read, ids, api, run_set, before_the_look, run_outbox
):
    gone, posted = [post("ann") for _ in range(2)], [post("ann"), post("dan")]
    assert api(warm["ann"]).delete(f"/tweet/delete/{gone[0]}").status_code == 200

    def delete():
        # Its own clearing of the homes comes later.
        assert api(warm["ann"]).delete(f"/tweet/delete/{gone[1]}").status_code == 200

    before_the_look(delete)
    run_set()
    assert unlike(warm) == []
    assert ids(read("bob")) == posted[::-1]


def test_who_unfollowed_meanwhile_loses_it_and_the_others_keep_it(
    warm, post, read, ids, follow, run_set, before_the_look
):
    by_ann, by_dan = post("ann"), post("dan")

    def unfollow():
        Follow.objects.filter(follower=warm["bob"], followed=warm["ann"]).delete()
        # The unfollowing drops Bob's home before the delivery; here it comes to a home that has it.

    before_the_look(unfollow)
    run_set()
    assert unlike(warm) == []
    assert ids(read("bob")) == [by_dan]
    assert ids(read("cat")) == [by_dan, by_ann]


def test_what_a_suspended_author_wrote_is_taken_back_from_all(
    warm, post, moderator, run_set, before_the_look
):
    post("ann")
    by_dan = post("dan")
    before_the_look(
        lambda: moderation.suspend(account_id=warm["ann"], by_id=moderator, reason="spam")
    )
    run_set()
    for name in ("bob", "cat"):
        assert [id_of(entry) for entry in store.peek(warm[name]).entries] == [by_dan]


def test_merged_authors_and_those_with_many_followers_go_by_themselves(
    warm, post, read, ids, monkeypatch, run_set, by_itself, make_account, follow
):
    monkeypatch.setattr(services, "FEW", 2)
    PopularAuthor.objects.create(account_id=warm["bob"], followers_know=True)
    warm["eve"] = make_account("eve")
    follow("eve", "dan")
    follow("eve", "bob")
    read("eve")
    posted = [post(author) for author in ("ann", "bob", "dan")]
    run_set()
    assert sorted(by_itself) == sorted([warm["bob"], warm["dan"]])
    assert ids(read("cat")) == [posted[2], posted[0]]
    assert ids(read("eve")) == [posted[2], posted[1]]
    assert len(store.peek(warm["eve"]).entries) == 1, "Bob's is merged"
    assert not Delivery.objects.filter(task="timelines.tasks.fan_out").exists()
    assert unlike(warm) == []


def test_an_author_beyond_a_page_goes_on_where_the_first_step_ended(
    warm, post, read, ids, monkeypatch, run_set
):
    for name in ("PAGE", "PAGES", "FEW"):
        monkeypatch.setattr(services, name, 1)
    posted = [post("ann"), post("cat")]
    run_set()
    assert Delivery.objects.get().payload["tweet_id"] == posted[0]
    assert Delivery.objects.get().payload["after"] == min(warm["bob"], warm["cat"])
    run_set()
    assert ids(read("bob")) == posted[:1]
    assert not Delivery.objects.exists()
    assert unlike(warm) == []


def test_a_home_that_cannot_be_written_to_spoils_its_own_deliveries_only(
    warm, post, read, ids, valkey, run_set, by_itself, follow
):
    follow("dan", "cat")
    valkey.set(f"{store.KEY_PREFIX}{{{warm['dan']}}}", "no list")
    posted = [post("ann"), post("cat")]
    run_set()
    assert sorted(by_itself) == sorted([warm["ann"], warm["cat"]])
    failed = Delivery.objects.get(task="timelines.tasks.fan_out")
    assert failed.payload["tweet_id"] == posted[1]
    assert failed.last_error.startswith("ResponseError")
    assert failed.attempts == 1
    assert ids(read("bob")) == posted[:1]


def test_homes_that_do_not_exist_are_not_written_to_and_those_being_built_are(warm, post, run_set):
    store.drop([warm["bob"], warm["cat"]])
    name = store.begin_build(warm["cat"])
    tweet_id = post("ann")
    run_set()
    assert store.peek(warm["bob"]) is None
    store.complete_build(account_id=warm["cat"], build=name, entries=[], floor=store.END)
    assert store.peek(warm["cat"]).entries == [Ref(tweet_id, warm["ann"]).entry]
    assert unlike(warm) == []


def test_an_event_of_the_release_before_is_completed(warm, post, retweet, read, ids, run_set):
    tweet = post("dan")
    retweet("ann", tweet)
    for row in Delivery.objects.filter(payload__original_id=tweet):
        del row.payload["original_author_id"]
        row.save()
    run_set()
    assert unlike(warm) == []


@pytest.fixture
def statements(monkeypatch):
    """Return a list that receives each statement, those that go past Django too."""
    sent = []
    execute = psycopg.Cursor.execute

    def note(self, query, *arguments, **options):
        sent.append(query)
        return execute(self, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", note)
    return sent


@pytest.fixture
def publish_by():
    """Return a function that stores tweets by these authors, in order, and publishes them."""

    def do(author_ids: list[int]) -> None:
        with transaction.atomic():
            posted = [Tweet.objects.create(author_id=author, text="x") for author in author_ids]
            refs = [Ref(tweet.pk, tweet.author_id) for tweet in posted]
            publish(*map(TweetPosted.of, refs))

    return do


@pytest.mark.parametrize("authors", [1, 30])
def test_statements_and_writes_do_not_grow_with_the_set(
    authors, statements, round_trips, make_account, publish_by, run_set, people
):
    account_ids = [make_account(f"author{number}") for number in range(authors)]
    Follow.objects.bulk_create(
        Follow(follower_id=reader, followed_id=author)
        for author in account_ids
        for reader in people.values()
    )
    publish_by(account_ids * 2)
    statements.clear()
    round_trips.clear()
    run_set()
    kinds = [query.split()[0] for query in statements[1:]]  # the first asks for the deliveries
    assert kinds == ["UPDATE", "SELECT", "SELECT", "SELECT", "SELECT", "DELETE"]
    assert len([message for message in round_trips if message]) == 1
    assert round_trips[0].count(b"LPUSHX") == 2 * authors * (len(people) + 1)


def test_the_largest_set_is_written_in_bounded_messages(
    statements, round_trips, make_account, publish_by, run_set, by_itself
):
    author, larger = make_account("author"), make_account("larger")
    Account.objects.bulk_create(
        Account(username=f"reader{number}", email=f"reader{number}@example.com", password="!")
        for number in range(services.FEW + 1)
    )
    readers = Account.objects.filter(username__startswith="reader").values_list("id", flat=True)
    Follow.objects.bulk_create(
        Follow(follower_id=reader, followed_id=followed)
        for followed, followers in ((author, readers[1:]), (larger, readers))
        for reader in followers
    )
    publish_by([author] * (SET_SIZE - 1) + [larger])
    statements.clear()
    round_trips.clear()
    run_set()
    assert by_itself == [larger]
    pushes = [message.count(b"LPUSHX") for message in round_trips]
    assert max(pushes) <= store.MESSAGE
    assert sum(pushes) == (SET_SIZE - 1) * (services.FEW + 1) + services.FEW + 2
    assert len(statements) < 20
    assert not Delivery.objects.exists()


def test_a_home_that_many_of_a_set_reach_gets_its_floor(warm, make_account, publish_by, run_set):
    authors = [make_account(f"author{number}") for number in range(100)]
    Follow.objects.bulk_create(
        Follow(follower_id=warm["bob"], followed_id=author) for author in authors
    )
    store.drop([warm["bob"]])
    name = store.begin_build(warm["bob"])
    store.complete_build(account_id=warm["bob"], build=name, entries=[], floor=store.END)
    publish_by(authors)
    run_set()
    newest = Tweet.objects.latest("id")
    values = resp.exchange(resp.pack("LRANGE", f"{store.KEY_PREFIX}{{{warm['bob']}}}", 0, -1))[0]
    assert values[0] == Ref(newest.pk, newest.author_id).entry[:8] + store.COMPLETE
    assert len(values) == 100 + 2, "the floor of all, and one for all that came at once"
    assert unlike(warm) == []

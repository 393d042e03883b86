"""From entries to a page: what is looked at, what is kept, and how much that may be."""

import json

import pytest
from django.db import connection

from accounts.graph.relations import Ids, Relations
from accounts.moderation import services as moderation_services
from tweets import pipeline, sources
from tweets.entries import Ref, id_of, ref_of
from tweets.models import Tweet
from tweets.posts import cache
from tweets.posts import moderation as posts_moderation
from tweets.reactions import services as reactions_services
from tweets.reader import reader
from tweets.sources import Drawn, Source

pytestmark = pytest.mark.usefixtures("commits")


class Listed(Source):
    """A source that is a list; it notes how many entries it was asked for."""

    def __init__(self, refs):
        self.entries = [ref.entry for ref in refs]
        self.asked = []

    def draw(self, count, *, reader, without):
        self.asked.append(count)
        shown = [entry for entry in self.entries if entry not in without]
        return Drawn(shown[:count], id_of(shown[count - 1]) if len(shown) > count else None)


@pytest.fixture
def ann(make_account):
    return make_account("ann")


@pytest.fixture
def bob(make_account):
    return reader(make_account("bob"))


@pytest.fixture
def written(ann):
    def write(count, *, text="hello"):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO tweets_tweet (author_id, text, state)"
                " SELECT %s, %s, 0 FROM generate_series(1, %s) RETURNING id",
                [ann, text, count],
            )
            return [Ref(row[0], ann) for row in sorted(cursor.fetchall(), reverse=True)]

    return write


def hide(refs):
    Tweet.objects.filter(id__in=[ref.id for ref in refs]).update(
        state=Tweet.State.HIDDEN, removed_at="2026-01-01T00:00Z"
    )


def test_what_may_not_be_seen_is_filled_up_and_each_refill_looks_at_twice_as_much(bob, written):
    refs = written(100)
    hide(refs[:60])
    source = Listed(refs)
    page = pipeline.read(source, reader=bob, limit=20)
    assert page.refs == refs[60:80]
    assert page.next_id == refs[79].id
    assert source.asked == [20, 20, 40, 20]  # the last one finds that nothing is missing


def test_a_page_looks_at_2000_entries_at_most_and_the_next_one_goes_on(
    bob, written, sql_statements
):
    refs = written(3_000)
    hide(refs[:2_500])
    source = Listed(refs)
    page = pipeline.read(source, reader=bob, limit=20)
    assert page.refs == []
    looked_at = [ref.id for ref in refs].index(page.next_id) + 1
    assert 1_000 < looked_at <= sources.MOST_LOOKED_AT
    assert len(sql_statements) < 20
    rest = pipeline.read(Listed(refs[looked_at:]), reader=bob, limit=20)
    assert rest.refs == refs[2_500:2_520]


def test_the_last_page_says_that_there_is_no_more(bob, written):
    refs = written(5)
    assert pipeline.read(Listed(refs), reader=bob, limit=5).next_id is None
    assert pipeline.read(Listed(refs), reader=bob, limit=4).next_id == refs[3].id
    hide(refs[4:])
    assert pipeline.read(Listed(refs), reader=bob, limit=9).next_id is None


def test_a_page_is_bounded_in_bytes_and_the_next_one_goes_on(bob, written, monkeypatch):
    refs = written(10, text="x" * 280)
    whole = pipeline.read(Listed(refs), reader=bob, limit=10)
    size = len(whole.found.tweets[refs[0].id]) + len(whole.found.users[refs[0].author_id])
    monkeypatch.setattr(pipeline, "MOST_BYTES", 4 * size)
    page = pipeline.read(Listed(refs), reader=bob, limit=10)
    assert page.refs == refs[:4]
    assert page.next_id == refs[3].id
    monkeypatch.setattr(pipeline, "MOST_BYTES", 1)
    assert pipeline.read(Listed(refs), reader=bob, limit=10).refs == refs[:1]


@pytest.mark.parametrize("how", ["hidden", "suspended"])
def test_that_something_is_not_to_be_seen_is_cached(
    how, ann, bob, make_account, written, sql_statements
):
    """Every home that has a retweet of it would ask PostgreSQL each time it is read."""
    moderator, cat = make_account("mod"), make_account("cat")
    [ref] = written(1)
    again, _ = reactions_services.retweet(account_id=cat, tweet_id=ref.id)
    source = Listed([Ref(again, cat, ref.id, ann)])
    assert len(pipeline.read(source, reader=bob, limit=5).refs) == 1
    if how == "hidden":
        posts_moderation.hide(tweet_ids=[ref.id], by_id=moderator, reason="spam")
    else:
        moderation_services.suspend(account_id=ann, by_id=moderator, reason="spam")
    sql_statements.clear()
    for _ in range(2):
        assert pipeline.read(source, reader=bob, limit=5).refs == []
    assert sql_statements == []
    if how == "hidden":
        posts_moderation.restore(tweet_ids=[ref.id], by_id=moderator, reason="a mistake")
    else:
        moderation_services.lift(account_id=ann, by_id=moderator, reason="a mistake")
    sql_statements.clear()
    assert len(pipeline.read(source, reader=bob, limit=5).refs) == 1
    assert sql_statements == []


def test_what_is_missing_costs_one_statement_of_each_kind(
    ann, bob, make_account, written, sql_statements, valkey
):
    cat = make_account("cat")
    originals = written(5)
    refs = [
        Ref(reactions_services.retweet(account_id=cat, tweet_id=ref.id)[0], cat, *ref[:2])
        for ref in originals
    ]
    _ = bob.relations
    valkey.flushdb()
    sql_statements.clear()
    page = pipeline.read(Listed(refs), reader=bob, limit=5)
    assert page.refs == refs
    assert len(sql_statements) == 2
    sql_statements.clear()
    assert pipeline.read(Listed(refs), reader=bob, limit=5).refs == refs
    assert sql_statements == []


def test_what_a_cached_retweet_says_of_itself_is_what_its_entry_says(bob, make_account, written):
    cat = make_account("cat")
    [original] = written(1)
    again, _ = reactions_services.retweet(account_id=cat, tweet_id=original.id)
    for _ in range(2):  # from PostgreSQL, and then as it was cached
        [retweet] = pipeline.tweet(again, reader=bob).refs
        assert retweet == Ref(again, cat, *original[:2]) == ref_of(retweet.entry)
        assert pipeline.tweet(original.id, reader=bob).refs == [original]


def test_who_is_blocked_either_way_is_not_seen(ann, bob, make_account, written):
    cat = make_account("cat")
    [ref] = written(1)
    again, _ = reactions_services.retweet(account_id=cat, tweet_id=ref.id)
    source = Listed([Ref(again, cat, ref.id, ann), ref])
    assert len(pipeline.read(source, reader=bob, limit=5).refs) == 2
    for side in ("blocked", "blocked_by"):
        bob._relations = Relations(followees=Ids.of([cat]), **{side: Ids.of([ann])})
        assert pipeline.read(source, reader=bob, limit=5).refs == []


def test_a_stranger_who_asks_for_ids_that_are_to_come_hides_no_tweet(ann, bob, written, valkey):
    """Absence is cached, but not for an id whose tweet may be about to be committed."""
    [now] = written(1)
    to_come = now.id + (30_000 << 12)
    old = Ref(5, ann)
    for number in (to_come, old.id):
        assert pipeline.tweet(number, reader=bob).refs == []
    assert not valkey.exists(cache.TWEETS.key(to_come))
    assert 0 < valkey.ttl(cache.TWEETS.key(old.id)) <= 600
    Tweet.objects.create(id=to_come, author_id=ann, text="here")
    assert len(pipeline.tweet(to_come, reader=bob).refs) == 1


def test_one_tweet_is_presented_as_a_page_is_but_for_its_data(bob, written):
    [ref] = written(1)
    page = pipeline.read(Listed([ref]), reader=bob, limit=5)
    one = pipeline.tweet(ref.id, reader=bob)
    many = json.loads(pipeline.present(page, reader=bob))
    single = json.loads(pipeline.present(one, reader=bob, one=True))
    assert many == {**single, "data": [single["data"]]}

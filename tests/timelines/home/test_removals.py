"""What goes in bulk costs the tweets plus the followers, never the product; and homes stay true."""

from functools import partial

import pytest
from celery import current_app

from accounts.models import Account, AccountCounterDelta, Follow
from accounts.moderation import services as moderation_services
from accounts.people import services as people_services
from deploy.local.run import QUEUES
from tests.accounts.factories import PASSWORD
from tests.commands import commands_in
from timelines import tasks as timelines
from timelines.events import FollowersKnow
from timelines.home import build, popular, services, store
from timelines.home import source as home
from timelines.home.verification import difference
from tweets.models import Tweet
from tweets.posts import moderation as posts_moderation
from tweets.posts import services as posts_services
from tweets.posts.reads import newest
from twitter.base.data import parts, resp
from twitter.events import SUBSCRIPTIONS
from twitter.outbox import watch
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.usefixtures("commits")

FEW, MANY = 12, 36  # both are more than a moderator's `services.FEW`


@pytest.fixture
def commands(round_trips):
    """Return a function that counts the commands that went to Redis since the last call."""

    def count() -> int:
        messages, round_trips[:] = b"".join(round_trips), []
        return len(list(commands_in(messages)))

    return count


@pytest.fixture
def author():
    """Return a function that makes somebody with tweets, and with followers who have homes."""
    made = []

    def make(*, tweets: int, followers: int) -> int:
        made.append(None)
        account = Account.objects.create_user(f"author{len(made)}", password=PASSWORD).pk
        Tweet.objects.bulk_create(
            Tweet(author_id=account, text=f"tweet {number}") for number in range(tweets)
        )
        names = [f"follower{len(made)}_{number}" for number in range(followers)]
        Account.objects.bulk_create(Account(username=name) for name in names)
        for reader in Account.objects.filter(username__in=names).values_list("id", flat=True):
            Follow.objects.create(follower_id=reader, followed_id=account)
            assert build.build_home(reader)
        return account

    return make


def all_of(author_id):
    return list(Tweet.objects.filter(author_id=author_id).values_list("id", flat=True))


def followers_of(author_id):
    return list(Follow.objects.filter(followed_id=author_id).values_list("follower_id", flat=True))


def delete_account(author_id, moderator):
    people_services.delete(account_id=author_id, by_id=author_id, session_id=1, password=PASSWORD)


def suspend(author_id, moderator):
    moderation_services.suspend(account_id=author_id, by_id=moderator, reason="spam")


def hide(author_id, moderator):
    posts_moderation.hide(tweet_ids=all_of(author_id), by_id=moderator, reason="spam")


def delete_tweets(author_id, moderator):
    posts_moderation.moderate_delete(tweet_ids=all_of(author_id), by_id=moderator, reason="spam")


def hide_and_restore(author_id, moderator):
    hide(author_id, moderator)
    posts_moderation.restore(tweet_ids=all_of(author_id), by_id=moderator, reason="no spam")


BULK = [delete_account, suspend, hide, delete_tweets, hide_and_restore]


@pytest.mark.parametrize("act", BULK)
def test_nothing_is_proportional_to_tweets_times_followers(
    act, author, moderator, run_outbox, commands, sql_statements
):
    """f(t, f) = a + b·t + c·f has no mixed difference; of t·f it is (MANY - FEW)² = 576."""

    def cost(number_of_tweets, number_of_followers):
        who = author(tweets=number_of_tweets, followers=number_of_followers)
        run_outbox()
        commands()
        sql_statements.clear()
        act(who, moderator)
        run_outbox()
        return commands(), len(sql_statements)

    costs = [cost(t, f) for t, f in ((FEW, FEW), (MANY, MANY), (FEW, MANY), (MANY, FEW))]
    for least, most, wide, long in zip(*costs, strict=True):
        assert abs(least + most - wide - long) < 40, costs
        assert most < least + 10 * (MANY - FEW) * 2, costs


@pytest.mark.parametrize("act", BULK)
def test_homes_and_news_are_right_afterwards(act, author, moderator, run_outbox, api):
    who = author(tweets=FEW, followers=3)
    gone = set(all_of(who))
    readers = followers_of(who)
    build.build_home(who)
    since = min(gone) - 1
    act(who, moderator)
    news = api(readers[1]).get("/timeline/update", {"since_id": since, "limit": 100}).json()
    told = set(map(int, news["deleted"]))
    run_outbox()
    build.build_home(readers[0])
    for reader in (*readers, who):
        assert difference(reader) is None
    shown = {int(tweet["id"]) for tweet in api(readers[0]).get("/timeline/timeline").json()["data"]}
    if act is hide_and_restore:
        assert shown == gone
        assert told == set()
        assert news["meta"]["reread"]
    else:
        assert shown == set()
        assert told == gone or news["meta"]["reread"]


def test_few_tweets_leave_homes_one_by_one_and_only_homes_that_exist_are_touched(
    author, moderator, run_outbox, valkey, round_trips
):
    who = author(tweets=3, followers=4)
    there, *_, away = followers_of(who)
    store.drop([away])
    round_trips.clear()
    posts_moderation.hide(tweet_ids=all_of(who)[:2], by_id=moderator, reason="spam")
    run_outbox()
    assert valkey.exists(store._key(there))
    assert difference(there) is None
    touched = [command[:2] for command in commands_in(b"".join(round_trips))]
    assert [b"LREM", store._key(there).encode()] in touched
    assert [b"LREM", store._key(away).encode()] not in touched


def test_a_restored_tweet_stays_in_its_authors_home_when_fan_out_was_there_first(
    author, moderator, run_outbox, monkeypatch
):
    """The moderator's process has further tweets to tell of, while a worker delivers this one."""
    who = author(tweets=2, followers=0)
    build.build_home(who)
    own = all_of(who)
    posts_moderation.hide(tweet_ids=own, by_id=moderator, reason="spam")
    run_outbox()
    assert store.peek(who).entries == []
    part_for_author = services.part_for_author

    def late(ref):
        services.fan_out(ref, after=0)
        return part_for_author(ref)

    monkeypatch.setattr(services, "part_for_author", late)
    posts_moderation.restore(tweet_ids=own, by_id=moderator, reason="a mistake")
    Delivery.objects.filter(task="timelines.tasks.fan_out").delete()  # they are done
    run_outbox()
    assert len(store.peek(who).entries) == 2
    assert difference(who) is None


def test_a_tweet_that_is_removed_before_it_is_delivered_to_its_author_is_not_there(
    author, moderator, run_outbox
):
    who = author(tweets=1, followers=0)
    build.build_home(who)
    [ref] = newest(author_ids=[who], limit=1)
    posts_moderation.hide(tweet_ids=[ref.id], by_id=moderator, reason="spam")
    run_outbox()
    parts.fetch(services.part_for_author(ref))
    assert store.peek(who).entries == []


def test_a_home_that_is_being_built_while_many_go_does_not_keep_them(
    author, moderator, run_outbox, monkeypatch
):
    who = author(tweets=FEW, followers=1)
    [reader] = followers_of(who)
    store.drop([reader])
    complete = store.complete_build

    def late(**build):
        hide(who, moderator)
        run_outbox()
        complete(**build)

    monkeypatch.setattr(store, "complete_build", late)
    build.build_home(reader)
    monkeypatch.setattr(store, "complete_build", complete)
    assert difference(reader) is None
    assert home.read(reader, limit=10, max_id=None)[0].ids == []


@pytest.fixture
def star(author, settings, run_outbox):
    """Return somebody with three followers, whose tweets these merge."""
    settings.FANOUT_MAX_FOLLOWERS = 2
    who = author(tweets=2, followers=3)
    AccountCounterDelta.objects.create(account_id=who, followers_count=3)
    run_outbox()
    run_outbox()
    for reader in followers_of(who):
        build.build_home(reader)
    return who


def shown_to(reader):
    return home.read(reader, limit=10, max_id=None)[0].ids


def test_of_a_popular_author_nothing_is_dropped_and_all_comes_back(
    star, moderator, run_outbox, valkey
):
    both = sorted(all_of(star), reverse=True)
    kept, built, _ = followers_of(star)
    homes = [store._key(reader) for reader in followers_of(star)]
    assert shown_to(kept) == both
    suspend(star, moderator)
    run_outbox()
    assert valkey.exists(*homes) == len(homes)
    store.drop([built])
    build.build_home(built)
    for reader in followers_of(star):
        assert shown_to(reader) == []
        assert difference(reader) is None
    moderation_services.lift(account_id=star, by_id=moderator, reason="no spam")
    run_outbox()
    assert valkey.exists(*homes) == len(homes)
    for reader in followers_of(star):
        assert shown_to(reader) == both
        assert difference(reader) is None


def test_a_popular_author_who_is_deleted_leaves_homes_and_lists_alone_but_for_the_name(
    star, moderator, run_outbox, valkey
):
    readers = followers_of(star)
    suspended = Account.objects.create_user("other").pk
    valkey.rpush(popular.key_of_merged(readers[0]), suspended)  # merges another as well
    delete_account(star, moderator)
    run_outbox()
    assert valkey.exists(*map(store._key, readers)) == len(readers)
    for reader in readers:
        assert str(star).encode() not in valkey.lrange(popular.key_of_merged(reader), 0, -1)
    assert valkey.lrange(popular.key_of_merged(readers[0]), 0, -1) == [str(suspended).encode()]
    assert not valkey.exists(f"newest:{star}")
    for reader in readers[1:]:
        assert shown_to(reader) == []
        assert difference(reader) is None


def test_a_tweet_that_was_merged_is_taken_out_of_its_authors_home_only(
    star, run_outbox, round_trips
):
    """Otherwise a removal would look into a million homes that do not hold the tweet."""
    build.build_home(star)
    gone, kept = all_of(star)
    round_trips.clear()
    posts_services.delete(account_id=star, tweet_id=gone)
    run_outbox()
    touched = b"".join(round_trips)
    for reader in followers_of(star):
        assert store._key(reader).encode() not in touched
        assert shown_to(reader) == [kept]
        assert difference(reader) is None
    assert difference(star) is None


@pytest.mark.parametrize("popular_too", [False, True])
def test_follows_are_purged_when_homes_have_lost_the_account_and_not_before(
    popular_too, author, moderator, run_outbox, request
):
    """Follows tell whose homes these are. Here, all other tasks run before those of timelines."""
    who = request.getfixturevalue("star") if popular_too else author(tweets=2, followers=3)
    readers = followers_of(who)
    delete_account(who, moderator)
    while ahead := Delivery.objects.exclude(task__startswith="timelines.").first():
        current_app.tasks[ahead.task](delivery_ids=[ahead.pk])
    run_outbox()
    assert not Account.objects.filter(id=who).exists()
    for reader in readers:
        assert difference(reader) is None
        assert resp.exchange(resp.pack("LRANGE", popular.key_of_merged(reader), 0, -1)) == [[]]


def test_what_was_fanned_out_until_all_followers_knew_does_not_stay(star):
    """Otherwise homes would still hold it when the author is suspended: these are not dropped."""
    readers = followers_of(star)
    [entry] = build.newest_entries(author_ids=[star], limit=1)
    # As a fan-out does that was under way when the last follower knew.
    resp.exchange(*(resp.pack("LPUSHX", store._key(reader), entry) for reader in readers))
    assert {each.task for each in SUBSCRIPTIONS[FollowersKnow] if each.delay} == {
        timelines.drop_homes_once_more.name
    }
    timelines.drop_homes_once_more.run(FollowersKnow(account_id=star))
    assert store.existing(readers) == []


def test_what_clears_away_has_a_queue_of_its_own_which_workers_serve():
    route = partial(current_app.amqp.router.route, {})
    queue_of = {name: route(name)["queue"].name for name in current_app.tasks if "tasks" in name}
    assert {name for name, queue in queue_of.items() if queue == "removals"} == {
        "accounts.tasks.purge_account",
        "tweets.tasks.purge_author",
        "tweets.tasks.purge_tweet",
        "timelines.tasks.remove_from_homes",
        "timelines.tasks.drop_homes_of_followers",
        "timelines.tasks.drop_homes_after_many",
        "timelines.tasks.leave_homes",
        "timelines.tasks.drop_account",
        "timelines.tasks.drop_homes_once_more",
        # As they were called in the release before.
        "timelines.tasks.forget_account",
        "timelines.tasks.forget_fanned_out",
    }
    assert queue_of["timelines.tasks.fan_out"] == "fan_out"
    assert watch.queues() == sorted(QUEUES)

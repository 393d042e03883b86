"""The follow graph: services, counters, facade."""

from functools import partial
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from accounts import facade, purging, tasks
from accounts.graph import services as graph_services
from accounts.models import (
    Account,
    AccountCounterDelta,
    AccountCounters,
    Follow,
    PopularAuthor,
)
from accounts.moderation import services as moderation_services
from accounts.people import counters as people_counters
from accounts.people import services as people_services
from accounts.people.reads import profiles
from tests.accounts.factories import PASSWORD, AccountFactory, FollowFactory
from tweets.events import TweetPosted, TweetRemoved, TweetRestored, TweetsImported
from twitter.base.http.errors import DomainError, Invalid, NotFound, Unauthenticated
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.django_db

# What is done at once after a commit needs one, and so does what others shall see.
WITH_COMMITS = pytest.mark.django_db(transaction=True)


def counts(account: Account) -> tuple[int, int]:
    profile = profiles([account.id])[account.id]
    return profile.followers_count, profile.following_count


def suspend(account: Account) -> None:
    moderation_services.suspend(account_id=account.id, by_id=AccountFactory().id, reason="spam")


def test_following_twice_counts_and_tells_once() -> None:
    ada, bob = AccountFactory(), AccountFactory()
    for _ in range(2):
        graph_services.follow(follower_id=ada.id, followed_id=bob.id)
    assert counts(ada) == (0, 1)
    assert counts(bob) == (1, 0)
    assert Delivery.objects.filter(event="accounts.followed").values("task").distinct().count() == 2
    assert Delivery.objects.filter(event="accounts.followed").count() == 2


def test_unfollowing_twice_counts_and_tells_once() -> None:
    ada, bob = AccountFactory(), AccountFactory()
    graph_services.follow(follower_id=ada.id, followed_id=bob.id)
    for _ in range(2):
        graph_services.unfollow(follower_id=ada.id, followed_id=bob.id)
    assert counts(ada) == counts(bob) == (0, 0)
    tasks = Delivery.objects.filter(event="accounts.unfollowed").values_list("task", flat=True)
    drop, refresh = "timelines.tasks.drop_home", "accounts.tasks.refresh_follow"
    assert sorted(tasks) == [refresh, drop, drop]  # the latter once more, later


def test_nobody_follows_oneself_or_who_is_not_there() -> None:
    ada, gone, suspended = AccountFactory(), AccountFactory(), AccountFactory()
    people_services.delete(account_id=gone.id, by_id=gone.id, session_id=1, password=PASSWORD)
    suspend(suspended)
    with pytest.raises(Invalid) as error:
        graph_services.follow(follower_id=ada.id, followed_id=ada.id)
    assert error.value.field == "user_id"
    for target in (gone.id, suspended.id, 1):
        with pytest.raises(NotFound):
            graph_services.follow(follower_id=ada.id, followed_id=target)
    with pytest.raises(NotFound):
        graph_services.unfollow(follower_id=ada.id, followed_id=1)


def test_one_can_unfollow_who_was_suspended() -> None:
    follow = FollowFactory()
    suspend(follow.followed)
    graph_services.unfollow(follower_id=follow.follower_id, followed_id=follow.followed_id)
    assert not Follow.objects.exists()


def test_who_was_deleted_meanwhile_follows_nobody() -> None:
    ada, bob = AccountFactory(deleted_at=timezone.now()), AccountFactory()
    with pytest.raises(Unauthenticated):
        graph_services.follow(follower_id=ada.id, followed_id=bob.id)


@WITH_COMMITS
def test_nobody_follows_more_than_the_limit(settings: Any, at_once: Any) -> None:
    settings.FOLLOWING_MAX = 2
    ada = AccountFactory()
    others = AccountFactory.create_batch(5)
    results = at_once(
        *(
            partial(graph_services.follow, follower_id=ada.id, followed_id=other.id)
            for other in others
        )
    )
    assert sum(isinstance(result, Invalid) for result in results) == 3
    assert Follow.objects.count() == 2
    assert counts(ada) == (0, 2)


@WITH_COMMITS
def test_two_who_follow_each_other_at_once_do_not_wait_for_each_other(at_once: Any) -> None:
    ada, bob = AccountFactory(), AccountFactory()
    for _ in range(10):
        there = partial(graph_services.follow, follower_id=ada.id, followed_id=bob.id)
        back = partial(graph_services.follow, follower_id=bob.id, followed_id=ada.id)
        assert at_once(there, back, there, back) == [None] * 4
        assert counts(ada) == counts(bob) == (1, 1)
        undo = partial(graph_services.unfollow, follower_id=ada.id, followed_id=bob.id)
        undo_back = partial(graph_services.unfollow, follower_id=bob.id, followed_id=ada.id)
        assert at_once(undo, undo_back, undo, undo_back) == [None] * 4
        assert counts(ada) == counts(bob) == (0, 0)


def test_counts_are_exact_whatever_is_folded_when() -> None:
    follows = FollowFactory.create_batch(5, followed=AccountFactory())
    ada = follows[0].followed
    assert counts(ada) == (5, 0)
    people_counters.fold_counters()
    assert not AccountCounterDelta.objects.exists()
    assert counts(ada) == (5, 0)
    graph_services.unfollow(follower_id=follows[0].follower_id, followed_id=ada.id)
    assert counts(ada) == (4, 0)
    people_counters.fold_counters()
    assert counts(ada) == (4, 0)
    assert AccountCounters.objects.get(account=ada).followers_count == 4
    assert not AccountCounterDelta.objects.exists()


@WITH_COMMITS
def test_a_cached_card_shows_a_new_follower_at_once_and_stays_cached(
    sql_statements: list[str],
) -> None:
    ada, bob = AccountFactory(), AccountFactory()
    facade.cards([ada.id, bob.id])
    graph_services.follow(follower_id=ada.id, followed_id=bob.id)
    sql_statements.clear()
    cards = facade.cards([ada.id, bob.id])
    assert sql_statements == []
    assert b'"following_count":1' in cards[ada.id]
    assert b'"followers_count":1' in cards[bob.id]


@WITH_COMMITS
def test_the_number_of_tweets_is_counted_once_a_tweet(run_outbox: Any) -> None:
    ada = AccountFactory()
    facade.cards([ada.id])
    tasks.count_posted.run(TweetPosted(tweet_id=1, author_id=ada.id, original_id=0))
    tasks.count_posted.run(TweetPosted(tweet_id=2, author_id=ada.id, original_id=0))
    tasks.count_removed(TweetRemoved(tweet_id=1, author_id=ada.id, original_id=0))
    tasks.count_imported(TweetsImported(author_ids=[ada.id, ada.id, 12345]))
    run_outbox()
    assert profiles([ada.id])[ada.id].tweet_count == 3
    assert b'"tweet_count":3' in facade.cards([ada.id])[ada.id]
    tasks.fold_counters()
    assert profiles([ada.id])[ada.id].tweet_count == 3


def test_the_facade_lists_followers_in_steps() -> None:
    ada = AccountFactory()
    followers = sorted(follow.follower_id for follow in FollowFactory.create_batch(5, followed=ada))
    first = facade.follower_page(account_id=ada.id, after=0, limit=3)
    second = facade.follower_page(account_id=ada.id, after=first[-1], limit=3)
    assert first + second == followers
    assert facade.follower_page(account_id=ada.id, after=second[-1], limit=3) == []
    assert facade.follower_page(account_id=1, after=0, limit=3) == []


def test_the_facade_tells_the_followers_of_several_and_who_of_them_left() -> None:
    ada, bob, cat, popular = (AccountFactory() for _ in range(4))
    of_ada = sorted(one.follower_id for one in FollowFactory.create_batch(3, followed=ada))
    FollowFactory.create_batch(4, followed=bob)
    FollowFactory(followed=popular)
    PopularAuthor.objects.create(account=popular)
    wanted = [ada.id, bob.id, cat.id, popular.id]
    found = facade.followers_of_each(wanted, most=3)
    assert found == {ada.id: of_ada, cat.id: []}
    assert facade.leavers(found) == {}
    FollowFactory(followed=ada)  # later than all of them by id
    FollowFactory(followed=cat)
    assert facade.leavers(found) == {}
    Follow.objects.filter(follower_id=of_ada[2], followed=ada).delete()
    assert facade.leavers(found) == {ada.id: {of_ada[2]}}
    assert facade.followers_of_each([], most=3) == facade.leavers({}) == {}


def test_the_facade_knows_who_follows_whom() -> None:
    ada = AccountFactory()
    follows = FollowFactory.create_batch(3, follower=ada)
    hidden = follows[0].followed
    suspend(hidden)
    assert sorted(facade.followees(ada.id).ids) == [follow.followed_id for follow in follows[1:]]
    between = facade.followers_between
    assert between(account_id=hidden.id, first=ada.id, last=ada.id) == [ada.id]
    assert between(account_id=hidden.id, first=ada.id + 1, last=2**53) == []


def test_a_home_is_to_be_read_again_after_follows_changed_or_a_followee_came_or_went() -> None:
    ada = AccountFactory()
    bob = FollowFactory(follower=ada).followed
    other = AccountFactory()

    def due() -> bool:
        return facade.is_reread_due(account_id=ada.id, since=ago)

    for act in (
        partial(graph_services.follow, follower_id=ada.id, followed_id=other.id),
        partial(graph_services.unfollow, follower_id=ada.id, followed_id=other.id),
        partial(suspend, bob),
        partial(moderation_services.lift, account_id=bob.id, by_id=other.id, reason="x"),
        partial(tasks.note_restored.run, TweetRestored(tweet_id=1, author_id=bob.id)),
        partial(
            people_services.delete, account_id=bob.id, by_id=bob.id, session_id=1, password=PASSWORD
        ),
        partial(purging.purge_account, bob.id),
    ):
        Account.objects.update(home_changed_at=None, followers_homes_changed_at=None)
        ago = Account.objects.values_list(Now(), flat=True)[0]
        assert not due()
        act()
        assert due(), act
    Account.objects.update(home_changed_at=None, followers_homes_changed_at=None)
    suspend(other)  # of no concern to Ada
    assert not due()


def test_followees_beyond_the_limit_are_followees_as_well(settings: Any) -> None:
    """The limit was higher before, say."""
    ada = AccountFactory()
    FollowFactory.create_batch(3, follower=ada)
    settings.FOLLOWING_MAX = 2
    assert len(facade.followees(ada.id).ids) == 3
    assert len(facade.filled_relations(ada.id).followees) == 3


def test_the_facade_knows_accounts() -> None:
    accounts = AccountFactory.create_batch(3)
    ids = [account.id for account in accounts]
    suspend(accounts[0])
    moderator = Account.objects.latest("id").id
    assert facade.visible([*ids, 1]) == set(ids[1:])
    assert facade.all_ids(after=ids[0], limit=2) == ids[1:]
    assert facade.all_ids(after=ids[2], limit=10) == [moderator]
    assert facade.resolve_username(accounts[1].username.upper()) == ids[1]
    for odd in ("nobody", "", "a\0b", "\ud800", "x" * 1_000):
        assert facade.resolve_username(odd) is None


def test_cards_come_from_redis_once_they_were_read(sql_statements: list[str]) -> None:
    ids = [account.id for account in AccountFactory.create_batch(3)]
    cold = facade.cards([*ids, 1])
    assert set(cold) == set(ids)
    sql_statements.clear()
    assert facade.cards(ids) == cold
    assert sql_statements == []


@WITH_COMMITS
def test_cards_of_suspended_accounts_vanish_at_once() -> None:
    ada = AccountFactory()
    facade.cards([ada.id])
    suspend(ada)
    assert facade.cards([ada.id]) == {}


def test_cards_without_redis_come_from_postgres(redis_gone: Any) -> None:
    ada = AccountFactory()
    redis_gone()
    assert set(facade.cards([ada.id])) == {ada.id}


def test_nothing_but_domain_errors_leaves_the_services() -> None:
    ada = AccountFactory()
    for call in (
        partial(moderation_services.suspend, account_id=1, by_id=ada.id, reason="x"),
        partial(moderation_services.suspend, account_id=ada.id, by_id=ada.id, reason="x"),
        partial(moderation_services.lift, account_id=1, by_id=ada.id, reason="x"),
        partial(moderation_services.remove_follow, follow_id=1, by_id=ada.id, reason="x"),
        partial(people_services.moderate, account_id=1, changes={"name": "x"}),
    ):
        with pytest.raises(DomainError):
            call()


@WITH_COMMITS
def test_counts_are_of_those_who_are_not_deleted_and_lists_of_those_who_are_seen(
    api: Any, run_outbox: Any
) -> None:
    """A suspension changes no count, for it may be lifted; a deletion does."""
    ada, bob = AccountFactory(), AccountFactory()
    followers = [follow.follower for follow in FollowFactory.create_batch(4, followed=ada)]
    followees = [follow.followed for follow in FollowFactory.create_batch(4, follower=ada)]
    for gone in (*followers[:2], *followees[:2]):
        moderation_services.suspend(account_id=gone.pk, by_id=bob.pk, reason="spam")
    reader = api(bob.pk)

    def seen() -> list[int]:
        metrics = reader.get(f"/auth/id/{ada.pk}").json()["data"]["public_metrics"]
        pages = [reader.get(f"/auth/{side}/{ada.pk}").json() for side in ("followers", "following")]
        lengths = [len(page["data"]) for page in pages]
        assert [page["meta"]["result_count"] for page in pages] == lengths
        return [metrics["followers_count"], metrics["following_count"], *lengths]

    assert seen() == [4, 4, 2, 2]
    for gone in (followers[0], followees[0], followers[3], followees[3]):
        Account.objects.filter(pk=gone.pk).update(deleted_at=gone.created_at)
        while not purging.purge_account(gone.pk):
            pass
    run_outbox()
    assert seen() == [2, 2, 1, 1]
    for back in (followers[1], followees[1]):
        moderation_services.lift(account_id=back.pk, by_id=bob.pk, reason="appeal")
    assert seen() == [2, 2, 2, 2]


@pytest.mark.parametrize("name", ["max_id", "since_id", "min_id"])
def test_pages_of_people_refuse_what_goes_by_tweets(
    api: Any, assert_problem: Any, name: str
) -> None:
    ada = AccountFactory()
    for side in ("followers", "following"):
        assert_problem(api(ada.pk).get(f"/auth/{side}/{ada.pk}?{name}=7"), 400, name)

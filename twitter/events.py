"""Who subscribes to what: routes events to tasks, as `urls.py` routes requests to views.

Of how a task runs, `Subscription` has more:

- without a word: the outbox keeps a row; relay and worker run the task, soon;
- `at_once`: also right after the commit, before the answer; if that went well, the row goes;
- `best_effort`: right after the commit, and no row: another subscriber does the same anyway;
- `in_transaction`: in the writer's transaction, with which it is done or not done;
- `delay`: the row is due so many seconds later.

System checks prove that every task named here exists and takes its event. A line that loses its
last subscription stays for one release more, with an empty list: rows of it may still be there.
"""

from collections.abc import Mapping, Sequence

from django.conf import settings

from accounts import events as accounts
from timelines import events as timelines
from tweets import events as tweets
from twitter.outbox.events import Event, Subscription

REFRESH_ACCOUNT = Subscription(task="accounts.tasks.refresh_account", at_once=True)
REFRESH_FOLLOW = Subscription(task="accounts.tasks.refresh_follow", at_once=True)
REFRESH_TWEET = Subscription(task="tweets.tasks.refresh_tweet", at_once=True)
REFRESH_TWEETS = Subscription(task="tweets.tasks.refresh_tweets", at_once=True)
NOTE_POPULAR = Subscription(task="accounts.tasks.note_popular", in_transaction=True)
NOTE_RESTORED = Subscription(task="accounts.tasks.note_restored", in_transaction=True)
DROP_HOME = Subscription(task="timelines.tasks.drop_home", at_once=True)
# All requests and tasks that were under way have ended by then.
ALL_ENDED_SECONDS = 1.25 * max(settings.CELERY_TASK_TIME_LIMIT, settings.LONGEST_REQUEST_SECONDS)
# A delivery to somebody who has just unfollowed is taken back by the task that made it. If that was
# killed before, this mends it.
DROP_HOME_ONCE_MORE = Subscription(task="timelines.tasks.drop_home", delay=ALL_ENDED_SECONDS)
DROP_HOMES_OF_FOLLOWERS = Subscription(task="timelines.tasks.drop_homes_of_followers")
DROP_HOMES_AFTER_MANY = Subscription(task="timelines.tasks.drop_homes_after_many")

SUBSCRIPTIONS: Mapping[type[Event], Sequence[Subscription]] = {
    accounts.AccountChanged: [REFRESH_ACCOUNT],
    accounts.EmailReplaced: [Subscription(task="accounts.tasks.tell_former_address")],
    accounts.SessionsRevoked: [REFRESH_ACCOUNT],
    accounts.CountersFolded: [
        NOTE_POPULAR,
        Subscription(task="accounts.tasks.refresh_accounts", at_once=True),
    ],
    accounts.AccountSuspended: [REFRESH_ACCOUNT, DROP_HOMES_OF_FOLLOWERS],
    accounts.AccountRestored: [REFRESH_ACCOUNT, DROP_HOMES_OF_FOLLOWERS],
    accounts.AccountDeleted: [
        REFRESH_ACCOUNT,
        Subscription(task="timelines.tasks.leave_homes"),
    ],
    timelines.LeftHomes: [Subscription(task="tweets.tasks.purge_author")],
    accounts.AccountPurged: [
        Subscription(task="accounts.tasks.sweep_account", delay=ALL_ENDED_SECONDS),
        Subscription(task="tweets.tasks.drop_marks", delay=ALL_ENDED_SECONDS),
        Subscription(task="timelines.tasks.drop_account", delay=ALL_ENDED_SECONDS),
    ],
    accounts.Followed: [REFRESH_FOLLOW, DROP_HOME],
    accounts.Unfollowed: [REFRESH_FOLLOW, DROP_HOME, DROP_HOME_ONCE_MORE],
    accounts.BecamePopular: [Subscription(task="timelines.tasks.announce_popular")],
    timelines.FollowersKnow: [
        Subscription(task="accounts.tasks.end_fan_out"),
        Subscription(task="timelines.tasks.drop_homes_once_more", delay=ALL_ENDED_SECONDS),
    ],
    accounts.GraphImported: [
        Subscription(task="accounts.tasks.drop_relations"),
        Subscription(task="timelines.tasks.drop_all_homes"),
    ],
    tweets.TweetPosted: [
        Subscription(task="timelines.tasks.deliver_to_author", best_effort=True),
        Subscription(task="timelines.tasks.fan_out"),
        Subscription(task="accounts.tasks.count_posted", in_transaction=True),
    ],
    tweets.TweetRemoved: [
        REFRESH_TWEET,
        Subscription(task="timelines.tasks.remove_from_homes"),
        Subscription(task="accounts.tasks.count_removed", in_transaction=True),
    ],
    tweets.ManyRemoved: [
        REFRESH_TWEETS,
        DROP_HOMES_AFTER_MANY,
        Subscription(task="accounts.tasks.count_many_removed", in_transaction=True),
    ],
    tweets.ManyRestored: [
        REFRESH_TWEETS,
        NOTE_RESTORED,
        DROP_HOMES_AFTER_MANY,
        Subscription(task="accounts.tasks.count_many_restored", in_transaction=True),
    ],
    tweets.TweetRestored: [REFRESH_TWEET, NOTE_RESTORED],
    tweets.TweetDeleted: [Subscription(task="tweets.tasks.purge_tweet")],
    tweets.MetricsFolded: [REFRESH_TWEETS],
    tweets.MarksChanged: [Subscription(task="tweets.tasks.refresh_marks", at_once=True)],
    tweets.TweetsImported: [Subscription(task="accounts.tasks.count_imported")],
    tweets.ImportEnded: [Subscription(task="timelines.tasks.drop_all_homes")],
    tweets.AuthorPurged: [Subscription(task="accounts.tasks.purge_account")],
}

# The relay's clock: task to the seconds between two runs.
EVERY: Mapping[str, float] = {
    "twitter.outbox.tasks.heartbeat": 5,
    "accounts.tasks.fold_counters": 1,
    "tweets.tasks.fold_metrics": 1,
    "accounts.tasks.delete_expired": 3_600,
    "tweets.tasks.delete_expired": 3_600,
}

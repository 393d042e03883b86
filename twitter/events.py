"""Who hears what: routes events to tasks, as `urls.py` routes requests to views.

A system check proves that every task named here exists.
"""

from collections.abc import Mapping, Sequence

from django.conf import settings

from twitter.outbox.events import Hearer

FORGET_ACCOUNT = Hearer(task="accounts.tasks.forget_account", at_once=True)
FORGET_FOLLOW = Hearer(task="accounts.tasks.forget_follow", at_once=True)
FORGET_TWEET = Hearer(task="tweets.tasks.forget_tweet", at_once=True)
FORGET_VIEWER = Hearer(task="tweets.tasks.forget_viewer", at_once=True)
DROP_HOME = Hearer(task="timelines.tasks.drop_home", at_once=True)
# Whatever was under way has ended by then, requests and tasks.
ALL_ENDED_SECONDS = settings.CELERY_TASK_TIME_LIMIT * 1.25
# A delivery to somebody who has just unfollowed is taken back by the task that made it. If that was
# killed before, this mends it.
DROP_HOME_ONCE_MORE = Hearer(task="timelines.tasks.drop_home", delay=ALL_ENDED_SECONDS)
DROP_HOMES_OF_FOLLOWERS = Hearer(task="timelines.tasks.drop_homes_of_followers")

HEARERS: Mapping[str, Sequence[Hearer]] = {
    "accounts.account_changed": [FORGET_ACCOUNT],
    "accounts.sessions_revoked": [FORGET_ACCOUNT],
    "accounts.counters_folded": [Hearer(task="accounts.tasks.refresh_accounts", at_once=True)],
    "accounts.account_suspended": [FORGET_ACCOUNT, DROP_HOMES_OF_FOLLOWERS],
    "accounts.account_restored": [FORGET_ACCOUNT, DROP_HOMES_OF_FOLLOWERS],
    "accounts.account_deleted": [
        FORGET_ACCOUNT,
        DROP_HOMES_OF_FOLLOWERS,
        Hearer(task="tweets.tasks.purge_author"),
    ],
    "accounts.account_purged": [
        Hearer(task="accounts.tasks.sweep_account", delay=ALL_ENDED_SECONDS),
        Hearer(task="tweets.tasks.forget_viewer", delay=ALL_ENDED_SECONDS),
        Hearer(task="timelines.tasks.forget_account", delay=ALL_ENDED_SECONDS),
    ],
    "accounts.followed": [FORGET_FOLLOW, DROP_HOME],
    "accounts.unfollowed": [FORGET_FOLLOW, DROP_HOME, DROP_HOME_ONCE_MORE],
    "accounts.became_popular": [Hearer(task="timelines.tasks.announce_popular")],
    "timelines.followers_know": [Hearer(task="accounts.tasks.end_fan_out")],
    "accounts.graph_imported": [Hearer(task="timelines.tasks.drop_all_homes")],
    "tweets.tweet_posted": [
        Hearer(task="timelines.tasks.deliver_to_author", hastens=True),
        Hearer(task="timelines.tasks.fan_out"),
        Hearer(task="accounts.tasks.count_posted", in_transaction=True),
    ],
    "tweets.tweet_removed": [
        FORGET_TWEET,
        Hearer(task="timelines.tasks.remove_from_homes"),
        Hearer(task="accounts.tasks.count_removed", in_transaction=True),
    ],
    "tweets.tweet_deleted": [Hearer(task="tweets.tasks.purge_tweet")],
    "tweets.metrics_folded": [Hearer(task="tweets.tasks.refresh_tweets", at_once=True)],
    "tweets.viewer_changed": [FORGET_VIEWER],
    "tweets.tweets_imported": [Hearer(task="accounts.tasks.count_imported")],
    "tweets.import_ended": [Hearer(task="timelines.tasks.drop_all_homes")],
    "tweets.author_purged": [Hearer(task="accounts.tasks.purge_account")],
}

# The relay's clock: task to the seconds between two runs.
EVERY: Mapping[str, float] = {
    "twitter.outbox.tasks.heartbeat": 5,
    "accounts.tasks.fold_counters": 1,
    "tweets.tasks.fold_metrics": 1,
    "accounts.tasks.delete_ended_sessions": 3_600,
    "tweets.tasks.forget_old_answers": 3_600,
}

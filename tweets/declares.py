"""What the subjects of tweets declare, one line each."""

from collections.abc import Sequence

from tweets.declared import Subject
from tweets.posts import declares as posts
from tweets.reactions import declares as reactions

SUBJECTS: Sequence[Subject] = (
    posts.SUBJECT,
    reactions.SUBJECT,
)

"""What the subjects of accounts declare, one line each."""

from collections.abc import Sequence

from accounts.graph import declares as graph
from accounts.people import declares as people
from accounts.sessions import declares as sessions
from twitter.base.declared import Subject

SUBJECTS: Sequence[Subject] = (
    sessions.SUBJECT,
    graph.SUBJECT,
    people.SUBJECT,
)

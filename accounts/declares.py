"""What the subjects of accounts declare, one line each."""

from collections.abc import Sequence

from accounts.declared import Subject
from accounts.graph import declares as graph
from accounts.people import declares as people
from accounts.sessions import declares as sessions

SUBJECTS: Sequence[Subject] = (
    people.SUBJECT,
    sessions.SUBJECT,
    graph.SUBJECT,
)

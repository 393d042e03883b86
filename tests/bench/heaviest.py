"""What a web process takes of memory when people read the heaviest pages that one can post."""

from collections.abc import Mapping, Sequence

from django.db import connection

from accounts.validators import MAX_BIO, MAX_NAME
from tests.bench.data import follow, make_accounts, tokens
from tests.bench.figures import Figure, say
from tests.bench.load import Job, LoadGenerator, get
from tests.bench.reads import HOME
from tests.bench.stack import Server
from tests.weights import heaviest_text
from tweets.models import Tweet

# Accounts of this module begin here, counted in accounts.
FIRST = 40_000_000
# The largest page has so many retweets, each of another account, of as many others' tweets.
PAGE = 100
READERS, REQUESTS = 10, 200
MOST_MB = 64


def measure(load: LoadGenerator, servers: Sequence[Server], at_start: Mapping[int, int]) -> Figure:
    """Return by how much the largest web process has grown since its start, in MB."""
    say("the heaviest pages")
    authors = make_accounts("heavy", count=PAGE, first=FIRST)
    retweeters = make_accounts("echo", count=PAGE, first=FIRST + PAGE)
    readers = make_accounts("strong", count=READERS, first=FIRST + 2 * PAGE)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_account SET name = %s, bio = %s WHERE id = ANY(%s)",
            ["\U0001f600" * MAX_NAME, "\U0001f600" * MAX_BIO, authors + retweeters],
        )
    follow((reader, retweeter) for reader in readers for retweeter in retweeters)
    text = heaviest_text()
    for author, retweeter in zip(authors, retweeters, strict=True):
        original = Tweet.objects.create(author_id=author, text=text)
        Tweet.objects.create(author_id=retweeter, original=original, text="")
    requests = [get(f"{HOME}?limit={PAGE}", token=token) for token in tokens(readers)]
    grown, told = [], []
    for server in servers:
        done = load.run(Job(port=server.port, requests=requests * (REQUESTS // READERS)))
        start, end = at_start[server.port], server.memory("web")
        grown.append((end - start) / 2**20)
        told.append(f"{start / 2**20:.0f} to {end / 2**20:.0f} MB")
    return Figure(
        name="memory_of_a_web_process",
        title="memory that a web process gains by the population and the heaviest pages",
        unit="MB",
        rounds=[max(grown)],
        target=MOST_MB,
        most=True,
        detail=f"{', '.join(told)}; pages of {done.bytes / done.requests / 2**20:.2f} MB",
    )

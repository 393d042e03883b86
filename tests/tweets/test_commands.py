"""`import_tweets` and `demo`, as an operator runs them."""

import gzip
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import facade as accounts
from accounts.models import Account, Follow
from timelines import selectors
from tweets import importing
from tweets.models import Like, Tweet
from twitter.lib.ids import time_of

pytestmark = pytest.mark.usefixtures("commits")


def run(name: str, *arguments: object) -> str:
    out = StringIO()
    call_command(name, *map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.fixture
def graph(tmp_path):
    file = tmp_path / "graph.tsv"
    file.write_text("1\t2\n2\t3\n3\t1\n")
    run("import_graph", file)


@pytest.fixture
def texts(tmp_path):
    def write(*lines: str, name: str = "texts.txt"):
        file = tmp_path / name
        data = "".join(f"{line}\n" for line in lines).encode()
        file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return file

    return write


@pytest.mark.parametrize("name", ["texts.txt", "texts.txt.gz"])
def test_lines_are_posted_by_imported_accounts_in_the_last_days(graph, texts, name, run_outbox):
    file = texts(*(f"line {number}" for number in range(10)), name=name)
    assert run("import_tweets", file, "--days", 2) == "10 tweets imported, 0 of 10 lines refused.\n"
    tweets = list(Tweet.objects.order_by("id"))
    assert {tweet.text for tweet in tweets} == {f"line {number}" for number in range(10)}
    assert len({tweet.author_id for tweet in tweets}) == 3
    now = timezone.now()
    assert all(now - timedelta(days=2, minutes=1) < time_of(tweet.pk) <= now for tweet in tweets)
    run_outbox()
    reader = Follow.objects.first().follower_id
    page = selectors.home_page(account_id=reader, limit=100, max_id=None)
    assert page.ids


def test_lines_that_break_the_rules_are_refused_and_named(graph, texts):
    out = run("import_tweets", texts("fine", "x" * 281, "", "also fine", "\x00"))
    assert out.startswith("2 tweets imported, 3 of 5 lines refused.\n")
    assert "  line 2: The weighted length of the text is 281; the limit is 280." in out
    assert "  line 3: " in out
    assert "  line 5: " in out


def test_a_file_is_imported_once(graph, texts):
    file = texts("one", "two")
    run("import_tweets", file)
    assert "(2 lines were in before)" in run("import_tweets", file)
    assert Tweet.objects.count() == 2


def test_an_interrupted_import_goes_on_where_it_stopped(graph, texts, monkeypatch):
    monkeypatch.setattr("tweets.management.commands.import_tweets.BATCH", 4)
    file = texts(*(f"line {number}" for number in range(10)))
    store = importing.import_batch
    calls = []

    def interrupt(batch):
        calls.append(batch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return store(batch)

    monkeypatch.setattr(importing, "import_batch", interrupt)
    with pytest.raises(CommandError, match="after line 4"):
        run("import_tweets", file)
    monkeypatch.setattr(importing, "import_batch", store)
    assert Tweet.objects.count() == 4
    run("import_tweets", file)
    assert sorted(Tweet.objects.values_list("text", flat=True)) == [f"line {n}" for n in range(10)]


def test_what_is_no_file_or_no_text_is_said(graph, tmp_path):
    with pytest.raises(CommandError, match="is no file"):
        run("import_tweets", tmp_path / "missing")
    file = tmp_path / "latin1.txt"
    file.write_bytes("é\n".encode("latin-1"))
    with pytest.raises(CommandError, match="not UTF-8"):
        run("import_tweets", file)


def test_without_accounts_there_is_nobody_to_post(texts):
    with pytest.raises(CommandError, match="import_graph first"):
        run("import_tweets", texts("one"))


def network() -> list[tuple[str, str]]:
    texts = Tweet.objects.exclude(text="").order_by("text", "author__username")
    return list(texts.values_list("author__username", "text"))


def test_the_demo_network_is_alive_and_the_same_for_a_seed(monkeypatch, run_outbox, valkey):
    monkeypatch.setenv("DEMO_PASSWORD", "correct horse battery")
    monkeypatch.setenv("ADMIN_PASSWORD", "admins horse battery")
    run("demo")
    run_outbox()
    demo = accounts.resolve_username("demo")
    assert Account.objects.get(id=demo).check_password("correct horse battery")
    assert Account.objects.get(username="admin").is_superuser
    assert Like.objects.exists()
    assert Tweet.objects.filter(original__isnull=False).exists()
    page = selectors.home_page(account_id=demo, limit=100, max_id=None)
    assert len(page.ids) > 50
    first = network()
    assert "already" in run("demo")
    assert network() == first


def test_the_demo_has_no_password_of_its_own(monkeypatch):
    monkeypatch.delenv("DEMO_PASSWORD", raising=False)
    with pytest.raises(CommandError, match="DEMO_PASSWORD"):
        run("demo")
    assert not Account.objects.exists()

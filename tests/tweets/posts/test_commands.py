"""`import_tweets` and `demo`, as an operator runs them."""

import gzip
import hashlib
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import facade as accounts
from accounts.models import Account, Follow
from timelines.home import source as home
from tweets.models import ImportedFile, Like, Tweet
from tweets.posts import importing
from twitter.base.data.ids import EPOCH, MAX_ID, time_of

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
    page, _ = home.read(reader, limit=100, max_id=None)
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
    with pytest.raises(CommandError, match=r"be read: No such file or directory\. Nothing is"):
        run("import_tweets", tmp_path / "missing")
    file = tmp_path / "latin1.txt"
    file.write_bytes(b"fine\n" * 2_000 + "é\n".encode("latin-1"))
    with pytest.raises(CommandError, match=r"Line 2001 of .+ is not UTF-8; nothing is imported\.$"):
        run("import_tweets", file)
    file = tmp_path / "truncated.txt.gz"
    file.write_bytes(gzip.compress("".join(f"{n * 7919}\n" for n in range(9_000)).encode())[:-99])
    with pytest.raises(CommandError, match=r"can't be read after line \d+: .+ Nothing is imported"):
        run("import_tweets", file)
    assert not Tweet.objects.exists()
    assert not ImportedFile.objects.exists()


@pytest.mark.parametrize("name", ["texts.txt", "texts.txt.gz"])
def test_a_byte_order_mark_is_not_part_of_the_first_text(graph, texts, name):
    run("import_tweets", texts("\ufeffone", "two", name=name))
    assert set(Tweet.objects.values_list("text", flat=True)) == {"one", "two"}


DAYS = (timezone.now() - EPOCH).days


@pytest.mark.parametrize(
    ("command", "option", "value", "least", "most"),
    [
        *(("import_tweets", "--days", value, 1, DAYS) for value in (0, -5, DAYS + 2, 10**9)),
        ("import_tweets", "--days", "9" * 5_000, 1, DAYS),
        ("import_tweets", "--days", "٣", 1, DAYS),
        ("demo", "--tweets", 0, 1, 100_000),
        ("demo", "--tweets", 10**9, 1, 100_000),
        ("verify_timelines", "--sample", -1, 1, 10**9),
        ("rebuild_timelines", "--after", -1, 0, MAX_ID),
        ("rebuild_timelines", "--after", 2**63, 0, MAX_ID),
    ],
)
def test_a_number_that_cannot_be_is_one_sentence(graph, texts, command, option, value, least, most):
    file = [texts("one")] if command == "import_tweets" else []
    with pytest.raises(CommandError, match=rf"{option}: '.+' is no whole number from {least} to"):
        run(command, *file, option, value)
    assert not Tweet.objects.exists()


def test_tweets_are_dated_since_ids_begin_and_never_ahead(graph, texts, monkeypatch):
    """This holds, too, when the import of a file was interrupted and goes on with more days."""
    monkeypatch.setattr("tweets.management.commands.import_tweets.BATCH", 20)
    run("import_tweets", texts(*(f"line {number}" for number in range(20))), "--days", DAYS)
    assert all(time_of(pk) >= EPOCH for pk in Tweet.objects.values_list("pk", flat=True))
    file = texts(*(f"line {number}" for number in range(40)))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    first_line_at = timezone.now() - timedelta(days=1)
    ImportedFile.objects.create(digest=digest, lines_done=20, first_line_at=first_line_at)
    assert run("import_tweets", file, "--days", DAYS).startswith("20 tweets imported")
    assert all(time_of(pk) <= timezone.now() for pk in Tweet.objects.values_list("pk", flat=True))


@pytest.mark.parametrize("posted_at", [EPOCH - timedelta(seconds=1), EPOCH.replace(year=2090)])
def test_no_id_is_made_for_a_moment_that_has_none(graph, posted_at):
    author = Account.objects.first().pk
    with pytest.raises(ValueError, match="posted before 2024-01-01, or ahead"):
        importing.import_batch([importing.OldTweet(author, "text", posted_at)])


def test_the_import_obeys_the_bound_in_bytes(graph, texts):
    out = run("import_tweets", texts("http://a.co/".ljust(2_049, "x"), "é" * 100 + "x" * 4_000))
    assert "line 1: The weighted length of the text is 2049; the limit is 280." in out
    assert "line 2: The text has 4200 bytes in UTF-8; the limit is 4096." in out


def test_without_accounts_there_is_nobody_to_post(texts):
    with pytest.raises(CommandError, match="import_graph first"):
        run("import_tweets", texts("one"))


def network() -> list[tuple[str, str]]:
    texts = Tweet.objects.exclude(text="").order_by("text", "author__username")
    return list(texts.values_list("author__username", "text"))


def test_the_demo_network_is_alive_and_the_same_for_a_seed(monkeypatch, run_outbox):
    monkeypatch.setenv("DEMO_PASSWORD", "correct horse battery")
    monkeypatch.setenv("ADMIN_PASSWORD", "admins horse battery")
    run("demo")
    run_outbox()
    demo = accounts.resolve_username("demo")
    assert Account.objects.get(id=demo).check_password("correct horse battery")
    assert Account.objects.get(username="admin").is_superuser
    assert Like.objects.exists()
    assert Tweet.objects.filter(original__isnull=False).exists()
    page, _ = home.read(demo, limit=100, max_id=None)
    assert len(page.ids) > 50
    first = network()
    assert "already" in run("demo")
    assert network() == first


def test_the_demo_has_no_password_of_its_own(monkeypatch):
    monkeypatch.delenv("DEMO_PASSWORD", raising=False)
    with pytest.raises(CommandError, match="DEMO_PASSWORD"):
        run("demo")
    assert not Account.objects.exists()

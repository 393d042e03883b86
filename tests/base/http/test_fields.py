"""A field that an endpoint does not know is refused by its name: I8."""

import pytest
from drf_spectacular.generators import SchemaGenerator

from accounts.models import Account
from tweets.models import Tweet
from twitter.base.http.fields import NAMED_FIELDS

pytestmark = pytest.mark.django_db


def writes():
    """Yield method, path and an example of each operation that takes JSON."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            if media := content.get("application/json"):
                [example] = media["examples"].values()
                yield method, path, example["value"]


@pytest.mark.parametrize(("method", "path", "body"), list(writes()))
def test_every_body_is_refused_that_has_an_unknown_field(api, make_account, method, path, body):
    ann = make_account("ann")
    answer = getattr(api(ann), method)(path.format(user_id=ann), {**body, "avatar": "me.png"})
    assert answer.status_code == 400
    assert answer.json()["errors"]["avatar"] == ["There is no such field."]
    assert answer.json()["detail"].count("avatar") == 1
    assert Tweet.objects.count() == 0
    assert Account.objects.count() == 1


def test_there_are_bodies_to_try():
    assert len(list(writes())) >= 8


@pytest.mark.parametrize("path", ["/tweet/like", "/tweet/retweet"])
@pytest.mark.parametrize("place", ["body", "query"])
def test_a_delete_knows_its_fields_too(api, make_account, path, place):
    client = api(make_account("ann"))
    sent = {"tweet_id": "7", "reason": "x"}
    answer = (
        client.delete(path, sent)
        if place == "body"
        else client.delete(f"{path}?tweet_id=7&reason=x")
    )
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["reason"]


def test_what_is_wrong_otherwise_is_told_with_it(api, make_account):
    answer = api(make_account("ann")).post("/tweet/create", {"text": "", "poll": []})
    assert answer.json()["errors"].keys() == {"text", "poll"}


def test_the_answer_to_a_thousand_unknown_fields_is_short(api, make_account):
    body = {"text": "hello"} | {"x" * 900 + str(number): 1 for number in range(60)}
    answer = api(make_account("ann")).post("/tweet/create", body)
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) <= NAMED_FIELDS
    assert len(answer.content) < 8_192


def test_unknown_parameters_of_a_read_are_ignored(api, make_account):
    assert api(make_account("ann")).get("/timeline/timeline?utm_source=x").status_code == 200

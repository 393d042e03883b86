"""The API's description: OpenAPI 3.1, without warnings, as the reviewed snapshot has it."""

import re
from pathlib import Path

import jsonschema
import pytest
import referencing
import yaml
from django.core.management import call_command
from referencing.jsonschema import DRAFT202012

SNAPSHOT = Path(__file__).parent.parent / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    file = tmp_path_factory.mktemp("schema") / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", file=str(file))
    return yaml.safe_load(file.read_text())


PAGES = {
    "get /auth/followers/{user_id}",
    "get /auth/following/{user_id}",
    "get /timeline/timeline",
    "get /timeline/update",
    "get /timeline/user/{author_id}",
    "get /tweet/bookmarks",
}


def own_responses(operation):
    return [each for each in operation["responses"].items() if each[0] != "default"]


def operations(schema):
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_the_snapshot_is_current(schema):
    assert schema == yaml.safe_load(SNAPSHOT.read_text()), "run `make openapi` and review the diff"
    assert schema["openapi"].startswith("3.1")


def test_every_operation_says_what_it_is_and_how_it_fails(schema):
    for name, operation in operations(schema):
        assert operation.get("description"), name
        assert "\n" not in operation["summary"], name
        assert operation["summary"] not in operation["description"], name
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
        for status, response in own_responses(operation):
            assert status in ("204", "304") or response["content"], (name, status)
            if int(status) >= 400 and "/healthz" not in name:
                assert list(response["content"]) == ["application/problem+json"], (name, status)


def test_every_body_has_an_example_that_fits_it(schema):
    registry = referencing.Registry().with_resource(
        "urn:schema", referencing.Resource(contents=schema, specification=DRAFT202012)
    )
    for name, operation in operations(schema):
        bodies = [response for _, response in own_responses(operation)]
        bodies += [operation["requestBody"]] if "requestBody" in operation else []
        for body in bodies:
            for media in body.get("content", {}).values():
                assert media.get("examples"), name
                for example in media["examples"].values():
                    jsonschema.Draft202012Validator(
                        {"$ref": "urn:schema" + media["schema"]["$ref"]},
                        registry=registry,
                    ).validate(example["value"])


def test_no_secret_is_asked_for_in_an_address(schema):
    for name, operation in operations(schema):
        for parameter in operation.get("parameters", []):
            assert not re.search("password|token|secret|key", parameter["name"].lower()) or (
                parameter["in"] == "header"
            ), name
    [body] = schema["paths"]["/auth/delete/{user_id}"]["delete"]["requestBody"]["content"].values()
    assert body["schema"] == {"$ref": "#/components/schemas/PasswordRequest"}


def test_errors_that_all_may_answer_are_described_once(schema):
    [media] = schema["components"]["responses"]["Problem"]["content"].values()
    types = {example["value"]["type"] for example in media["examples"].values()}
    shared = {f"/problems/{kind}" for kind in ("expired-token", "rate-limited", "unavailable")}
    assert types >= shared
    for name, operation in operations(schema):
        for status, response in own_responses(operation):
            examples = response.get("content", {}).get("application/problem+json", {})
            for example in examples.get("examples", {}).values():
                assert example["value"]["status"] == int(status), name
                assert example["value"]["type"] not in shared, name


def test_groups_have_an_order_and_operations_a_name(schema):
    groups = [tag["name"] for tag in schema["tags"]]
    assert groups[-1] == "Health"
    assert {tag for _, operation in operations(schema) for tag in operation["tags"]} == set(groups)
    names = [operation["operationId"] for _, operation in operations(schema)]
    assert {"home_timeline", "create_tweet", "log_in"} <= set(names)


def test_parameters_say_what_they_are(schema):
    for name, operation in operations(schema):
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (name, parameter["name"])


def test_headers_that_come_back_are_described(schema):
    for name, operation in operations(schema):
        for status, response in own_responses(operation):
            headers = response["headers"].keys()
            assert "X-Request-Id" in headers, name
            assert ("RateLimit" in headers) != ("/healthz" in name), name
            is_page = status == "200" and name in PAGES
            assert ("Link" in headers) == is_page, name
            is_kept = status in ("200", "304") and "304" in operation["responses"]
            assert ("ETag" in headers) == is_kept, name


def test_what_a_client_may_keep_is_described(schema):
    kept = {
        name
        for name, operation in operations(schema)
        if "304" in operation["responses"]
        and any(each["name"] == "If-None-Match" for each in operation["parameters"])
    }
    of_a_user = {"get /auth/id/{user_id}", "get /auth/name/{name}"}
    assert kept == PAGES | of_a_user | {"get /tweet/id/{tweet_id}"}


def test_nothing_internal_is_told(schema):
    text = SNAPSHOT.read_text()
    for word in ("Envelope", "Serializer", "selectors", "Patched"):
        assert word not in text, word


def test_a_body_with_an_unknown_field_is_not_valid(schema):
    requests = [
        media["schema"]["$ref"].rpartition("/")[2]
        for _, operation in operations(schema)
        for media_type, media in operation.get("requestBody", {}).get("content", {}).items()
        if media_type == "application/json"
    ]
    for name in requests:
        assert schema["components"]["schemas"][name]["additionalProperties"] is False, name

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
        for status, response in operation["responses"].items():
            assert status == "204" or response["content"], (name, status)
            if int(status) >= 400 and status != "503":
                assert list(response["content"]) == ["application/problem+json"], (name, status)


def test_every_body_has_an_example_that_fits_it(schema):
    registry = referencing.Registry().with_resource(
        "urn:schema", referencing.Resource(contents=schema, specification=DRAFT202012)
    )
    for name, operation in operations(schema):
        bodies = [*operation["responses"].values()]
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


def test_what_needs_a_token_says_so(schema):
    for name, operation in operations(schema):
        if "security" in operation:
            assert "401" in operation["responses"], name

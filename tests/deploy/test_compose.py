"""docker-compose.yml, .env.example, `make env` and the code agree, and no container may too much.

That it is valid is for `make check` to say, by the Compose specification's own schema.
"""

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_readme import page, quoted, rows

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ROLES = {
    name: each
    for name, each in SERVICES.items()
    if each["image"] == "twitter:${TWITTER_TAG:-local}"
}

# The reasons stand in docker-compose.yml.
ONE_SHOT = {"migrate"}
WRITES_BESIDE_ITS_SETTINGS = {"elasticsearch", "kibana"}
# There is no program in its image but the collector.
CANNOT_BE_ASKED = {"otel-collector"}
# Settings of the image, of the commands `make run` and `demo`, and of `migrate` alone.
ELSEWHERE = {"ALIVE_FILE", "PORT", "STATIC_ROOT", "WEB_HOST"}
ELSEWHERE |= {"ADMIN_PASSWORD", "DEMO_PASSWORD", "STATE_DIR", "READER_PASSWORD"}
# docs/tracing.md has these.
OF_OTHERS = {"OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}
SECRET = re.compile(r"_(KEYS?|PASSWORD)$")


def variables_of(example: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", example, re.MULTILINE))


def make_env(folder: Path) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / ".env.example", folder)
    return subprocess.run(
        [sys.executable, ROOT / "deploy" / "env.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_variable_is_in_the_example_and_the_other_way_round():
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))
    assert used | {"COMPOSE_PROFILES"} == set(variables_of(EXAMPLE))


def test_every_setting_can_be_given_in_the_env_file():
    settings = {quoted(row[0])[0] for row in rows(page("configuration"))}
    assert settings - ELSEWHERE == set(COMPOSE["x-environment"]) - OF_OTHERS


def test_secrets_have_no_default_anywhere():
    uses = re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", TEXT)
    secrets = {(name, rest) for name, rest in uses if SECRET.search(name)}
    assert len(secrets) >= 7
    assert {rest for _, rest in secrets} == {":?run make env"}
    assert {value for name, value in variables_of(EXAMPLE).items() if SECRET.search(name)} == {""}


def test_roles_are_given_only_what_the_code_reads():
    ours = {quoted(cells[0])[0] for cells in rows(page("configuration"))}
    ours |= {"METRICS_PORT", "READER_PASSWORD"}
    given = {name for each in ROLES.values() for name in each["environment"]}
    assert {name for name in given - ours if not name.startswith("OTEL_")} == set()


def test_each_role_of_the_entrypoint_has_a_service():
    entrypoint = (ROOT / "deploy" / "entrypoint").read_text(encoding="utf-8")
    roles = set(re.findall(r"^([a-z-]+)\)$", entrypoint, re.MULTILINE)) - {"manage"}
    assert {word for each in ROLES.values() for word in each["command"]} == roles


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_limits_and_no_rights(name):
    service = SERVICES[name]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is (name not in WRITES_BESIDE_ITS_SETTINGS)
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert "privileged" not in service
    if name in ONE_SHOT:
        assert service["healthcheck"] == {"disable": True}
    else:
        assert ("healthcheck" in service) is (name not in CANNOT_BE_ASKED)


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ROLES.keys()))
def test_an_image_is_pinned_by_its_exact_version(name):
    assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z]+)?$", SERVICES[name]["image"])


def test_nothing_but_nginx_is_published_and_consoles_on_this_machine_only():
    for name, service in SERVICES.items():
        for port in service.get("ports", ()):
            if name == "nginx":
                assert port == "${PUBLISH:-127.0.0.1:8080}:8080"
            else:
                assert service["profiles"] == ["observability"], name
                assert port.startswith("127.0.0.1:"), name
    assert variables_of(EXAMPLE)["PUBLISH"].startswith("127.0.0.1:")


def test_nginx_reaches_the_pools_and_nothing_that_they_reach():
    networks = COMPOSE["networks"]
    assert SERVICES["nginx"]["networks"] == ["edge"]
    on_the_edge = {name for name, each in SERVICES.items() if "edge" in each["networks"]}
    assert on_the_edge == {"nginx", "read-api", "write-api"}
    for name in ("postgres", "valkey", "rabbitmq"):
        assert SERVICES[name]["networks"] == ["data"]
    assert networks["data"]["internal"]


def test_the_role_that_sends_mails_reaches_a_mail_server():
    leads_out = {name for name, each in COMPOSE["networks"].items() if not each.get("internal")}
    assert set(SERVICES["worker"]["networks"]) & leads_out == {"mail"}
    assert [name for name, each in SERVICES.items() if "mail" in each["networks"]] == ["worker"]


def mounts() -> list[tuple[str, str]]:
    return [
        (name, source)
        for name, each in SERVICES.items()
        for source in (mount.split(":")[0] for mount in each.get("volumes", ()))
        if source.startswith("./")
    ]


@pytest.mark.parametrize(("name", "source"), mounts())
def test_what_is_mounted_is_here(name, source):
    assert (ROOT / source).exists()


def test_each_volume_is_named_and_used():
    used = {
        mount.split(":")[0]
        for each in SERVICES.values()
        for mount in each.get("volumes", ())
        if mount[0] not in "./"
    }
    assert used == set(COMPOSE["volumes"])


def test_make_env_fills_in_secrets_for_its_owner_only(tmp_path):
    done = make_env(tmp_path)
    assert done.returncode == 0, done.stderr
    result = tmp_path / ".env"
    assert stat.S_IMODE(result.stat().st_mode) == 0o600
    given = variables_of(result.read_text())
    secrets = {name: value for name, value in given.items() if SECRET.search(name)}
    assert all(len(value) >= 32 for value in secrets.values())
    assert len(set(secrets.values())) == len(secrets)
    assert not [name for name, value in secrets.items() if value in done.stdout]
    assert {name: value for name, value in given.items() if name not in secrets} == {
        name: value for name, value in variables_of(EXAMPLE).items() if name not in secrets
    }


def test_make_env_leaves_what_is_there(tmp_path):
    (tmp_path / ".env").write_text("SECRET_KEY=mine\n")
    done = make_env(tmp_path)
    assert done.returncode == 1
    assert "was left as it is" in done.stderr
    assert (tmp_path / ".env").read_text() == "SECRET_KEY=mine\n"


def test_roles_start_with_what_make_env_writes(tmp_path):
    """In production too, with what a role's environment makes of it."""
    make_env(tmp_path)
    given = variables_of((tmp_path / ".env").read_text())
    filled = {
        name: re.sub(r"\$\{(\w+)[^}]*\}", lambda use: given[use[1]], str(value))
        for name, value in ROLES["read-api"]["environment"].items()
        if value is not None  # such a one gets what `.env` says, and is not there without
    }
    for kind in ("development", "production"):
        done = subprocess.run(
            [sys.executable, "-c", "import twitter.settings as s; print(s.CELERY_BROKER_URL)"],
            cwd=ROOT,
            env=filled | {"TWITTER_ENV": kind},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("@valkey:6379/1\n")

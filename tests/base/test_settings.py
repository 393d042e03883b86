"""The settings refuse to start without what has no safe default."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPLETE = {
    "SECRET_KEY": "s" * 50,
    "JWT_SIGNING_KEYS": "k1:" + "s" * 32,
    "DATABASE_URL": "postgres://u:p@127.0.0.1/d",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "ALLOWED_HOSTS": "example.com",
}
COOKIES = (
    "from twitter import settings as s; print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, "
    "s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE)"
)
PRINT = "from twitter import settings; print(settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT)"


def start(environment: dict[str, str], code: str = PRINT) -> subprocess.CompletedProcess:
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_is_the_default_and_starts_with_its_secrets():
    result = start(COMPLETE)
    assert result.stdout == "['example.com'] True\n"


@pytest.mark.parametrize("name", COMPLETE)
def test_production_does_not_start_without(name):
    result = start({key: value for key, value in COMPLETE.items() if key != name})
    assert result.returncode != 0
    assert f"Set {name} in the environment" in result.stderr


@pytest.mark.parametrize("name", [name for name in COMPLETE if name != "ALLOWED_HOSTS"])
def test_development_brings_no_secrets_of_its_own(name):
    result = start(
        {key: value for key, value in COMPLETE.items() if key != name}
        | {"TWITTER_ENV": "development"}
    )
    assert result.returncode != 0


def test_a_short_signing_key_is_refused():
    result = start(COMPLETE | {"JWT_SIGNING_KEYS": "k1:short"})
    assert "32 characters" in result.stderr


@pytest.mark.parametrize("keys", [":" + "s" * 32, "s" * 32, "k1:" + "s" * 32 + ","])
def test_a_signing_key_without_a_name_is_refused(keys):
    assert "each entry is kid:secret" in start(COMPLETE | {"JWT_SIGNING_KEYS": keys}).stderr


def test_two_signing_keys_of_one_name_are_refused():
    keys = f"k1:{'s' * 32},k1:{'t' * 32}"
    assert "the same kid" in start(COMPLETE | {"JWT_SIGNING_KEYS": keys}).stderr


def test_development_lets_plain_http_on_this_machine_in():
    environment = COMPLETE | {"TWITTER_ENV": "development"}
    del environment["ALLOWED_HOSTS"]
    assert start(environment).stdout == "['localhost', '127.0.0.1', '[::1]'] False\n"


def test_behind_a_proxy_one_must_say_how_many_there_are():
    behind = COMPLETE | {"BEHIND_TLS_PROXY": "true"}
    assert "set TRUSTED_HOPS" in start(behind).stderr
    assert start(behind | {"TRUSTED_HOPS": "1"}).returncode == 0


@pytest.mark.parametrize("limit", ["", "300", "300/", "/60", "0/60", "300/0", "-1/60", "many/60"])
def test_a_rate_limit_that_is_none_is_refused(limit):
    name = "RATE_LIMIT_READS_PER_USER"
    assert f"{name}: requests/seconds" in start(COMPLETE | {name: limit}).stderr


@pytest.mark.parametrize("limit", ["300/60", "off"])
def test_a_rate_limit_may_be_any_or_none(limit):
    assert start(COMPLETE | {"RATE_LIMIT_READS_PER_USER": limit}).returncode == 0


@pytest.mark.parametrize("url", ["h:587", "smtp://", "http://h", "smtp://h:port", "smtp://[::1"])
def test_a_mail_server_that_is_none_is_refused(url):
    assert "EMAIL_URL: such as smtp+tls://" in start(COMPLETE | {"EMAIL_URL": url}).stderr


def test_a_mail_server_needs_an_address_that_mails_come_from():
    environment = COMPLETE | {"EMAIL_URL": "smtp+tls://user:password@mail.example.com:587"}
    assert "EMAIL_FROM: the address that mails come from" in start(environment).stderr
    assert start(environment | {"EMAIL_FROM": "noreply@example.com"}).returncode == 0


@pytest.mark.parametrize(
    "path",
    ["", "admin", "/admin/", "a//", "a b/", "\u00e4/", "admin/\n", "auth/", "static/x/", "../"],
)
def test_a_path_of_the_admin_that_is_none_is_refused(path):
    refusal = start(COMPLETE | {"ADMIN_PATH": path}).stderr
    assert "ADMIN_PATH: one or more of A-Z, a-z, 0-9, _ and -, then /" in refusal


@pytest.mark.parametrize("path", ["office/", "staff/Office-2/", "authors/"])
def test_the_admin_may_be_at_another_path(path):
    assert start(COMPLETE | {"ADMIN_PATH": path}).returncode == 0


@pytest.mark.parametrize("host", ["https://a.example", "a.example:8000", "a/b", ".a.example", "*"])
def test_a_host_of_the_admin_that_is_none_is_refused(host):
    assert "ADMIN_HOST: a host name" in start(COMPLETE | {"ADMIN_HOST": host}).stderr


def test_the_admins_host_is_one_to_answer_to():
    result = start(COMPLETE | {"ADMIN_HOST": "Admin.example.com"})
    assert result.stdout == "['example.com', 'admin.example.com'] True\n"


def test_in_production_cookies_need_tls_and_belong_to_their_host():
    assert start(COMPLETE, COOKIES).stdout == "__Host-admin __Host-csrf True True\n"
    development = COMPLETE | {"TWITTER_ENV": "development"}
    assert start(development, COOKIES).stdout == "admin csrf False False\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUSTED_HOPS", "-1"),
        ("TRUSTED_HOPS", "x"),
        ("MAX_BODY_BYTES", "-4"),
        ("OUTBOX_MAX_ATTEMPTS", "1"),
        ("TASK_SECONDS", "0"),
        ("DB_CONN_MAX_AGE", "1.5"),
        ("BEHIND_TLS_PROXY", "maybe"),
        ("TWITTER_ENV", "prod"),
        ("LOG_LEVEL", "loud"),
        ("PORT", "abc"),
        ("WEB_WORKERS", "two"),
        ("METRICS_PORT", "yes"),
        ("ALLOWED_HOSTS", "https://example.com"),
        ("ALLOWED_HOSTS", "example.com:8000"),
        ("ALLOWED_HOSTS", "example.com/api"),
        ("ALLOWED_HOSTS", " , "),
        ("SECRET_KEY", "short"),
        ("DATABASE_URL", "mysql://u:p@host/d"),
        ("DATABASE_URL", "postgres://u:p@host"),
        ("DATABASE_URL", "nonsense"),
        ("REDIS_URL", "redis://host"),
        ("REDIS_URL", "nonsense"),
        ("DATABASE_URL", "postgres://u:p@host/d?no_such_option=1"),
        ("DATABASE_URL", "postgres://u:p%zz@host/d"),
        ("DATABASE_URL", "postgres://u:p@ss@host/d"),
        ("REDIS_URL", "redis://u:p@host:6379/0?no_such_option=1"),
        ("REDIS_URL", "redis://u:p@host:port/0"),
        ("CELERY_BROKER_URL", "foo"),
        ("CELERY_BROKER_URL", "redis://u:p@host/1?socket_timeout=1"),
        ("CELERY_BROKER_URL", "rediss://u:p@host/1?ssl_cert_reqs=perhaps"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(name, value):
    result = start(COMPLETE | {name: value})
    assert result.stderr.splitlines()[-1].startswith(
        f"django.core.exceptions.ImproperlyConfigured: {name}: "
    )
    assert "u:p@" not in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "url", ["postgres:///d?host=/run/postgresql", "postgresql://u:p@h:5432/d?sslmode=require"]
)
def test_addresses_of_postgresql_may_have_options(url):
    assert start(COMPLETE | {"DATABASE_URL": url}).returncode == 0


def printed(environment: dict[str, str], *values: str) -> list[str]:
    code = f"from twitter import settings as s; print({', '.join(values)}, sep='\\n')"
    return start(COMPLETE | environment, code).stdout.splitlines()


def test_options_of_the_databases_address_are_kept_beside_ours():
    hosts = "postgres://u:p%40x@one:1,two:2,three:3/d?target_session_attrs=read-write"
    own = "&connect_timeout=2&options=-c%20work_mem%3D8MB"
    default = "s.DATABASES['default']"
    host, port, password, *options = printed(
        {"DATABASE_URL": hosts + own},
        *(f"{default}['{name}']" for name in ("HOST", "PORT", "PASSWORD")),
        f"*sorted({default}['OPTIONS'].items())",
    )
    assert (host, port, password) == ("one,two,three", "1,2,3", "p@x")
    assert options == [
        "('connect_timeout', '2')",
        "('keepalives_count', 2)",
        "('keepalives_idle', 5)",
        "('keepalives_interval', 5)",
        "('options', '-c lock_timeout=5s -c work_mem=8MB')",
        "('target_session_attrs', 'read-write')",
        "('tcp_user_timeout', 15000)",
    ]


@pytest.mark.parametrize(
    ("redis", "broker"),
    [
        ("redis://:p@h:6379/0", "redis://:p@h:6379/1"),
        ("redis://:p@h:6379/3?socket_timeout=2", "redis://:p@h:6379/1"),
        ("rediss://:p@h:6379/0", "rediss://:p@h:6379/1?ssl_cert_reqs=required"),
        (
            "rediss://h/0?socket_timeout=2&ssl_ca_certs=/ca.pem",
            "rediss://h/1?ssl_ca_certs=%2Fca.pem&ssl_cert_reqs=required",
        ),
        (
            "rediss://h/0?ssl_cert_reqs=none",
            "rediss://h/1?ssl_cert_reqs=none",
        ),
    ],
)
def test_the_broker_is_the_same_redis_with_its_certificates(redis, broker):
    assert printed({"REDIS_URL": redis}, "s.REDIS_URL", "s.CELERY_BROKER_URL") == [redis, broker]


def test_the_certificate_of_a_broker_is_checked_unless_it_says_otherwise():
    for url in ("rediss://h/1", "rediss://h/1?ssl_ca_certs=/ca.pem"):
        [broker] = printed({"CELERY_BROKER_URL": url}, "s.CELERY_BROKER_URL")
        assert broker.startswith(url)
        assert broker.endswith("ssl_cert_reqs=required")


@pytest.mark.parametrize("name", ["WEB_WORKERS", "WEB_THREADS", "PORT", "LOG_LEVEL"])
def test_the_web_server_refuses_by_name_too(name):
    read = "import runpy; runpy.run_path('config/gunicorn.conf.py')"
    assert start({}, read).returncode == 0
    for value in ("0", "abc", "-1"):
        assert f"ImproperlyConfigured: {name}: " in start({name: value}, read).stderr


@pytest.mark.parametrize(("given", "level"), [("warning", 30), ("WARNING", 30), ("", 20)])
def test_web_servers_take_a_level_as_the_settings_take_it(given, level):
    use = (
        "import logging.config; from twitter.base import serving;"
        "from twitter.base.observe import access; access.begin();"
        "logging.config.dictConfig(serving.logging('x'));"
        "print(logging.getLogger('x').level, access.logger.level)"
    )
    begun = start({"LOG_LEVEL": given, "WEB_ACCESS_LOG": "-"}, use)
    assert begun.stdout == f"{level} {level}\n", begun.stderr


def manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    kept = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["check", "relay", "status"])
def test_a_command_tells_a_wrong_setting_in_one_sentence(command):
    result = manage(COMPLETE | {"LOG_LEVEL": "loud"}, command)
    assert result.returncode == 1
    assert result.stderr == "manage.py: LOG_LEVEL: info, debug, warning, error or critical.\n"
    traced = manage(COMPLETE | {"LOG_LEVEL": "loud"}, command, "--traceback")
    assert "Traceback" in traced.stderr


def test_a_command_without_postgresql_or_its_tables_says_so_in_one_sentence():
    away = COMPLETE | {"DATABASE_URL": "postgres://u:p@127.0.0.1:1/d"}
    result = manage(away, "changepassword", "ann")
    assert result.returncode == 1
    assert result.stderr.startswith("manage.py: PostgreSQL: connection failed")
    assert "Traceback" not in result.stderr
    empty = os.environ["DATABASE_URL"].rpartition("/")[0] + "/template1"
    result = manage(COMPLETE | {"DATABASE_URL": empty}, "changepassword", "ann")
    assert result.stderr == (
        "manage.py: The database lacks a table: run `manage.py migrate` first.\n"
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RATE_LIMIT_READS_PER_USR", "RATE_LIMIT_READS_PER_USER"),
        ("RATE_LIMIT_EXPORTS", "RATE_LIMIT_EXPORTS_PER_USER"),
        ("TRUSTED_HOP", "TRUSTED_HOPS"),
        ("WEB_WORKER", "WEB_WORKERS"),
    ],
)
def test_a_name_that_is_misspelt_is_told_at_the_start(name, meant):
    result = manage(COMPLETE | {name: "1"}, "check")
    assert result.returncode == 0
    assert f"{name}: no variable of this service; is {meant} meant?" in result.stdout


@pytest.mark.parametrize("name", ["HOME", "PORTAL", "REDIS_TLS_URL", "WEB_CONCURRENCY", "HOSTS"])
def test_the_names_of_others_are_none_of_our_business(name):
    assert "no variable" not in manage(COMPLETE | {name: "1"}, "check").stdout


def test_host_names_may_have_blanks_between_them():
    result = start(COMPLETE | {"ALLOWED_HOSTS": "a.example, .b.example,[::1],*"})
    assert result.stdout == "['a.example', '.b.example', '[::1]', '*'] True\n"


@pytest.mark.parametrize(
    ("given", "seconds"), [({}, 86_400), ({"HSTS_SECONDS": "31536000"}, 31536000)]
)
def test_hsts_is_a_day_unless_set_and_speaks_for_this_host_only(given, seconds):
    code = (
        "import django; from django.conf import settings as s; django.setup(); "
        "print(s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD)"
    )
    named = {"DJANGO_SETTINGS_MODULE": "twitter.settings"}
    assert start(COMPLETE | given | named, code).stdout == f"{seconds} False False\n"


@pytest.mark.parametrize(
    "origins",
    ["https://app.example/", "app.example", "https://a.example,*", "https://A.example", "null"],
)
def test_an_origin_that_is_none_is_refused(origins):
    assert (
        "CORS_ALLOWED_ORIGINS: origins such as"
        in start(COMPLETE | {"CORS_ALLOWED_ORIGINS": origins}).stderr
    )


@pytest.mark.parametrize("origins", ["", "*", "https://app.example:8443,http://[::1]:3000"])
def test_origins_that_are_some_are_taken(origins):
    assert start(COMPLETE | {"CORS_ALLOWED_ORIGINS": origins}).returncode == 0

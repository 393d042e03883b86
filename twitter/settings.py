"""The one settings module, driven by the environment (table in docs/configuration.md).

Production is the default, and starts only with its secrets. `TWITTER_ENV=development`, as `make
run` and the tests set it, lets plain http on this machine in; it brings no secret of its own.
"""

import re
import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError
from redis.retry import Retry

from twitter.base import serving
from twitter.base.data import servers
from twitter.base.environment import Env, choice, hosts, log_level, number, required, switch
from twitter.frontpage import DESCRIPTION, TAGS

env = Env()

PRODUCTION = choice("TWITTER_ENV", "production", "development") == "production"

# --- secrets and hosts ---------------------------------------------------------------------------
SECRET_KEY = required("SECRET_KEY")
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("SECRET_KEY: 32 random characters or more.")
# kid -> secret. The first signs, all verify: a new key is put in front, the old one stays a while.
# docs/keys.md has the steps.
_pairs = [pair.partition(":")[::2] for pair in required("JWT_SIGNING_KEYS").split(",")]
JWT_SIGNING_KEYS = dict(_pairs)
if any(not kid or len(secret) < 32 for kid, secret in _pairs):
    raise ImproperlyConfigured(
        "JWT_SIGNING_KEYS: each entry is kid:secret, with a secret of at least 32 characters."
    )
if len(JWT_SIGNING_KEYS) < len(_pairs):
    raise ImproperlyConfigured("JWT_SIGNING_KEYS: two keys have the same kid.")
DEBUG = False
ALLOWED_HOSTS = hosts(
    "ALLOWED_HOSTS",
    required("ALLOWED_HOSTS")
    if PRODUCTION
    else env.str("ALLOWED_HOSTS", "") or "localhost,127.0.0.1,[::1]",
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# --- the admin -----------------------------------------------------------------------------------
ADMIN_PATH = env.str("ADMIN_PATH", "admin/")
if not re.fullmatch(r"(?!(api|auth|static|timeline|tweet)/)([A-Za-z0-9_-]+/)+", ADMIN_PATH):
    raise ImproperlyConfigured(
        "ADMIN_PATH: one or more of A-Z, a-z, 0-9, _ and -, then /, such as office/, perhaps "
        "several times; the first is none of api, auth, static, timeline and tweet."
    )
# When set, there is nothing but the admin on this host, and no admin on another.
ADMIN_HOST = env.str("ADMIN_HOST", "").lower()
if ADMIN_HOST and not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", ADMIN_HOST):
    raise ImproperlyConfigured(
        "ADMIN_HOST: a host name such as admin.example.com, without scheme, port and path."
    )
if ADMIN_HOST:
    ALLOWED_HOSTS = [*ALLOWED_HOSTS, ADMIN_HOST]

# --- pages of other origins ----------------------------------------------------------------------
# Origins whose scripts may use the API (never the admin), by the library django-cors-headers. The
# API has no cookies, so a page gets no more than any other client that has a token.
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_ALLOW_ALL_ORIGINS = CORS_ALLOWED_ORIGINS == ["*"]
if not CORS_ALLOW_ALL_ORIGINS and not all(
    re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]+)?|https?://\[[0-9a-f:]+\](:[0-9]+)?", origin)
    for origin in CORS_ALLOWED_ORIGINS
):
    raise ImproperlyConfigured(
        "CORS_ALLOWED_ORIGINS: origins such as https://app.example.com, in lower case and without "
        "a path, with commas between them; or * alone, for any."
    )
CORS_ALLOW_METHODS = ["DELETE", "GET", "HEAD", "PATCH", "POST"]
CORS_ALLOW_HEADERS = ["authorization", "content-type", "idempotency-key", "if-none-match"]
CORS_EXPOSE_HEADERS = [
    *("ETag", "Link", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id")
]

# --- the rules of the product --------------------------------------------------------------------
HOME_SIZE = 400
HOME_TTL_SECONDS = number("HOME_TTL_SECONDS", 14 * 86_400)
# Tweets of authors with more followers are not fanned out: they are merged when a follower reads.
FANOUT_MAX_FOLLOWERS = number("FANOUT_MAX_FOLLOWERS", 100_000)
FOLLOWING_MAX = number("FOLLOWING_MAX", 5_000)
ACCESS_TOKEN_SECONDS = number("ACCESS_TOKEN_SECONDS", 15 * 60)
REFRESH_TOKEN_SECONDS = number("REFRESH_TOKEN_SECONDS", 30 * 86_400)
MAX_BODY_BYTES = number("MAX_BODY_BYTES", 64 * 1024)


# --- rate limits ---------------------------------------------------------------------------------
def rate(name: str, default: str) -> tuple[int, int] | None:
    """Return a variable's `requests/seconds` as numbers; None for `off`."""
    text = env.str(name, default)
    quota, _, seconds = text.partition("/")
    if text == "off":
        return None
    if not (quota.isdecimal() and seconds.isdecimal() and int(quota) and int(seconds)):
        raise ImproperlyConfigured(f"{name}: requests/seconds, such as 300/60, or off.")
    return int(quota), int(seconds)


# Kind of request -> whose are counted together -> (requests, seconds).
RATE_LIMITS: dict[str, dict[str, tuple[int, int] | None]] = {
    "reads": {
        "user": rate("RATE_LIMIT_READS_PER_USER", "1200/60"),
        "token": rate("RATE_LIMIT_READS_PER_TOKEN", "900/60"),
        "address": rate("RATE_LIMIT_READS_PER_ADDRESS", "6000/60"),
    },
    "writes": {
        "user": rate("RATE_LIMIT_WRITES_PER_USER", "300/60"),
        "token": rate("RATE_LIMIT_WRITES_PER_TOKEN", "240/60"),
        "address": rate("RATE_LIMIT_WRITES_PER_ADDRESS", "1200/60"),
    },
    "log-ins": {
        "address": rate("RATE_LIMIT_LOG_INS_PER_ADDRESS", "60/300"),
        "account-and-address": rate("RATE_LIMIT_LOG_INS_PER_ACCOUNT_AND_ADDRESS", "10/900"),
        "account": rate("RATE_LIMIT_LOG_INS_PER_ACCOUNT", "100/3600"),
    },
    "admin-log-ins": {
        "address": rate("RATE_LIMIT_ADMIN_LOG_INS_PER_ADDRESS", "20/300"),
        "account-and-address": rate("RATE_LIMIT_ADMIN_LOG_INS_PER_ACCOUNT_AND_ADDRESS", "5/900"),
        "account": rate("RATE_LIMIT_ADMIN_LOG_INS_PER_ACCOUNT", "30/3600"),
    },
    "password-checks": {"token": rate("RATE_LIMIT_PASSWORD_CHECKS_PER_TOKEN", "10/900")},
    "sign-ups": {"address": rate("RATE_LIMIT_SIGN_UPS_PER_ADDRESS", "30/3600")},
    "email-changes": {"user": rate("RATE_LIMIT_EMAIL_CHANGES_PER_USER", "10/3600")},
    "exports": {
        "user": rate("RATE_LIMIT_EXPORTS_PER_USER", "10/3600"),
        "address": rate("RATE_LIMIT_EXPORTS_PER_ADDRESS", "60/3600"),
    },
}
# Proxies in front that add the client's address to the end of X-Forwarded-For.
TRUSTED_HOPS = number("TRUSTED_HOPS", 0, least=0)
BEHIND_TLS_PROXY = switch("BEHIND_TLS_PROXY")
if BEHIND_TLS_PROXY and "TRUSTED_HOPS" not in env:
    raise ImproperlyConfigured("Behind a proxy, set TRUSTED_HOPS, or all clients look like one.")

# --- apps and requests ---------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "twitter.base.data.postgresql",
    "twitter.outbox",
    "accounts",
    "tweets",
    "timelines",
    "twitter.privacy",
    "twitter.operations",
]
MIDDLEWARE = [
    "twitter.base.http.middleware.Told",
    # These four come first, so that refusals by the others have their headers as well.
    "twitter.base.http.headers.SecurityHeaders",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "twitter.base.http.headers.CrossOrigin",
    "twitter.base.http.middleware.bounded_body",
    "twitter.base.http.middleware.in_time",
    "twitter.base.http.middleware.admin_apart",
    "twitter.base.http.middleware.options",
    "tweets.posts.opening.post_opened",
    "accounts.sessions.limits.rate_limits",
    "twitter.base.http.middleware.StaticFiles",
    "twitter.base.http.middleware.Session",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "twitter.base.http.middleware.Authentication",
    "twitter.base.http.middleware.Messages",
]
ROOT_URLCONF = "twitter.urls"
WSGI_APPLICATION = "twitter.wsgi.application"
APPEND_SLASH = False  # twitter/urls.py says for which pages a missing one is added
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "/static/"
# An image collects static files into STATIC_ROOT; without, they are served from where they are.
STATIC_ROOT = env.str("STATIC_ROOT", "") or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
WHITENOISE_ALLOW_ALL_ORIGINS = False
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

# --- PostgreSQL, Redis, Celery -------------------------------------------------------------------
DATABASES: dict[str, Any] = {
    "default": {
        **servers.postgresql("DATABASE_URL", required("DATABASE_URL")),
        "ENGINE": "twitter.base.data.postgresql",
        "CONN_MAX_AGE": number("DB_CONN_MAX_AGE", 600, least=0),
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = servers.redis("REDIS_URL", required("REDIS_URL"))
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 1,
            "CONNECTION_POOL_KWARGS": {
                "max_connections": 100,
                # After a failover a connection may lead to what is a replica by now.
                "retry": Retry(NoBackoff(), 1, supported_errors=(ReadOnlyError,)),
            },
        },
    },
}

CELERY_BROKER_URL = servers.broker(
    "CELERY_BROKER_URL", env.str("CELERY_BROKER_URL", ""), redis_url=REDIS_URL
)
BROKER_IS_REDIS = CELERY_BROKER_URL.startswith("redis")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "default"
# Deliveries to homes wait for nothing else, and nothing else waits for them. Clearing away after
# deletions and suspensions may take hours, which does no harm: readers see none of it.
CELERY_TASK_ROUTES = {
    "accounts.tasks.purge_*": {"queue": "removals"},
    "tweets.tasks.purge_*": {"queue": "removals"},
    "timelines.tasks.remove_*": {"queue": "removals"},
    "timelines.tasks.drop_homes_*": {"queue": "removals"},
    "timelines.tasks.drop_account": {"queue": "removals"},
    "timelines.tasks.leave_homes": {"queue": "removals"},
    "timelines.tasks.forget_*": {"queue": "removals"},
    "timelines.tasks.*": {"queue": "fan_out"},
    # Queues take turns, so a long one does not make the worker look dead.
    "twitter.outbox.tasks.heartbeat": {"queue": "heartbeat"},
}
# A task that runs longer is ended, so that it does not hold up others; then it is tried again.
CELERY_TASK_TIME_LIMIT = number("TASK_SECONDS", 120)
# After so long, a request begins no further statement; the one that runs then has a bound of its
# own. So long, then, may a request write.
REQUEST_SECONDS = 20
LONGEST_REQUEST_SECONDS = REQUEST_SECONDS + serving.STATEMENT_SECONDS
CELERY_TASK_SOFT_TIME_LIMIT = CELERY_TASK_TIME_LIMIT * 3 // 4
CELERY_WORKER_CONCURRENCY = number("WORKER_PROCESSES", 2)
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_WORKER_CONSUMER = "twitter.celery:Consumer"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    # A task ends within CELERY_TASK_TIME_LIMIT, so what is unacknowledged for longer was lost.
    {"visibility_timeout": CELERY_TASK_TIME_LIMIT * 5 // 2}
    if BROKER_IS_REDIS
    # RabbitMQ knows by itself what was lost. What it did not take, it says only if it is asked.
    else {"confirm_publish": True}
)
# A network that is gone without a word is noticed after a minute. This is for RabbitMQ only. The
# relay sends no heartbeats, but it sends messages more often.
CELERY_BROKER_HEARTBEAT = 30
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A broker whose memory is full says no to the worker too, which would end instead of trying again.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
# Celery closes the database connection after each task, or after so many, broken or not. So never:
# `twitter/celery.py` looks at it before each task, as Django does before each request.
CELERY_DB_REUSE_MAX = sys.maxsize

OUTBOX_EVENTS = "twitter.events"
# The first attempt may be one in a set, of which not all are done: so at least two.
OUTBOX_MAX_ATTEMPTS = number("OUTBOX_MAX_ATTEMPTS", 20, least=2)
# A delivery that is not settled by then is sent again, in case the broker or a worker lost it; the
# wait doubles with every send, up to 64 times, so that a long queue is not flooded with repeats.
OUTBOX_RESEND_SECONDS = number("OUTBOX_RESEND_SECONDS", 60)

# --- the API -------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.sessions.authentication.BearerToken"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["twitter.base.http.parsers.BoundedJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "twitter.base.http.parsers.AlwaysJSON",
    "DEFAULT_SCHEMA_CLASS": "twitter.base.http.schema.ApiSchema",
    "EXCEPTION_HANDLER": "twitter.base.http.errors.handle",
    "DEFAULT_METADATA_CLASS": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "twitter",
    "DESCRIPTION": DESCRIPTION,
    "TAGS": TAGS,
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "SORT_OPERATIONS": False,  # within a group they come as in the urls.py
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "HealthState": "twitter.base.http.health.STATES",
        "PostgresState": "twitter.base.http.health.POSTGRES_STATES",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "twitter.base.http.schema.share",
    ],
}

# --- people --------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.Account"
# A username is unique whatever the case, by a constraint on lower(username), which it cannot see.
SILENCED_SYSTEM_CHECKS = ["auth.E003", "security.W005", "security.W021"]
PASSWORD_HASHERS = ["accounts.sessions.hashing.BoundedArgon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
] + [{"NAME": "accounts.validators.MaximumLengthValidator"}]

# --- mail ----------------------------------------------------------------------------------------
# Without, nothing is sent.
EMAIL_URL = env.str("EMAIL_URL", "") or "dummymail://"
vars().update(servers.mail("EMAIL_URL", EMAIL_URL))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", "")
if EMAIL_URL.startswith("smtp") and "@" not in DEFAULT_FROM_EMAIL:
    raise ImproperlyConfigured("EMAIL_FROM: the address that mails come from.")

# --- security ------------------------------------------------------------------------------------
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = PRODUCTION
CSRF_COOKIE_HTTPONLY = True
# Sessions of the admin. Browsers take a __Host- cookie from this very host only, and over TLS
# (RFC 6265bis, section 4.1.3): a neighbour's subdomain cannot put one in its place.
SESSION_COOKIE_NAME = "__Host-admin" if PRODUCTION else "admin"
CSRF_COOKIE_NAME = "__Host-csrf" if PRODUCTION else "csrf"
SESSION_COOKIE_AGE = number("ADMIN_SESSION_SECONDS", 8 * 3600)
# Browsers remember it, and there is no way to take it back before it ends. So it is short at first,
# and never speaks for other host names (SILENCED_SYSTEM_CHECKS: W005 and W021 ask for that).
HSTS_SECONDS = number("HSTS_SECONDS", 86_400, least=0)
SECURE_HSTS_SECONDS = HSTS_SECONDS if PRODUCTION else 0
SECURE_REDIRECT_EXEMPT = [r"^(auth|tweet|timeline)/(healthz|helthz)$"]
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"

LOG_LEVEL = log_level()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "twitter.base.observe.logging.JSONFormatter"}},
    "filters": {
        "unavailable": {"()": "twitter.base.observe.logging.UnavailableIsAWarning"},
        "once a second": {"()": "twitter.base.observe.logging.OnceASecond"},
    },
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "json",
        }
    },
    "root": {"handlers": ["stdout"], "level": LOG_LEVEL},
    # 4xx answers are the client's business, not a warning.
    "loggers": {
        "django.request": {"level": "ERROR", "filters": ["unavailable"]},
        "django.security": {"level": "CRITICAL"},
        # One read would say ten times over that Redis is away.
        "twitter.base.http.limits": {"filters": ["once a second"]},
        "twitter.base.data.redis": {"filters": ["once a second"]},
        # Two lines for each of a thousand tasks a second say nothing.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}

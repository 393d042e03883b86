"""Settings of the baselines. The environment is that of the service."""

import os
from typing import Any

from twitter import settings as service

NAME = os.environ["BENCH_BASELINE"]
BODY_LENGTH = int(os.environ["BENCH_BODY_LENGTH"])

SECRET_KEY = service.SECRET_KEY
JWT_SIGNING_KEYS = service.JWT_SIGNING_KEYS
ACCESS_TOKEN_SECONDS = service.ACCESS_TOKEN_SECONDS
LONGEST_REQUEST_SECONDS = service.LONGEST_REQUEST_SECONDS
ALLOWED_HOSTS = service.ALLOWED_HOSTS
TIME_ZONE = service.TIME_ZONE
USE_TZ = True
DEBUG = False
ROOT_URLCONF = f"tests.bench.baselines.{NAME}"
AUTH_USER_MODEL = service.AUTH_USER_MODEL
DEFAULT_AUTO_FIELD = service.DEFAULT_AUTO_FIELD
SILENCED_SYSTEM_CHECKS = service.SILENCED_SYSTEM_CHECKS

INSTALLED_APPS: list[str] = [] if NAME == "bare" else service.INSTALLED_APPS
# What `django-admin startproject` writes.
MIDDLEWARE: list[str] = (
    [
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ]
    if NAME == "plain"
    else []
)
DATABASES: dict[str, Any] = {
    "default": {
        **service.DATABASES["default"],
        "CONN_MAX_AGE": None,  # kept for ever
        "CONN_HEALTH_CHECKS": False,
    }
}
if NAME == "best_sql":  # prepared at the first use, planned once
    DATABASES["default"]["OPTIONS"] = {
        "server_side_binding": True,
        "prepare_threshold": 0,
        "options": "-c plan_cache_mode=force_generic_plan",
    }
REST_FRAMEWORK = {"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]}
LOGGING_CONFIG = None

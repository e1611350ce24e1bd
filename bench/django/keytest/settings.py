"""As little Django as a keytest needs: no sessions, no middleware, connections to Postgres that stay open."""

import os

SECRET_KEY = "signs nothing here"  # Django wants one.
ALLOWED_HOSTS = ["127.0.0.1"]
DEBUG = False
USE_TZ = True
ROOT_URLCONF = "keytest.web"
INSTALLED_APPS = ["rest_framework", "rest_framework_api_key", "keytest"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],  # libpq's other variables are read by libpq
        "CONN_MAX_AGE": None,
    }
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

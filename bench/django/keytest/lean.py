"""As little Django as a keytest needs: no sessions, no middleware, connections to Postgres that stay open."""

from keytest.settings import *  # noqa: F403

INSTALLED_APPS = ["rest_framework", "rest_framework_api_key", "keytest"]
MIDDLEWARE = []
DATABASES["default"]["CONN_MAX_AGE"] = None  # noqa: F405
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

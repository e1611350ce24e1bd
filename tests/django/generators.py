"""Keys of generators that are not the default, made by a real Django in a schema of the database that libpq's variables name.

    generators.py SCHEMA

Prints a line NAME<tab>KEY for each key, and leaves these tables as Django makes them: venue_key, with keys of many
shapes; venue_nameless, whose model has no name; and rest_framework_api_key_apikey of version 1.0, without a key.
"""

import base64
import os
import secrets
import sys
import uuid

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection

(schema,) = sys.argv[1:]
settings.configure(
    INSTALLED_APPS=["rest_framework_api_key"],
    API_KEY_CUSTOM_HEADER="HTTP_X_API_KEY",
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PGDATABASE"],
            "OPTIONS": {"options": f"-c search_path={schema}"},
        }
    },
)
django.setup()

from django.db import models  # noqa: E402: Django's models want it set up
from django.test import RequestFactory  # noqa: E402
from rest_framework_api_key.crypto import KeyGenerator  # noqa: E402
from rest_framework_api_key.models import AbstractAPIKey, BaseAPIKeyManager  # noqa: E402
from rest_framework_api_key.permissions import BaseHasAPIKey  # noqa: E402


class KeyManager(BaseAPIKeyManager):
    key_generator = KeyGenerator()


class Key(AbstractAPIKey):
    objects = KeyManager()
    is_paid = models.BooleanField(default=True)

    class Meta(AbstractAPIKey.Meta):
        app_label = "venue"


class Nameless(AbstractAPIKey):
    name = None

    class Meta(AbstractAPIKey.Meta):
        app_label = "venue"

    def __str__(self):
        return self.prefix


class HasKey(BaseHasAPIKey):
    model = Key


with connection.schema_editor() as editor:
    editor.create_model(Key)
    editor.create_model(Nameless)
call_command("migrate", "rest_framework_api_key", "0001", verbosity=0)


def generator(prefix_length=8, secret_key_length=32, **made):
    one = KeyGenerator(prefix_length, secret_key_length)
    for name, function in made.items():
        setattr(one, name, function)
    return one


for label, key_generator in [
    ("default", generator()),
    ("long", generator(secret_key_length=64)),
    ("longest", generator(secret_key_length=128)),
    ("short", generator(secret_key_length=12)),
    ("short prefix", generator(prefix_length=3)),
    ("shortest", generator(prefix_length=1, secret_key_length=1)),
    ("urlsafe", generator(get_secret_key=lambda: secrets.token_urlsafe(24))),
    ("urlsafe prefix", generator(get_prefix=lambda: "-_" + secrets.token_hex(3))),
    ("uuid", generator(get_secret_key=lambda: str(uuid.uuid4()))),
    ("base64", generator(get_secret_key=lambda: base64.b64encode(b"\xfb\xef\xff" + secrets.token_bytes(22)).decode())),
    ("dotted", generator(get_secret_key=lambda: "v1." + secrets.token_hex(16))),
]:
    Key.objects.key_generator = key_generator
    row, key = Key.objects.create_key(name=label)
    # As holders send it where Django has a header of its own, with somebody else's Authorization
    # beside it.
    request = RequestFactory().get("/", HTTP_X_API_KEY=key, HTTP_AUTHORIZATION="Bearer of.a.jwt")
    assert HasKey().has_permission(request, None), label
    print(f"{label}\t{key}")
_, key = Nameless.objects.create_key()
print(f"nameless\t{key}")

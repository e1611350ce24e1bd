"""A Django project in one file: makes keys in a schema of the database that libpq's variables name.

    keys.py SCHEMA [HASHER]     HASHER is a class of django.contrib.auth.hashers, to be Django's default

Prints a line NAME<tab>KEY for each key, and leaves Django's tables as Django makes them.
"""

import os
import sys
from datetime import timedelta

import django
from django.conf import settings
from django.core.management import call_command

schema, *hashers = sys.argv[1:]
settings.configure(
    INSTALLED_APPS=["rest_framework_api_key"],
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PGDATABASE"],
            "OPTIONS": {"options": f"-c search_path={schema}"},
        }
    },
    **({"PASSWORD_HASHERS": [f"django.contrib.auth.hashers.{name}" for name in hashers]} if hashers else {}),
)
django.setup()
call_command("migrate", verbosity=0)

from django.utils import timezone  # noqa: E402: Django's models want it set up
from rest_framework_api_key.models import APIKey  # noqa: E402

yesterday = timezone.now() - timedelta(days=1)
for label, options in [
    ("till", {"name": "till"}),
    ("a year", {"name": "a year", "expiry_date": timezone.now() + timedelta(days=365)}),
    ("the same", {"name": "till"}),
    ("revoked", {"name": "revoked", "revoked": True}),
    ("expired", {"name": "expired", "expiry_date": yesterday}),
]:
    row, key = APIKey.objects.create_key(**options)
    # What Django itself says about its key; an is_valid of 3.x would also renew the hash of a row
    # of 2.x.
    assert APIKey.objects.is_valid(key) == (label not in ("revoked", "expired")), label
    print(f"{label}\t{key}")

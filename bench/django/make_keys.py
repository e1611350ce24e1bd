"""make_keys.py COUNT: makes the tables, and prints so many new keys. DJANGO_SETTINGS_MODULE is set."""

import sys

import django
from django.core.management import call_command

django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)

from keytest.models import Key  # noqa: E402: Django's models want it set up

for number in range(int(sys.argv[1])):
    print(Key.objects.create_key(name=f"key {number}", auth="event", ip="127.0.0.1")[1])

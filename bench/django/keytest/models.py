from django.db import models
from rest_framework_api_key.models import AbstractAPIKey


class Key(AbstractAPIKey):
    """A key that knows what it may do, and from where."""

    auth = models.JSONField()
    ip = models.GenericIPAddressField()

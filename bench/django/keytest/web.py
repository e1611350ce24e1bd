"""The keytest, with a permission class and a look at the key as the package's guide shows them."""

from django.core.wsgi import get_wsgi_application
from django.urls import path

application = get_wsgi_application()

from rest_framework.response import Response  # noqa: E402: Django wants to be set up first
from rest_framework.views import APIView  # noqa: E402
from rest_framework_api_key.permissions import BaseHasAPIKey  # noqa: E402

from keytest.models import Key  # noqa: E402


class HasKey(BaseHasAPIKey):
    model = Key


class Keytest(APIView):
    permission_classes = [HasKey]

    def get(self, request):
        key = Key.objects.get_from_key(request.META["HTTP_AUTHORIZATION"].split()[1])
        address = request.META["REMOTE_ADDR"]
        return Response({"auth": key.auth, "ip_request": address, "ip_valid": address == key.ip})


urlpatterns = [path("api/user/keytest/", Keytest.as_view())]

"""Calls each method of the client `generated`, and prints what came, as JSON. Arguments: URL, key."""

import importlib
import json
import pkgutil
import sys

import generated.api
from generated import AuthenticatedClient

url, key = sys.argv[1:]


def client(key):
    return AuthenticatedClient(base_url=url, token=key, prefix="Api-Key", raise_on_unexpected_status=True)


def outcome(method, key, **arguments):
    answer = method.sync_detailed(client=client(key), **arguments)
    parsed = answer.parsed.to_dict() if answer.parsed is not None else None
    return {"status": answer.status_code, "parsed": parsed}


modules = pkgutil.walk_packages(generated.api.__path__, "generated.api.")
methods = {
    module.name.rpartition(".")[2]: importlib.import_module(module.name)
    for module in modules
    if not module.ispkg
}
outcomes = {name: outcome(method, key) for name, method in methods.items()}
outcomes["test_key with another"] = outcome(methods["test_key"], key[::-1])
outcomes["authorize for event"] = outcome(methods["authorize"], key, scope="event")
print(json.dumps(outcomes))

"""A service that reads paths as Python's WSGI does, and then folds all that a service may fold. It says what it was asked for."""

import re
import unicodedata
from urllib.parse import unquote
from wsgiref.simple_server import WSGIRequestHandler, make_server


def spellings(path):
    """The path as it came, decoded once, and folded as far as it goes."""
    yield path
    text = path.encode("latin-1").decode("utf-8", "replace")
    for _ in range(4):
        text = unquote(text)
    yield text
    text = unicodedata.normalize("NFKC", text).partition("\0")[0].replace("\\", "/")
    segments = []
    for segment in re.split("[/?#]", text):
        segment = segment.partition(";")[0].strip()
        if segment == "..":
            segments = segments[:-1]
        elif segment := segment.rstrip(". "):
            segments.append(segment)
    yield "/" + "/".join(segments)


def service(environ, start_response):
    paths = [path.casefold() for path in spellings(environ["PATH_INFO"])]
    resource = "event" if any(re.match("/events(/|$)", path) for path in paths) else "other"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [resource.encode()]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


server = make_server("127.0.0.1", 0, service, handler_class=Quiet)
print(server.server_port, flush=True)
server.serve_forever()

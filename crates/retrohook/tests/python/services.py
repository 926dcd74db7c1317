"""Services that route as the ones do that people run. Each has two resources, `PUT /settings` and `PUT /profiles/<id>`; the answer of what
was executed has a header `X-Executed`.

Argument: which one. Prints the port. `flask` and `django` are the real ones; the others are the rule alone by which such a service comes
from a request's target to a path.
"""
import http.server
import posixpath
import re
import socketserver
import sys
import wsgiref.simple_server
from urllib.parse import unquote

EXECUTED = "X-Executed"


def flask():
    from flask import Flask

    app = Flask("services")

    @app.put("/settings")
    def settings():
        return "", {EXECUTED: "settings"}

    @app.put("/profiles/<id>")
    def profile(id):
        return "", {EXECUTED: "profile"}

    return app


def django():
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path, re_path

    def executed(what):
        return lambda request, **words: HttpResponse(headers={EXECUTED: what})

    class Urls:
        # One of each kind.
        urlpatterns = [re_path(r"^settings$", executed("settings")), path("profiles/<str:id>", executed("profile"))]

    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=Urls, SECRET_KEY="none")
    return get_wsgi_application()


def plainly(path):
    return path


def go(path):
    """`URL.Path` is decoded, and routers like chi and gorilla match on it."""
    return unquote(path)


def php(path):
    """A front controller: `trim(rawurldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)), '/')`."""
    return "/" + unquote(path).strip("/")


def files(path):
    """Decoded, backslashes are slashes, and then as the file system of POSIX reads it."""
    return posixpath.normpath("/" + unquote(path).replace("\\", "/").lstrip("/"))


def windows(path):
    """Files of Windows: dots and spaces at the end are ignored, and case is."""
    return "/".join(segment.rstrip(". ") for segment in files(path).split("/")).lower()


def remove_dot_segments(path):
    """RFC 3986, 5.2.4: an empty segment is one that `..` takes away."""
    kept = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            kept[-1:] = []
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


def rfc3986(path):
    """Decoded before dot segments are removed."""
    return remove_dot_segments(unquote(path))


def servlet(path):
    """Tomcat: parameters are cut, then it decodes, merges slashes and removes dot segments."""
    bare = "/".join(segment.split(";")[0] for segment in path.split("/"))
    return posixpath.normpath("/" + re.sub("/+", "/", unquote(bare)).lstrip("/"))


def twice(path):
    """A decoding proxy before a decoding server."""
    return files(unquote(path))


READINGS = [plainly, go, php, files, windows, rfc3986, servlet, twice]


def handler(match):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            executed = match(self.path.split("?")[0])
            self.send_response(200 if executed else 404)
            if executed:
                self.send_header(EXECUTED, executed)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words):
            pass

    return Handler


def by_path(reading):
    def match(target):
        path = reading(target)
        if path == "/settings":
            return "settings"
        return "profile" if re.fullmatch("/profiles/[^/]+", path) else None

    return match


def express(target):
    """Express 5 with its default settings, as it was seen to route, and as its router and path-to-regexp 8 are written: a path is
    matched as it stands in the target (nothing is decoded, no dots are resolved, no slashes are merged), in any case (`case sensitive
    routing` is off), with or without one slash at the end (`strict routing` is off). A parameter is what has no `/`, and is decoded
    only then: `%2F` is a character of it. (One that cannot be decoded gets 400; here it is executed, which asks more of the rules.)"""
    if re.fullmatch("/settings/?", target, re.IGNORECASE):
        return "settings"
    return "profile" if re.fullmatch("/profiles/[^/]+?/?", target, re.IGNORECASE) else None


class Threads(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *words):
        pass


name = sys.argv[1]
if name in ("flask", "django"):
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, globals()[name](), Threads, Quiet)
else:
    match = express if name == "express" else by_path({reading.__name__: reading for reading in READINGS}[name])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(match))
print(server.server_address[1], flush=True)
server.serve_forever()

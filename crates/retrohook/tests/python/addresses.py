"""Services that tell their clients where to go on, made with what people use: Flask and Django make absolute addresses from the request's Host.

Argument: which one. Prints the port. `PUT /profiles/<id>?in=<header>` answers with the absolute address of `/profiles/next` in this header: in
`Location` as a redirect. With `own=1` the service takes its own address from its settings and not from the request. `GET /login` redirects to
`/profiles/next` by its path alone, and `PUT /cookie` sets two cookies, one of them for `/` and for the host that was asked.
"""
import socketserver
import sys
import wsgiref.simple_server

PORT = None


def told(header, address):
    """Status and value."""
    return {
        "location": (303, address),
        "content-location": (200, address),
        "link": (200, f'</style.css>; rel=preload, <{address}>; rel="next"'),
        "refresh": (200, f"5; url={address}"),
    }[header]


def flask():
    from flask import Flask, make_response, redirect, request, url_for

    app = Flask("addresses")

    def address():
        if request.args.get("own"):
            return f"http://127.0.0.1:{PORT}/profiles/next"
        return url_for("profile", id="next", _external=True)

    @app.route("/profiles/<id>", methods=["GET", "PUT"])
    def profile(id):
        header = request.args.get("in")
        if header is None:
            return id
        status, value = told(header, address())
        if header == "location":
            return redirect(value, status)
        return id, status, {header: value}

    @app.get("/login")
    def login():
        return redirect("/profiles/next")

    @app.put("/cookie")
    def cookie():
        answer = make_response("")
        answer.set_cookie("session", "1", path="/", domain=request.host.split(":")[0], httponly=True)
        answer.set_cookie("plain", "2", path="/profiles")
        return answer

    return app


def django():
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse, HttpResponseRedirect
    from django.urls import path

    def profile(request, id):
        header = request.GET.get("in")
        if header is None:
            return HttpResponse(id)
        own = f"http://127.0.0.1:{PORT}/profiles/next"
        status, value = told(header, own if request.GET.get("own") else request.build_absolute_uri("/profiles/next"))
        return HttpResponse(id, status=status, headers={header: value})

    def login(request):
        return HttpResponseRedirect("/profiles/next")

    def cookie(request):
        answer = HttpResponse()
        answer.set_cookie("session", "1", path="/", domain=request.get_host().split(":")[0], httponly=True)
        answer.set_cookie("plain", "2", path="/profiles")
        return answer

    class Urls:
        urlpatterns = [path("profiles/<str:id>", profile), path("login", login), path("cookie", cookie)]

    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=Urls, SECRET_KEY="none")
    return get_wsgi_application()


class Threads(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *words):
        pass


server = wsgiref.simple_server.make_server("127.0.0.1", 0, globals()[sys.argv[1]](), Threads, Quiet)
PORT = server.server_address[1]
print(PORT, flush=True)
server.serve_forever()

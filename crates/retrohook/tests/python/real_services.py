"""Real services, each as people run it, with a record of its own.

Arguments: which one, and an empty folder. Prints the port. Writes a line `METHOD target status` into the folder's file `record` for each request
that the service has executed, before anything of the answer is sent.
"""
import json
import os
import pathlib
import subprocess
import sys
import threading

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import get_input_stream

NAME, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])


def git():
    """git's own server of the smart protocol, `git http-backend`, as Apache and nginx run it: by CGI."""
    root = FOLDER / "repositories"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", root / "work.git"], check=True)
    subprocess.run(["git", "-C", root / "work.git", "config", "http.receivepack", "true"], check=True)

    def app(environ, start_response):
        passed = {name: value for name, value in environ.items() if name.startswith("HTTP_") or name in CGI}
        passed |= {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1"}
        body = get_input_stream(environ).read()
        # A body in chunks has no length: it ends where the input does.
        if not passed.get("CONTENT_LENGTH"):
            passed.pop("CONTENT_LENGTH", None)
        done = subprocess.run(["git", "http-backend"], input=body, env=passed, capture_output=True, check=True)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        start_response(status, [(name, value) for name, value in headers if name != "Status"])
        return [body]

    return app


CGI = {"REQUEST_METHOD", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH", "PATH_INFO", "REMOTE_ADDR", "SERVER_PROTOCOL"}


def s3():
    """moto's S3. It checks each signature, and a signature covers the path, the query and the Host that the client sent."""
    from moto import settings
    from moto.iam.models import iam_backends
    from moto.server import DomainDispatcherApplication, create_backend_app

    users = iam_backends["123456789012"]["aws"]
    users.create_user("us-east-1", "writer")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    users.put_user_policy("writer", "all", json.dumps(everything))
    key = users.create_access_key("writer")
    (FOLDER / "key").write_text(json.dumps([key.access_key_id, key.secret_access_key]))
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    return DomainDispatcherApplication(create_backend_app)


def django_admin():
    """Django's admin site. It refuses a form that comes from another origin than the one in Host."""
    import django
    from django.conf import settings

    parts = ["admin", "auth", "contenttypes", "sessions", "messages"]
    kept = ["sessions.middleware.Session", "middleware.common.Common", "middleware.csrf.CsrfView"]
    kept = ["django.contrib." + kept[0], "django." + kept[1], "django." + kept[2]]
    kept += ["django.contrib.auth.middleware.Authentication", "django.contrib.messages.middleware.Message"]
    processors = ["template.context_processors.request", "contrib.auth.context_processors.auth"]
    processors.append("contrib.messages.context_processors.messages")
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "database"}},
        INSTALLED_APPS=["django.contrib." + part for part in parts],
        MIDDLEWARE=[name + "Middleware" for name in kept],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF="urls",
        SECRET_KEY="none",
        STATIC_URL="/static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django." + name for name in processors]},
            }
        ],
    )
    django.setup()
    from django.contrib import admin
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from django.urls import path

    urls = type(sys)("urls")
    urls.urlpatterns = [path("admin/", admin.site.urls)]
    sys.modules["urls"] = urls
    call_command("migrate", verbosity=0)
    User.objects.create_superuser("ada", password="lovelace")
    return get_wsgi_application()


def pypiserver():
    """A server of Python packages that takes uploads from everybody."""
    import pypiserver

    (FOLDER / "packages").mkdir()
    return pypiserver.app(roots=[FOLDER / "packages"], authenticate=[], password_file=".", disable_fallback=True)


def radicale():
    """A server of calendars, by WebDAV and CalDAV."""
    from radicale import app, config

    settings = config.load()
    (FOLDER / "users").write_text("ada:lovelace\n")
    users = {"type": "htpasswd", "htpasswd_filename": str(FOLDER / "users"), "htpasswd_encryption": "plain"}
    folder = {"filesystem_folder": str(FOLDER / "collections")}
    settings.update({"auth": users, "storage": folder, "logging": {"level": "critical"}}, "test")
    return app.Application(settings)


def recorded(app):
    """The same, with its record."""
    lock = threading.Lock()

    def recording(environ, start_response):
        def start(status, headers, *words):
            line = f"{environ['REQUEST_METHOD']} {environ['the target']} {status.split()[0]}\n"
            with lock, open(FOLDER / "record", "a") as file:
                file.write(line)
            return start_response(status, headers, *words)

        return app(environ, start)

    return recording


class Handler(WSGIRequestHandler):
    def make_environ(self):
        return super().make_environ() | {"the target": self.path_as_sent}

    def parse_request(self):
        # `path` has one slash at the front where the client sent several.
        self.path_as_sent = self.raw_requestline.decode("latin-1").split()[1] if self.raw_requestline.strip() else ""
        return super().parse_request()

    def log(self, *words):
        pass


server = make_server("127.0.0.1", 0, recorded(globals()[NAME]()), threaded=True, request_handler=Handler)
print(server.server_port, flush=True)
server.serve_forever()

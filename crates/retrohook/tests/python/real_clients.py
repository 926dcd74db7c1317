"""The services' own clients, and what came of what they did.

Arguments: which service, the folder of that service, and the address by which the client reaches it. Prints a JSON document: what the client got,
where every address that a service named as the client's is replaced by `{service}`. A service that names another address is seen by that.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

NAME, FOLDER, ADDRESS = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
BASE = "http://" + ADDRESS


def git():
    """Pushes what fits into one request and what git sends in chunks after a probe, moves and deletes branches, clones and fetches."""
    with tempfile.TemporaryDirectory() as home:
        fixed = {"GIT_CONFIG_NOSYSTEM": "1", "HOME": home, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        for who in ["AUTHOR", "COMMITTER"]:
            fixed |= {f"GIT_{who}_NAME": "Ada", f"GIT_{who}_EMAIL": "ada@example.com"}
            fixed |= {f"GIT_{who}_DATE": "2026-01-01T00:00:00Z"}
        said = []

        def run(*words, at="work"):
            command = ["git", "-C", f"{home}/{at}", *words] if at else ["git", *words]
            done = subprocess.run(command, env=os.environ | fixed, capture_output=True, text=True)
            # The progress of a transfer has rates and sizes.
            kept = [line for line in done.stderr.splitlines() if re.match("fatal|error| [ *!+-] |remote: error", line)]
            said.append([words[0], done.returncode, done.stdout, kept])

        def commit(name, content):
            pathlib.Path(home, "work", name).write_bytes(content)
            run("add", name)
            run("commit", "--quiet", "-m", name)

        run("init", "--quiet", "-b", "main", f"{home}/work", at=None)
        run("remote", "add", "origin", BASE + "/work.git")
        commit("small", b"small\n")
        run("push", "origin", "main")
        # Random, so that it stays large; the same each time, so that its name does.
        import random

        commit("large", random.Random(7).randbytes(3_000_000))
        run("push", "origin", "main", "main:refs/heads/feature/a-b")
        run("tag", "v1")
        run("push", "origin", "v1")
        run("push", "origin", ":feature/a-b")
        run("push", "origin", "main~1:main")
        run("push", "--force", "origin", "main~1:main")
        run("push", "origin", "main")
        run("clone", "--quiet", BASE + "/work.git", f"{home}/other", at=None)
        run("rev-parse", "HEAD", at="other")
        run("ls-remote", "origin")
        run("clone", "--quiet", BASE + "/none.git", f"{home}/none", at=None)
    return said


def s3():
    """Keys of all spellings, bodies of all kinds, copies and deletions, each request signed; and one with the wrong key."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    key, secret = json.loads((FOLDER / "key").read_text())

    def client(secret):
        return boto3.client(
            "s3",
            endpoint_url=BASE,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )

    said, ours = [], client(secret)

    def call(name, client=ours, **words):
        try:
            answer = getattr(client, name)(**words)
        except ClientError as error:
            said.append([name, error.response["Error"]["Code"]])
            return None
        answer["Status"] = answer.pop("ResponseMetadata")["HTTPStatusCode"]
        if "Body" in answer:
            answer["Body"] = answer["Body"].read().decode()
        kept = ["Status", "Body", "ETag", "ContentLength", "Location", "Deleted", "KeyCount"]
        said.append([name, {name: answer[name] for name in kept if name in answer}])
        return answer

    call("create_bucket", Bucket="things")
    keys = ["plain", "x//y", "./dot/../z", "a b+c%2F", "ü/é", "q?a=b&c#d", "a%zz", "//front", "end/"]
    for name in keys:
        call("put_object", Bucket="things", Key=name, Body=f"this is {name}".encode())
    for name in keys:
        call("get_object", Bucket="things", Key=name)
    call("put_object", client(secret[::-1]), Bucket="things", Key="forged", Body=b"no")
    call("copy_object", Bucket="things", Key="copy", CopySource={"Bucket": "things", "Key": "x//y"})
    upload = call("create_multipart_upload", Bucket="things", Key="large")
    parts = []
    for number, body in enumerate([b"a" * (5 << 20), b"the end"], 1):
        words = {"Bucket": "things", "Key": "large", "UploadId": upload["UploadId"], "PartNumber": number}
        parts.append({"PartNumber": number, "ETag": call("upload_part", Body=body, **words)["ETag"]})
    words = {"UploadId": upload["UploadId"], "MultipartUpload": {"Parts": parts}}
    call("complete_multipart_upload", Bucket="things", Key="large", **words)
    call("head_object", Bucket="things", Key="large")
    call("delete_object", Bucket="things", Key="./dot/../z")
    call("delete_objects", Bucket="things", Delete={"Objects": [{"Key": "x//y"}, {"Key": "plain"}]})
    call("get_object", Bucket="things", Key="x//y")
    said.append([one["Key"] for one in ours.list_objects_v2(Bucket="things")["Contents"]])
    return said


def django_admin():
    """A browser: it says from which origin a form comes, and follows redirects."""
    import requests

    said, browser = [], requests.Session()

    def note(answer):
        where = [step.headers["Location"] for step in answer.history] + [answer.url]
        title = re.search("<title>(.*?)</title>", answer.text, re.DOTALL)
        words = re.findall('<li class="(?:success|warning|error)">(.*?)</li>', answer.text, re.DOTALL)
        said.append([[step.status_code for step in [*answer.history, answer]], where, title and title[1].split(), words])

    def fill(path, **fields):
        page = browser.get(BASE + path)
        note(page)
        token = re.search('name="csrfmiddlewaretoken" value="(.*?)"', page.text)
        fields["csrfmiddlewaretoken"] = token[1] if token else ""
        note(browser.post(page.url, data=fields, headers={"Origin": BASE, "Referer": page.url}))

    fill("/admin/auth/group/", username="ada", password="wrong")
    fill("/admin/auth/group/", username="ada", password="lovelace")
    fill("/admin/auth/group/add/", name="readers")
    fill("/admin/auth/group/add/", name="readers")
    fill("/admin/auth/group/add/", name="writers", _continue="1")
    fill("/admin/auth/group/2/change/", name="authors", _addanother="1")
    fill("/admin/auth/group/1/delete/", post="yes")
    note(browser.post(BASE + "/admin/auth/group/add/", data={"name": "forged"}, headers={"Origin": "http://evil.example"}))
    note(browser.get(BASE + "/admin/auth/group"))
    note(browser.get(BASE + "/admin/auth/group/9/change/"))
    return said


def pypiserver():
    """twine uploads packages, one of them twice; pip installs one, and does not find another."""
    import zipfile

    said = []
    with tempfile.TemporaryDirectory() as home:

        def run(*words):
            fixed = {"HOME": home, "PIP_CONFIG_FILE": os.devnull, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
            command = [sys.executable, "-m", *words]
            done = subprocess.run(command, env=os.environ | fixed, capture_output=True, text=True)
            kept = [line for line in (done.stdout + done.stderr).splitlines() if re.match("ERROR|Successfully|.*Conflict", line)]
            said.append([words[0], done.returncode, kept])

        def wheel(version):
            path = f"{home}/thing-{version}-py3-none-any.whl"
            info = f"thing-{version}.dist-info"
            # The same bytes each time, and more than a server reads at once.
            fixed = {
                "thing.py": f"VERSION = '{version}'\n#" + "x" * 300_000,
                f"{info}/METADATA": f"Metadata-Version: 2.1\nName: thing\nVersion: {version}\n",
                f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                f"{info}/RECORD": f"thing.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
            }
            with zipfile.ZipFile(path, "w") as file:
                for name, text in fixed.items():
                    file.writestr(zipfile.ZipInfo(name), text)
            return path

        for version in ["1.0", "1.1", "1.0"]:
            words = ["--repository-url", BASE + "/", "-u", "ada", "-p", "any", "--disable-progress-bar", "--non-interactive"]
            run("twine", "upload", *words, wheel(version))
        pip = ["pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--index-url", BASE + "/simple/"]
        for wanted in ["thing==1.0", "thing", "other"]:
            run(*pip, "--target", f"{home}/{wanted}", wanted)
        said.append(sorted(str(path.relative_to(home)) for path in pathlib.Path(home).glob("*/thing*")))
    return said


def radicale():
    """A CalDAV client makes a calendar, and appointments in it; moves, finds and deletes them."""
    import caldav

    said = []
    client = caldav.DAVClient(url=BASE + "/ada/", username="ada", password="lovelace")
    home = client.principal()
    said.append(str(home.url))
    calendar = home.make_calendar(name="Work", cal_id="work")
    said.append(str(calendar.url))

    def event(uid, day):
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//us//us//EN", "BEGIN:VEVENT", f"UID:{uid}"]
        lines += ["DTSTAMP:20260101T000000Z", f"DTSTART:202601{day}T100000Z", f"DTEND:202601{day}T110000Z"]
        return "\r\n".join([*lines, f"SUMMARY:On the {day}", "END:VEVENT", "END:VCALENDAR", ""])

    for uid, day in [("one", "10"), ("two words", "11"), ("three", "12")]:
        said.append(str(calendar.save_event(event(uid, day)).url))
    calendar.save_event(event("one", "20"))
    found = calendar.event_by_uid("three")
    said.append(str(found.url))
    found.delete()
    said.append(sorted([str(one.url), one.data.replace("\r", "").split("\n")] for one in calendar.events()))
    said.append([str(one.url) for one in home.calendars()])
    calendar.delete()
    said.append([str(one.url) for one in home.calendars()])
    return said


print(json.dumps(globals()[NAME](), indent=1, ensure_ascii=False).replace(ADDRESS, "{service}"))

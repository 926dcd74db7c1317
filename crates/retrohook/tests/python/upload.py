"""Uploads with Python's http.client, which sends all of a request before it looks at the answer.

Input: {"port": N, "size": bytes, "uploads": [{"method": ..., "target": ..., "chunked": bool}, ...]}. Prints a JSON list: of each upload
the status, the Connection header and the body of its answer, or the error.
"""
import http.client
import json
import sys


def pieces(size):
    piece = b"x" * 65536
    for _ in range(size // len(piece)):
        yield piece


def upload(port, size, method, target, chunked):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        if chunked:
            connection.request(method, target, pieces(size), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        else:
            connection.request(method, target, b"x" * size)
        answer = connection.getresponse()
        return [answer.status, answer.getheader("connection"), answer.read().decode()]
    except OSError as error:
        return repr(error)
    finally:
        connection.close()


asked = json.load(sys.stdin)
print(json.dumps([upload(asked["port"], asked["size"], **one) for one in asked["uploads"]]))

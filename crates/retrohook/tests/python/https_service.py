"""A service over TLS on OpenSSL, which sends its tickets when it likes.

Argument: a file with its certificate and its key. Prints the port, then a line of JSON for each request.
"""
import http.server
import json
import ssl
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        said = {
            "connection": self.client_address[1],
            "host": self.headers["host"],
            "length": len(body),
            "resumed": self.connection.session_reused,
            "tls": self.connection.version(),
        }
        print(json.dumps(said), flush=True)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *words):
        pass


class Service(http.server.ThreadingHTTPServer):
    request_queue_size = 128


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server = Service(("127.0.0.1", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()

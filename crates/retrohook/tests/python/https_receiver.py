"""A webhook over TLS whose certificate is of a CA made a moment ago.

Argument: where to write the CA's certificate. Prints the port, then a line of JSON for each request.
"""
import datetime
import http.server
import json
import ssl
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(name, key, issuer, issuer_key, extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(hours=1),
        not_valid_after=now + datetime.timedelta(hours=1),
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem(key):
    encryption = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
ca = certificate(name("A CA"), ca_key, name("A CA"), ca_key, [(x509.BasicConstraints(ca=True, path_length=0), True)])
names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
leaf = certificate(name("localhost"), key, ca.subject, ca_key, [(names, False)])
with open(sys.argv[1], "wb") as file:
    file.write(ca.public_bytes(serialization.Encoding.PEM))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        print(json.dumps({"headers": headers, "body": body.decode(), "tls": self.connection.version()}), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *words):
        pass


class Receiver(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        # Whoever refuses the certificate says so on its own side.
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
with tempfile.NamedTemporaryFile() as file:
    file.write(leaf.public_bytes(serialization.Encoding.PEM) + pem(key))
    file.flush()
    context.load_cert_chain(file.name)
server = Receiver(("127.0.0.1", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()

"""An OTLP destination that behaves as a test tells it to: a real HTTP/1.1 server, with TLS if asked, that answers by a
script. For the ways in which destinations fail, which a Collector would not show on demand."""

import collections
import gzip
import json
import socketserver
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp import PROTOBUF, flatten, ids_of
from waiting import DEADLINE_S, Port, until

# An answer that is none: the connection is closed instead.
DROP = "drop"


class Answer:
    """raw: bytes that are written instead of a response, before the connection is closed."""

    def __init__(self, status=200, body=b"", headers=(), content_type=PROTOBUF, raw=None):
        self.status, self.body, self.headers, self.content_type = status, body, dict(headers), content_type
        self.raw = raw


class Request:
    def __init__(self, handler, body):
        self.at = time.monotonic()
        self.path, self.headers = handler.path, handler.headers
        self.connection = handler.server.connections
        self.raw_bytes = len(body)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.body = body
        if self.headers.get("Content-Type") == PROTOBUF:
            self.ids = ids_of(ExportTraceServiceRequest.FromString(body))
        else:
            self.ids = {key for key, _ in flatten(json.loads(body))}
        self.answer = None  # not yet

    @property
    def status(self):
        """What was answered; None for a request without an answer."""
        return self.answer.status if isinstance(self.answer, Answer) and self.answer.raw is None else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = DEADLINE_S * 2

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        destination = self.server.destination
        request = Request(self, body)
        answer = destination.decide(request)
        if answer is DROP:
            self.close_connection = True
            return
        if answer.raw is not None:
            self.close_connection = True
            self.wfile.write(answer.raw)
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.headers.get("Connection") == "close":
            self.close_connection = True
        self.end_headers()
        self.wfile.write(answer.body)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    connections = 0

    def get_request(self):
        connection, address = super().get_request()
        self.connections += 1
        return connection, address

    def finish_request(self, request, client_address):
        tls = self.destination.tls
        if tls:
            request.settimeout(DEADLINE_S)
            try:
                request = tls.wrap_socket(request, server_side=True)
            except (OSError, ssl.SSLError) as error:
                self.destination.handshake_errors.append(str(error))
                return
            self.destination.handshakes["resumed" if request.session_reused else "full"] += 1
            self.destination.tls_versions.append(request.version())
        try:
            super().finish_request(request, client_address)
        finally:
            if tls:
                request.close()

    def handle_error(self, request, client_address):
        pass  # a client that went away in the middle; what it means is for the test to see


class Destination:
    """script: called with each Request, returns an Answer (or DROP). Default: success."""

    def __init__(self, script=None, tls=None):
        self.script = script or (lambda request: Answer())
        self.tls = tls
        self.port = Port()
        self.requests = []
        self.handshakes = collections.Counter()
        self.handshake_errors = []
        self.tls_versions = []
        self.lock = threading.Lock()
        self.server = None

    def start(self):
        self.server = Server(("127.0.0.1", self.port.number), Handler)
        self.server.destination = self
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.server = None

    def close(self):
        if self.server:
            self.stop()
        self.port.close()

    def decide(self, request):
        with self.lock:
            request.number = len(self.requests)
            self.requests.append(request)
        request.answer = self.script(request)  # may block: others go on
        return request.answer

    def taken(self):
        """The ids in requests that were answered with success, in order, with repetitions."""
        with self.lock:
            requests = list(self.requests)
        return [key for request in requests if request.status == 200 for key in sorted(request.ids)]

    def tries(self, ids):
        """The requests that held one of these ids."""
        with self.lock:
            return [request for request in self.requests if request.ids & set(ids)]

    def wait_for(self, ids, deadline_s=DEADLINE_S):
        ids = set(ids)
        until(lambda: ids <= set(self.taken()),
              lambda: f"{len(ids - set(self.taken()))} of {len(ids)} spans at the destination are missing; answers: "
                      f"{[request.status for request in self.requests][-50:]}", deadline_s)

    def wait_requests(self, count):
        until(lambda: len(self.requests) >= count, lambda: f"{count} requests at the destination, of {len(self.requests)}")

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port.number}"


def server_tls(certificate, client_ca=None, lowest=None, highest=None):
    """A TLS context for a Destination."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if lowest:
        context.minimum_version = lowest
    if highest:
        context.maximum_version = highest
    return context

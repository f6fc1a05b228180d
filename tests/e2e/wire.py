"""HTTP by hand over a raw socket, for what no well-behaved client would send, and a helper for ordinary requests."""

import gzip
import select
import socket
import ssl

from waiting import DEADLINE_S


class Response:
    def __init__(self, version, status, headers, body):
        self.version, self.status, self.headers, self.body = version, status, headers, body

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


class Closed(Exception):
    """The peer closed the connection before a whole response had come."""


class Connection:
    def __init__(self, port, tls=None, name="localhost"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def try_send(self, data):
        """Sends; False if the peer has closed meanwhile."""
        try:
            self.socket.sendall(data)
            return True
        except (ConnectionError, ssl.SSLError):
            return False

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError) as error:
            raise Closed from error
        if not data:
            raise Closed
        self.received += data

    def _line(self):
        while b"\r\n" not in self.received:
            self._more()
        line, self.received = self.received.split(b"\r\n", 1)
        return line.decode("latin-1")

    def _exactly(self, count):
        while len(self.received) < count:
            self._more()
        data, self.received = self.received[:count], self.received[count:]
        return data

    def response(self, head=False):
        """Reads one response. 1xx responses are responses too. Fails with Closed if the peer closes before its end."""
        version, status, *_ = self._line().split(" ", 2)
        headers = {}
        while line := self._line():
            name, value = line.split(":", 1)
            assert name.lower() not in headers, f"header {name} twice"
            headers[name.lower()] = value.strip()
        body = b""
        if head or status.startswith("1") or status == "204":
            pass
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self._line().split(";")[0], 16):
                body += self._exactly(size)
                assert self._line() == ""
            while self._line():
                pass
        elif "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        else:
            raise AssertionError(f"a response without length: {status} {headers}")
        return Response(version, int(status), headers, body)

    def has_news(self):
        """True if there is something to read, or the end."""
        return bool(self.received or select.select([self.socket], [], [], 0)[0])

    def is_closed(self):
        """Waits until the peer closes; False if something comes instead."""
        try:
            self._more()
        except Closed:
            return True
        return False

    def reset(self):
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def close(self):
        self.socket.close()


def head(length=None, method="POST", path="/v1/traces", content_type="application/x-protobuf", version="1.1", **headers):
    """The head of a request; underscores in header names stand for hyphens."""
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def request(body=b"", **arguments):
    return head(len(body), **arguments) + body


def chunked(body, size, extension=b"", trailer=b""):
    chunks = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"


def post(port, body, content_type="application/x-protobuf", compress=False, tls=None, **headers):
    """One request on a connection of its own."""
    if compress:
        body, headers = gzip.compress(body), {**headers, "Content_Encoding": "gzip"}
    with Connection(port, tls) as connection:
        connection.send(request(body, content_type=content_type, **headers))
        return connection.response()

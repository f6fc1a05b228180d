#!/usr/bin/env python3
"""Hostile and ordinary traffic against one agent, and a look at its memory between them: it must come back to the
same floor each time.

usage: tests/soak/soak.py PROGRAM [MINUTES]
"""
import gzip
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROUND_S = 5.0  # of traffic, then a pause in which the agent gives back what it kept for the next requests
PAUSE_S = 4.0
SLACK_KIB = 1024  # by which the floor of the last quarter may lie above that of the second


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def protobuf(rng, spans, size):
    """A request of that many new spans, each with that many bytes of noise."""
    body = b""
    for _ in range(spans):
        pair = field(1, b"k") + field(2, field(7, rng.randbytes(size)))
        body += field(2, field(1, rng.randbytes(16)) + field(2, rng.randbytes(8)) + field(5, b"soak") + field(9, pair))
    return field(1, field(2, body))


def request(path, kind, body, extra=""):
    return (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
            ).encode() + body


def hostile(rng):
    """The bytes of one connection, and whether its sender stays to the end."""
    pb, js = "application/x-protobuf", "application/json"
    packed = "Content-Encoding: gzip\r\n"
    choice = rng.randrange(14)
    if choice == 0:
        return rng.randbytes(rng.randrange(1, 4000)), False
    if choice == 1:
        return b"\x16\x03\x01\x02\x00\x01" + rng.randbytes(500), True
    if choice == 2:
        return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + rng.randbytes(60), True
    if choice == 3:
        return request("/v1/metrics", pb, rng.randbytes(rng.randrange(100000))), True
    if choice == 4:
        return request("/v1/traces", js, b"[" * rng.randrange(1, 100000)), True
    if choice == 5:
        return request("/v1/traces", pb, gzip.compress(bytes(rng.randrange(1, 80) << 20), 1), packed), True
    if choice == 6:
        return request("/v1/traces", pb, rng.randbytes(rng.randrange(1, 2000000))), True
    if choice == 7:
        body = request("/v1/traces", pb, protobuf(rng, 50, 100))
        return body[:rng.randrange(1, len(body))], False
    if choice == 8:
        body = bytearray(protobuf(rng, 200, 50))
        for _ in range(rng.randrange(1, 20)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        return request("/v1/traces", pb, bytes(body)), True
    if choice == 9:
        chunks = b"".join(b"1;x=%d\r\na\r\n" % i for i in range(rng.randrange(5000)))
        return (b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n" + chunks), False
    if choice == 10:
        fields = "".join(f"x{i}: {'y' * rng.randrange(200)}\r\n" for i in range(rng.randrange(120)))
        return request("/v1/traces", js, b"{}", fields), True
    if choice == 11:
        text = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "x" * rng.randrange(100000)}]
                                                              * rng.randrange(1, 200)}]}]})
        return request("/v1/traces", js, text.encode()), True
    if choice == 12:
        return request("/v1/traces", pb, protobuf(rng, rng.randrange(1, 5000), 40)), True
    return request("/v1/traces", pb, protobuf(rng, 1, rng.randrange(1, 4 << 20))), True


def send(port, data, stay):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        try:
            peer.sendall(data)
            if stay:
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass
        except OSError:
            pass  # it was cut off, as it deserves


def anonymous_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"RssAnon:\s+(\d+)", status.read()).group(1))


def ready_port(agent):
    """Waits for the line that names the port, and leaves the rest of the log to a thread that throws it away."""
    for line in agent.stderr:
        found = re.search(rb"ready otlp_http=127\.0\.0\.1:(\d+)", line)
        if found:
            threading.Thread(target=agent.stderr.read, daemon=True).start()
            return int(found.group(1))
    sys.exit("soak: the agent did not start")


def main():
    program = sys.argv[1]
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    seed = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 31)
    rng = random.Random(seed)
    floors = []
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "soak.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write(f'data_dir: {folder}/data\nlog: {{ level: info }}\nstorage: {{ max_size: 128MiB }}\n'
                       'receivers: { otlp_http: { listen: "127.0.0.1:0", body_timeout: 2s } }\n')
        agent = subprocess.Popen([program, "run", "--config", config], stderr=subprocess.PIPE)
        try:
            port = ready_port(agent)
            end = time.monotonic() + minutes * 60
            while time.monotonic() < end:
                until = time.monotonic() + ROUND_S
                while time.monotonic() < until:
                    send(port, *hostile(rng))
                time.sleep(PAUSE_S)
                floors.append(anonymous_kib(agent.pid))
                print(f"round {len(floors)}: {floors[-1]} KiB", flush=True)
        finally:
            agent.terminate()
            agent.wait(timeout=60)
    early, late = floors[len(floors) // 4:len(floors) // 2], floors[-(len(floors) // 4 or 1):]
    print(f"seed {seed}: from {min(early or floors)} to {min(late)} KiB at rest, {max(floors)} at most")
    if agent.returncode != 0 or min(late) > min(early or floors) + SLACK_KIB:
        sys.exit(f"soak: failed, exit code {agent.returncode}")


if __name__ == "__main__":
    main()

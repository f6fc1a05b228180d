"""Destinations by name: name servers that are silent, and names that move. The agent has a hosts file and name servers of
its own, by mounts that only it sees."""

import threading

import pytest

from destination import Answer, Destination, Handler, Server
from test_delivery import send_some, wait_log

NAME = "good.example"
# Nobody listens there, and the C library does not notice: it waits until its time is up.
SILENT = "127.0.0.99"


@pytest.fixture
def names(tmp_path, unshare):
    """The hosts file, and the command prefix under which a program sees it."""
    hosts, servers = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text(f"127.0.0.1 {NAME}\n")
    servers.write_text(f"nameserver {SILENT}\n")
    script = 'mount --bind "$0" /etc/hosts; mount --bind "$1" /etc/resolv.conf; shift; exec "$@"'
    return hosts, [*unshare, "sh", "-ec", script, str(hosts), str(servers)]


def test_silent_name_servers_delay_no_other_destination_and_no_end(agent, destination, to, names):
    _, prefix = names
    # Each request needs a new connection.
    peer = destination(lambda request: Answer(headers={"Connection": "close"}))
    silent = [to(f"http://silent{i}.example:4318", f"silent{i}") for i in range(30)]
    good = to(f"http://{NAME}:{peer.port.number}", "good", timeout="3s")
    under_test = agent([*silent, good], start=False)
    under_test.start(prefix=prefix)
    for _ in range(5):
        peer.wait_for(send_some(under_test, 1))
    wait_log(under_test, "silent29:", "cannot resolve the name silent29.example")
    peer.wait_for(send_some(under_test, 1))
    under_test.stop()
    assert "good: cannot" not in under_test.log()


def test_a_name_that_moves_is_followed_although_the_old_address_answers(agent, destination, to, names):
    hosts, prefix = names
    old = destination(lambda request: Answer(503))
    new = Destination()
    under_test = agent([to(f"http://{NAME}:{old.port.number}", "moving")], start=False)
    under_test.start(prefix=prefix)
    ids = send_some(under_test, 3)
    wait_log(under_test, "moving:", "HTTP 503", "failure 4")
    new.server = Server(("127.0.0.2", old.port.number), Handler)
    new.server.destination = new
    threading.Thread(target=new.server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        hosts.write_text(f"127.0.0.2 {NAME}\n")
        new.wait_for(ids)
    finally:
        new.close()

"""Fixtures: the program under test, a real Collector, scripted destinations, certificates. Each gives a function that
makes as many as a test needs, and ends them with the test."""

import itertools
import os
import signal
from pathlib import Path

import pytest

import agent as agent_module
from agent import Agent
from certificates import Authority
from collector import Collector
from destination import Destination
from mounts import private_mounts


# Each program that a test starts: times are UTC, and no pager waits for a key on a terminal of a test.
os.environ.update(TZ="UTC0", UNTRACE_PAGER="")
# A background job may have been started with SIGINT ignored, and its children with it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart(session):
    if not Path(agent_module.PROGRAM).exists():
        pytest.exit(f"{agent_module.PROGRAM} is not there: run make first", returncode=2)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server_certificate(authority):
    return authority.sign("server")


def _close_all(things):
    errors = []
    for thing in reversed(things):
        try:
            thing.close()
        except AssertionError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _agent_factory(folder):
    numbers, agents = itertools.count(1), []

    def make(*arguments, start=True, **options):
        own = folder / f"agent{next(numbers)}"
        own.mkdir()
        made = Agent(own, *arguments, **options)
        agents.append(made)
        return made.start() if start else made
    return make, agents


@pytest.fixture
def agent(tmp_path):
    make, agents = _agent_factory(tmp_path)
    yield make
    _close_all(agents)


@pytest.fixture(scope="module")
def module_agent(tmp_path_factory):
    make, agents = _agent_factory(tmp_path_factory.mktemp("module"))
    yield make
    _close_all(agents)


@pytest.fixture
def collector(tmp_path, server_certificate):
    numbers, collectors = itertools.count(1), []

    def make(start=True, certificate=server_certificate, **options):
        folder = tmp_path / f"collector{next(numbers)}"
        folder.mkdir()
        made = Collector(folder, certificate, **options)
        collectors.append(made)
        return made.start() if start else made
    yield make
    _close_all(collectors)


def _destination_factory():
    destinations = []

    def make(*arguments, start=True, **options):
        made = Destination(*arguments, **options)
        destinations.append(made)
        return made.start() if start else made
    return make, destinations


@pytest.fixture
def destination():
    make, destinations = _destination_factory()
    yield make
    _close_all(destinations)


@pytest.fixture(scope="module")
def module_destination():
    make, destinations = _destination_factory()
    yield make
    _close_all(destinations)


@pytest.fixture(scope="session")
def unshare():
    return private_mounts() or pytest.skip("this user may not mount anything, not even for itself")


@pytest.fixture(scope="session")
def to():
    """The configuration of a destination; quick, so that tests need not wait. Arguments change or add keys."""
    def make(peer, name="peer", tls=None, **keys):
        config = {
            "name": name,
            "endpoint": peer if isinstance(peer, str) else peer.url,
            "batch": {"max_delay": "20ms"},
            "retry": {"initial": "50ms", "max": "200ms"},
            **keys,
        }
        if tls is not None:
            config["tls"] = tls
        return config
    return make

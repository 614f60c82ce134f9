"""What a stock client sees of each scripted fault, and what the router has done by then."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.operations.errors import TimeoutExpiredError
from ncclient.transport.errors import NCClientError, SSHError

from lab.faults import FaultScript
from lab.network import LabNetwork, running_lab
from lab.router.faults_point import Action, Fault
from lab.router.rpc_errors import RpcError
from lab.topology_file import load_topology
from tests.patience import PATIENCE_SECONDS, SHORT_DEADLINE_SECONDS

DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"
ROUTER = "pe-london"
GONE = (NCClientError, OSError)  # ncclient passes on what its socket says when it notices first
EDIT = """<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface><name>access0</name>
  <description>{}</description></interface></interfaces></config>"""


@pytest.fixture(scope="module")
def network() -> Iterator[LabNetwork]:
    with running_lab(load_topology(DEMO)) as running:
        yield running


@pytest.fixture
def faults(network: LabNetwork) -> Iterator[FaultScript]:
    yield network.faults
    network.faults.clear()


@pytest.fixture
def session(network: LabNetwork) -> Iterator[manager.Manager]:
    connected = connect(network)
    yield connected
    connected._session.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def connect_when_up(network: LabNetwork) -> manager.Manager:
    """A rebooting router refuses connections for a moment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return connect(network)
        except SSHError:
            if time.monotonic() > deadline:
                raise
            threading.Event().wait(0.05)


def connect(network: LabNetwork, timeout: float = PATIENCE_SECONDS) -> manager.Manager:
    router = network[ROUTER]
    return manager.connect(
        host="127.0.0.1",
        port=router.netconf_port,
        username=router.username,
        password=router.password,
        hostkey_b64=router.host_key.split()[1],
        allow_agent=False,
        look_for_keys=False,
        timeout=timeout,
    )


def description(network: LabNetwork) -> str | None:
    path = ".//{*}interface[{*}name='access0']/{*}description"
    return network[ROUTER].store.get("running").findtext(path)


def commit(session: manager.Manager, text: str) -> None:
    session.edit_config(EDIT.format(text), target="candidate")
    session.commit()


@pytest.mark.parametrize("phase,applied", [("before", False), ("after", True)])
def test_a_connection_closed_at_commit_leaves_it_done_or_not(
    network: LabNetwork, faults: FaultScript, session: manager.Manager, phase: str, applied: bool
) -> None:
    text = f"closed {phase}"
    faults.add(ROUTER, "commit", Fault.CLOSE, phase=phase)  # type: ignore[arg-type]  # one of the phases
    with pytest.raises(GONE):
        commit(session, text)
    assert (description(network) == text) is applied


@pytest.mark.parametrize(
    "fault,phase,applied",
    [(Fault.HANG, "before", False), (Fault.HANG, "after", True), (Fault.LOSE_REPLY, None, True)],
)
def test_a_reply_that_never_comes_leaves_the_commit_done_or_not(
    network: LabNetwork, faults: FaultScript, fault: Fault, phase: str | None, applied: bool
) -> None:
    text = f"silent {fault} {phase}"
    session = connect(network)
    session.timeout = SHORT_DEADLINE_SECONDS
    session.edit_config(EDIT.format(text), target="candidate")
    rule = faults.add(ROUTER, "commit", fault, phase=phase)  # type: ignore[arg-type]  # one of the phases
    with pytest.raises(TimeoutExpiredError):
        session.commit()
    assert session.connected
    wait_for(lambda: rule.fired > 0)
    assert (description(network) == text) is applied
    session._session.close()


def test_a_rejected_commit_changes_nothing_and_says_why(
    network: LabNetwork, faults: FaultScript, session: manager.Manager
) -> None:
    error = RpcError("resource-denied", "no memory left")
    faults.add(ROUTER, "commit", Action(Fault.REJECT, error=error))
    with pytest.raises(RPCError) as caught:
        commit(session, "rejected")
    assert (caught.value.tag, caught.value.message) == ("resource-denied", "no memory left")
    assert description(network) != "rejected"


def test_a_warning_comes_beside_the_change(network: LabNetwork, faults: FaultScript, session: manager.Manager) -> None:
    faults.add(ROUTER, "commit", Action(Fault.WARN, message="fan is loud"))
    session.edit_config(EDIT.format("warned"), target="candidate")
    reply = session.commit()
    assert reply.ok
    assert "<error-severity>warning</error-severity>" in reply.xml
    assert "fan is loud" in reply.xml
    assert description(network) == "warned"


def test_a_lock_can_be_held_by_a_session_that_is_not_there(faults: FaultScript, session: manager.Manager) -> None:
    faults.add(ROUTER, "lock", Action(Fault.LOCK_HELD, session_id=4711))
    with pytest.raises(RPCError) as caught:
        session.lock("candidate")
    assert caught.value.tag == "lock-denied"
    assert "4711" in caught.value.info
    with session.locked("candidate"):
        pass


def test_garbage_is_not_xml(faults: FaultScript, network: LabNetwork) -> None:
    session = connect(network)
    session.timeout = SHORT_DEADLINE_SECONDS
    faults.add(ROUTER, "get-config", Fault.GARBAGE)
    with pytest.raises((NCClientError, TimeoutExpiredError)):
        session.get_config("running")
    session._session.close()


def test_a_reboot_drops_every_session_and_undoes_an_unconfirmed_commit(
    network: LabNetwork, faults: FaultScript, session: manager.Manager
) -> None:
    commit(session, "confirmed")
    other = connect(network)
    session.edit_config(EDIT.format("tentative"), target="candidate")
    session.commit(confirmed=True, timeout="600", persist="tx")
    assert description(network) == "tentative"
    faults.add(ROUTER, "get-config", Fault.REBOOT)
    with pytest.raises(GONE):
        session.get_config("running")
    with pytest.raises(GONE):
        other.get_config("running")
    assert description(network) == "confirmed"
    with connect_when_up(network) as again:
        assert "confirmed" in again.get_config("running").data_xml


def test_a_delay_postpones_the_answer(faults: FaultScript, network: LabNetwork) -> None:
    session = connect(network)
    session.timeout = 0.5
    faults.add(ROUTER, "get-config", Action(Fault.DELAY, seconds=3.0))
    with pytest.raises(TimeoutExpiredError):
        session.get_config("running")
    session._session.close()


def test_only_the_chosen_occurrence_is_struck(faults: FaultScript, session: manager.Manager) -> None:
    faults.add(ROUTER, "get-config", Fault.REJECT, nth=3)
    session.get_config("running")
    session.get_config("running")
    with pytest.raises(RPCError):
        session.get_config("running")
    session.get_config("running")

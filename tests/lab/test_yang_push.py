"""YANG-Push (RFC 8639, 8641) of the lab's routers, on a real event loop."""

import asyncio

import pytest
from lxml import etree

from lab.router.rpc_errors import RpcError
from lab.router.xml import NC, parse
from lab.router.yang_push import PUSH, SUBSCRIBED, Push
from tests.patience import PATIENCE_SECONDS

IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
EVERYTHING = f'<interfaces xmlns="{IF}"/>'


class State:
    """Interfaces by name, and what was pushed of them."""

    def __init__(self) -> None:
        self.interfaces = {"a": "up", "b": "up"}
        self.told: list[etree._Element] = []
        self.push = Push(self.select, self.told.append)

    def select(self, _filter: etree._Element) -> etree._Element:
        entries = "".join(
            f"<interface><name>{name}</name><oper-status>{status}</oper-status></interface>"
            for name, status in self.interfaces.items()
        )
        return parse(f'<data xmlns="{NC}"><interfaces xmlns="{IF}">{entries}</interfaces></data>'.encode())

    def establish(self, trigger: str, datastore: str = "operational", chosen: str = EVERYTHING) -> bytes:
        return self.push.establish(
            parse(
                f'<establish-subscription xmlns="{SUBSCRIBED}" xmlns:yp="{PUSH}"><yp:datastore '
                f'xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores">ds:{datastore}</yp:datastore>'
                f"<yp:datastore-subtree-filter>{chosen}</yp:datastore-subtree-filter>{trigger}"
                "</establish-subscription>".encode()
            )
        )

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.told) < count:  # noqa: ASYNC110 - timers are what is tested
                await asyncio.sleep(0.005)


def periodic(hundredths: object = 5) -> str:
    return f"<yp:periodic><yp:period>{hundredths}</yp:period></yp:periodic>"


ON_CHANGE = "<yp:on-change><yp:dampening-period>5</yp:dampening-period></yp:on-change>"


def names(event: etree._Element) -> list[str]:
    return [found.text for found in event.iter(f"{{{IF}}}name")]


def kind(event: etree._Element) -> str:
    return etree.QName(event).localname


async def test_a_periodic_subscription_tells_everything_each_period() -> None:
    state = State()
    assert b">1</" in state.establish(periodic())
    await state.until(3)
    state.push.close()
    assert {kind(event) for event in state.told} == {"push-update"}
    assert all(names(event) == ["a", "b"] for event in state.told)
    assert state.told[0].findtext(f"{{{PUSH}}}id") == "1"


async def test_on_change_tells_all_at_first_and_then_only_what_is_otherwise() -> None:
    state = State()
    state.establish(ON_CHANGE)
    await state.until(1)
    state.interfaces["b"] = "down"
    await state.until(2)
    state.push.close()
    first, second = state.told
    assert (kind(first), names(first)) == ("push-update", ["a", "b"])
    assert (kind(second), names(second)) == ("push-change-update", ["b"])
    assert second.find(f".//{{{IF}}}oper-status").text == "down"


async def test_nothing_is_told_while_nothing_changes() -> None:
    state = State()
    state.establish(ON_CHANGE)
    state.establish(periodic())
    await state.until(6)
    state.push.close()
    assert sum(event.findtext(f"{{{PUSH}}}id") == "1" for event in state.told) == 1


async def test_a_deleted_subscription_tells_no_more() -> None:
    state = State()
    state.establish(periodic())
    state.establish(periodic())
    delete = f'<delete-subscription xmlns="{SUBSCRIBED}"><id>1</id></delete-subscription>'.encode()
    assert state.push.delete(parse(delete)) == b"<ok/>"
    await state.until(2)
    state.push.close()
    assert {event.findtext(f"{{{PUSH}}}id") for event in state.told} == {"2"}
    with pytest.raises(RpcError, match="no subscription 1"):
        state.push.delete(parse(delete))


@pytest.mark.parametrize(
    "trigger, datastore, chosen",
    [
        (periodic(), "running", EVERYTHING),
        (periodic(), "operational", ""),
        (periodic() + ON_CHANGE, "operational", EVERYTHING),
        ("", "operational", EVERYTHING),
        (periodic("often"), "operational", EVERYTHING),
        (periodic(1), "operational", EVERYTHING),
    ],
)
async def test_what_is_not_offered_is_refused(trigger: str, datastore: str, chosen: str) -> None:
    with pytest.raises(RpcError):
        State().establish(trigger, datastore, chosen)

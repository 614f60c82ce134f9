"""The RESTCONF server over real TLS connections: YANG Patch (RFC 8072), streams, faults, restarts, curl."""

import asyncio
import contextlib
import json
import shutil
import subprocess

import pytest
import requests

from lab.router.faults_point import Action, Fault
from lab.router.rpc_errors import failed
from tests.lab.probe_router import NS
from tests.lab.restconf_client import TOP, error_of, put_top, read_top
from tests.patience import PATIENCE_SECONDS, SHORT_DEADLINE_SECONDS

# YANG Patch


def patch(*edits):
    return {
        "ietf-yang-patch:yang-patch": {
            "patch-id": "p",
            "edit": [{"edit-id": str(number), **edit} for number, edit in enumerate(edits)],
        }
    }


PATCH_JSON = "application/yang-patch+json"


async def test_a_yang_patch_applies_its_edits_in_order(call):
    await put_top(call, hostname="x", rule=[{"zone": "a", "id": 1, "action": "deny"}])
    rule = {"lab-probe:rule": [{"zone": "b", "id": 2, "action": "permit"}]}
    body = patch(
        {"operation": "create", "target": "/entry=n%2F1", "value": {"lab-probe:entry": [{"name": "n/1"}]}},
        {"operation": "merge", "target": "/entry=n%2F1", "value": {"lab-probe:entry": [{"name": "n/1", "note": "m"}]}},
        {"operation": "insert", "target": "/rule=b,2", "where": "before", "point": "/rule=a,1", "value": rule},
        {"operation": "delete", "target": "/hostname"},
        {"operation": "remove", "target": "/hostname"},
        {"operation": "replace", "target": "/flag", "value": {"lab-probe:flag": True}},
    )
    reply = await call("PATCH", f"/{TOP}", body, kind=PATCH_JSON)
    assert reply.json() == {"ietf-yang-patch:yang-patch-status": {"patch-id": "p", "ok": [None]}}
    shown = await read_top(call)
    assert shown["entry"] == [{"name": "n/1", "note": "m"}]
    assert [rule["zone"] for rule in shown["rule"]] == ["b", "a"]
    assert shown["flag"] is True
    assert "hostname" not in shown
    move = patch({"operation": "move", "target": "/rule=b,2", "where": "last"})
    assert (await call("PATCH", f"/{TOP}", move, kind=PATCH_JSON)).status_code == 200
    assert (await read_top(call))["rule"] == [
        {"zone": "a", "id": 1, "action": "deny"},
        {"zone": "b", "id": 2, "action": "permit"},
    ]


async def test_a_yang_patch_takes_effect_as_a_whole_or_not_at_all(call, router):
    await put_top(call, hostname="x")
    before = router.store.serialised("running")
    body = patch(
        {"operation": "replace", "target": "/hostname", "value": {"lab-probe:hostname": "y"}},
        {"operation": "delete", "target": "/entry=none"},
    )
    reply = await call("PATCH", f"/{TOP}", body, kind=PATCH_JSON)
    assert reply.status_code == 409
    edit = reply.json()["ietf-yang-patch:yang-patch-status"]["edit-status"]["edit"][0]
    assert (edit["edit-id"], edit["errors"]["error"][0]["error-tag"]) == ("1", "data-missing")
    assert router.store.serialised("running") == before


async def test_a_yang_patch_whose_result_is_invalid_is_refused(call):
    body = patch({"operation": "merge", "target": "/chosen", "value": {"lab-probe:chosen": "nobody"}})
    reply = await call("PATCH", f"/{TOP}", body, kind=PATCH_JSON)
    assert reply.status_code == 409
    assert reply.json()["ietf-yang-patch:yang-patch-status"]["errors"]["error"]


async def test_a_yang_patch_in_xml_on_the_datastore(call):
    body = f"""<yang-patch xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-patch"><patch-id>x</patch-id>
    <edit><edit-id>e</edit-id><operation>create</operation><target>/lab-probe:top/entry=q</target>
    <value><entry xmlns="{NS}"><name>q</name></entry></value></edit></yang-patch>"""
    reply = await call("PATCH", "", body, kind="application/yang-patch+xml")
    assert reply.status_code == 200, reply.text
    assert b"<ok/>" in reply.content
    assert (await read_top(call))["entry"] == [{"name": "q"}]


@pytest.mark.parametrize(
    "edit",
    [
        {"operation": "explode", "target": "/hostname"},
        {"operation": "delete", "target": "/hostname", "value": {"lab-probe:hostname": "x"}},
        {"operation": "merge", "target": "/hostname"},
        {"operation": "merge", "value": {"lab-probe:hostname": "x"}},
        {"operation": "move", "target": "/tag=a", "where": "before"},
    ],
)
async def test_a_malformed_yang_patch_is_refused(call, edit):
    assert (await call("PATCH", f"/{TOP}", patch(edit), kind=PATCH_JSON)).status_code == 400


# Monitoring, streams, faults


async def test_restconf_state_names_capabilities_and_streams(call):
    state = (await call("GET", "/ietf-restconf-monitoring:restconf-state")).json()
    state = state["ietf-restconf-monitoring:restconf-state"]
    assert "urn:ietf:params:restconf:capability:yang-patch:1.0" in state["capabilities"]["capability"]
    assert {access["encoding"] for access in state["streams"]["stream"][0]["access"]} == {"json", "xml"}


async def test_the_yang_library_lists_the_modules(call):
    library = (await call("GET", "/ietf-yang-library:yang-library")).json()["ietf-yang-library:yang-library"]
    assert "lab-probe" in {module["name"] for module in library["module-set"][0]["module"]}
    everything = (await call("GET", "")).json()["ietf-restconf:data"]
    assert {"lab-probe:top", "ietf-yang-library:yang-library"} <= set(everything)


@pytest.mark.parametrize("encoding", ["json", "xml"])
async def test_a_change_is_told_on_the_event_stream(call, encoding):
    url = f"{call.base}/restconf/streams/NETCONF/{encoding}"

    def listen(ready):
        with requests.get(
            url, auth=("admin", "admin"), verify=call.ca_file, stream=True, timeout=PATIENCE_SECONDS
        ) as reply:
            lines = reply.iter_lines()
            assert next(lines) == b": listening"
            ready()
            return next(line for line in lines if line.startswith(b"data:")).decode()

    loop, listening = asyncio.get_running_loop(), asyncio.Event()
    heard = asyncio.create_task(asyncio.to_thread(listen, lambda: loop.call_soon_threadsafe(listening.set)))
    await asyncio.wait_for(listening.wait(), PATIENCE_SECONDS)
    await put_top(call, hostname="x")
    line = await asyncio.wait_for(heard, PATIENCE_SECONDS)
    assert "netconf-config-change" in line
    if encoding == "json":
        content = json.loads(line.removeprefix("data: "))["ietf-restconf:notification"]
        change = content["ietf-netconf-notifications:netconf-config-change"]
        assert change["changed-by"]["username"] == "admin"
        assert isinstance(change["changed-by"]["session-id"], int)
        assert [edit["target"] for edit in change["edit"]] == ["/lab-probe:top/lab-probe:hostname"]


async def test_stopping_ends_an_open_event_stream_without_a_word(call, router, caplog):
    url = f"{call.base}/restconf/streams/NETCONF/json"

    def listen(ready):
        with requests.get(
            url, auth=("admin", "admin"), verify=call.ca_file, stream=True, timeout=PATIENCE_SECONDS
        ) as reply:
            ready()
            with contextlib.suppress(requests.RequestException):
                return list(reply.iter_lines())

    loop, listening = asyncio.get_running_loop(), asyncio.Event()
    stream = asyncio.create_task(asyncio.to_thread(listen, lambda: loop.call_soon_threadsafe(listening.set)))
    await asyncio.wait_for(listening.wait(), PATIENCE_SECONDS)
    await asyncio.wait_for(router.stop(), PATIENCE_SECONDS)
    await asyncio.wait_for(stream, PATIENCE_SECONDS)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_stopping_ends_a_request_that_waits_without_a_word(call, router, caplog):
    router.faults = Script("before", Action(Fault.DELAY, seconds=10 * PATIENCE_SECONDS))
    waiting = asyncio.create_task(put_top(call, hostname="x"))
    await asyncio.wait_for(router.faults.reached.wait(), PATIENCE_SECONDS)
    await asyncio.wait_for(router.stop(), PATIENCE_SECONDS)
    with pytest.raises(requests.ConnectionError):
        await asyncio.wait_for(waiting, PATIENCE_SECONDS)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []


class Script:
    """A fault point with one action at one phase."""

    def __init__(self, phase, action):
        self.phase, self.action = phase, action
        self.reached = asyncio.Event()

    def armed(self, router):
        return True

    async def around(self, router, rpc, phase):
        if rpc != "restconf-put" or phase != self.phase:
            return None
        self.reached.set()
        return self.action


async def test_close_after_acting_loses_the_reply_but_not_the_change(call, router):
    router.faults = Script("after", Action(Fault.CLOSE))
    with pytest.raises(requests.exceptions.ConnectionError):
        await put_top(call, hostname="x")
    assert (await read_top(call))["hostname"] == "x"


async def test_close_before_acting_changes_nothing(call, router):
    router.faults = Script("before", Action(Fault.CLOSE))
    with pytest.raises(requests.exceptions.ConnectionError):
        await put_top(call, hostname="x")
    assert await read_top(call) == {}


@pytest.mark.parametrize("phase,acted", [("before", False), ("reply", True)])
async def test_a_hanging_router_leaves_the_client_waiting(call, router, phase, acted):
    router.faults = Script(phase, Action(Fault.HANG))
    with pytest.raises(requests.exceptions.ReadTimeout):
        await call("PUT", f"/{TOP}", {TOP: {"hostname": "x"}}, patience=(PATIENCE_SECONDS, SHORT_DEADLINE_SECONDS))
    await asyncio.wait_for(router.faults.reached.wait(), PATIENCE_SECONDS)
    assert ("hostname" in await read_top(call)) is acted


async def test_a_scripted_rejection_is_an_errors_document(call, router):
    router.faults = Script("before", Action(Fault.REJECT, error=failed("no room")))
    reply = await call("PUT", f"/{TOP}", {TOP: {}})
    assert (reply.status_code, error_of(reply)["error-message"]) == (500, "no room")


async def test_garbage_split_and_huge_replies_arrive_as_scripted(call, router):
    router.faults = Script("reply", Action(Fault.GARBAGE))
    reply = await call("PUT", f"/{TOP}", {TOP: {"hostname": "x"}})
    assert "garbage" in reply.text
    router.faults = Script("before", Action(Fault.HUGE, octets=5000))
    reply = await call("PUT", f"/{TOP}", {TOP: {"small": 0}})
    assert reply.status_code == 400
    router.faults = Script("before", Action(Fault.SPLIT, octets=7))
    reply = await call("PUT", f"/{TOP}/none", {})
    assert reply.status_code == 404
    assert error_of(reply)


async def test_a_reboot_drops_the_connection_and_keeps_what_was_committed(call, router):
    await put_top(call, hostname="x")
    booted, start = asyncio.Event(), router.start

    async def start_and_tell():
        await start()
        booted.set()

    router.start = start_and_tell
    router.faults = Script("before", Action(Fault.REBOOT))
    with pytest.raises(requests.exceptions.ConnectionError):
        await put_top(call, hostname="y")
    await asyncio.wait_for(booted.wait(), PATIENCE_SECONDS)
    assert await read_top(call) == {"hostname": "x"}


async def test_the_server_comes_back_on_its_port(call, server):
    port = server.port
    await server.stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        await read_top(call)
    await server.start()
    assert server.port == port
    assert await read_top(call) == {}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_drives_the_server_unmodified(call):
    def curl(*arguments):
        command = ["curl", "-sS", "--cacert", call.ca_file, "-u", "admin:admin", "-w", "%{http_code}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True).stdout

    url = f"{call.base}/restconf/data/{TOP}"
    body = json.dumps({TOP: {"entry": [{"name": "a/b"}]}})
    kind = "Content-Type: application/yang-data+json"
    assert await asyncio.to_thread(curl, "-X", "PUT", "-H", kind, "-d", body, url) in {"201", "204"}
    shown = await asyncio.to_thread(curl, f"{url}/entry=a%2Fb?content=config")
    assert json.loads(shown[:-3]) == {"lab-probe:entry": [{"name": "a/b"}]}

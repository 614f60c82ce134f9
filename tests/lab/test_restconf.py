"""The RESTCONF server over real TLS connections, driven by requests and curl."""

import asyncio
import contextlib
import json
import shutil
import subprocess

import pytest
import requests

from lab.router.faults_point import Action, Fault
from lab.router.restconf_server import RestconfServer
from lab.router.rpc_errors import failed
from lab.router.xml import parse
from tests.lab.probe_router import NS, probe_router

TOP = "lab-probe:top"


class Client:
    """requests in a thread, with the lab's certificate verified."""

    def __init__(self, server, ca_file):
        self.base = f"https://localhost:{server.port}"
        self.ca_file = ca_file
        self.session = requests.Session()
        self.session.trust_env = False  # else REQUESTS_CA_BUNDLE would win over `verify`
        self.session.auth = ("admin", "admin")
        self.session.verify = ca_file

    async def __call__(self, method, path, body=None, *, kind="application/yang-data+json", patience=10, **headers):
        data = json.dumps(body) if isinstance(body, dict) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            named["Content-Type"] = kind
        url = self.base + (path if path.startswith(("/restconf", "/.")) else f"/restconf/data{path}")
        return await asyncio.to_thread(self.session.request, method, url, data=data, headers=named, timeout=patience)


@pytest.fixture
async def router():
    return probe_router("full")


@pytest.fixture
async def server(router):
    server = RestconfServer(router)
    router.add_server("restconf", server)
    await router.start()
    yield server
    await router.stop()


@pytest.fixture
async def call(server, tmp_path):
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(server.ca_pem)
    client = Client(server, str(ca_file))
    yield client
    client.session.close()


async def put_top(call, **leaves):
    reply = await call("PUT", f"/{TOP}", {TOP: leaves})
    assert reply.status_code in {201, 204}, reply.text
    return reply


async def read_top(call, query="content=config"):
    reply = await call("GET", f"/{TOP}?{query}")
    assert reply.status_code == 200, reply.text
    return reply.json()[TOP]


def error_of(reply):
    return reply.json()["ietf-restconf:errors"]["error"][0]


# The API resource and the door


async def test_the_root_is_discovered_through_host_meta(call):
    reply = await call("GET", "/.well-known/host-meta")
    assert reply.headers["content-type"] == "application/xrd+xml"
    assert "href='/restconf'" in reply.text


@pytest.mark.parametrize("name,value", [("operations", {}), ("yang-library-version", "2019-01-04")])
async def test_the_api_resource_has_its_three_children(call, name, value):
    assert (await call("GET", f"/restconf/{name}")).json() == {f"ietf-restconf:{name}": value}
    assert name in (await call("GET", "/restconf")).json()["ietf-restconf:restconf"]


async def test_a_wrong_password_is_refused(call):
    call.session.auth = ("admin", "guess")
    reply = await call("GET", f"/{TOP}")
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Basic")
    assert error_of(reply)["error-tag"] == "access-denied"


async def test_a_client_that_does_not_trust_the_lab_cannot_connect(call):
    call.session.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        await call("GET", f"/{TOP}")


# Reading and writing


EVERYTHING = {
    "hostname": "r1 & <co>",
    "small": 5,
    "big": "18446744073709551615",
    "ratio": "1.5",
    "flag": False,
    "marker": [None],
    "paint": "lab-probe-extra:blue",
    "access": "read write",
    "blob": "AQID",
    "limit": 9,
    "chosen": "a/b",
    "pointer": "/lab-probe:top/entry[name='a/b']",
    "tag": ["z", "a"],
    "port": [2, 10],
    "entry": [{"name": "a/b", "note": "n", "lab-probe-extra:weight": "-3"}],
    "rule": [{"zone": "z", "id": 2, "action": "deny"}, {"zone": "a", "id": 1, "action": "permit"}],
    "feature": {"level": 3},
    "left": "l",
    "lab-probe-extra:hostname": "other",
    "lab-probe-extra:extra": "e",
}


async def test_every_type_comes_back_as_it_was_sent(call):
    await put_top(call, **EVERYTHING)
    shown = await read_top(call)
    pointer = shown.pop("pointer")
    assert pointer.replace("lab-probe:", "") == "/top/entry[name='a/b']"
    assert shown == {name: value for name, value in EVERYTHING.items() if name != "pointer"}


async def test_json_written_reads_as_xml_and_the_other_way_round(call):
    await put_top(call, **EVERYTHING)
    before = await read_top(call)
    xml = (await call("GET", f"/{TOP}?content=config", Accept="application/yang-data+xml")).content
    assert (await call("DELETE", f"/{TOP}")).status_code == 204
    reply = await call("PUT", f"/{TOP}", xml, kind="application/yang-data+xml")
    assert reply.status_code in {201, 204}, reply.text
    assert await read_top(call) == before


async def test_union_members_keep_their_json_type(call):
    for value in (7, "none", "70000", "word"):
        await put_top(call, limit=value)
        assert (await read_top(call))["limit"] == value


async def test_keys_with_slashes_percents_and_commas_are_found(call):
    for name, raw in [("a/b", "a%2Fb"), ("50%", "50%25"), ("x,y", "x%2Cy"), ("", ""), ("é ü", "%C3%A9%20%C3%BC")]:
        entry = {"lab-probe:entry": [{"name": name, "note": "here"}]}
        assert (await call("PUT", f"/{TOP}/entry={raw}", entry)).status_code == 201
        reply = await call("GET", f"/{TOP}/entry={raw}/note")
        assert reply.json() == {"lab-probe:note": "here"}, reply.text
        assert (await call("DELETE", f"/{TOP}/entry={raw}")).status_code == 204
        assert (await call("GET", f"/{TOP}/entry={raw}?content=config")).status_code == 404


async def test_post_creates_once_and_says_where(call):
    entry = {"lab-probe:entry": [{"name": "a/b"}]}
    reply = await call("POST", f"/{TOP}", entry)
    assert reply.status_code == 201
    assert reply.headers["location"].endswith(f"/restconf/data/{TOP}/entry=a%2Fb")
    again = await call("POST", f"/{TOP}", entry)
    assert (again.status_code, error_of(again)["error-tag"]) == (409, "data-exists")


async def test_put_creates_then_replaces(call):
    path = f"/{TOP}/entry=x"
    assert (await call("PUT", path, {"lab-probe:entry": [{"name": "x", "note": "1"}]})).status_code == 201
    assert (await call("PUT", path, {"lab-probe:entry": [{"name": "x"}]})).status_code == 204
    assert (await call("GET", f"{path}?content=config")).json() == {"lab-probe:entry": [{"name": "x"}]}


async def test_patch_merges_but_never_creates_its_target(call):
    path = f"/{TOP}/entry=x"
    body = {"lab-probe:entry": [{"name": "x", "note": "n"}]}
    assert (await call("PATCH", path, body)).status_code == 404
    await put_top(call, entry=[{"name": "x", "lab-probe-extra:weight": "1"}])
    assert (await call("PATCH", path, body)).status_code == 204
    assert (await read_top(call))["entry"] == [{"name": "x", "note": "n", "lab-probe-extra:weight": "1"}]


async def test_a_key_in_the_body_must_be_the_one_in_the_path(call):
    reply = await call("PUT", f"/{TOP}/entry=x", {"lab-probe:entry": [{"name": "y"}]})
    assert (reply.status_code, error_of(reply)["error-tag"]) == (400, "invalid-value")


async def test_the_whole_datastore_can_be_replaced_and_patched(call):
    await put_top(call, hostname="old", flag=True)
    assert (await call("PUT", "", {"ietf-restconf:data": {TOP: {"hostname": "new"}}})).status_code == 204
    assert await read_top(call) == {"hostname": "new"}
    assert (await call("PATCH", "", {"ietf-restconf:data": {TOP: {"flag": True}}})).status_code == 204
    assert (await call("GET", "?content=config")).json() == {
        "ietf-restconf:data": {TOP: {"hostname": "new", "flag": True}}
    }
    assert (await call("PUT", "", {"ietf-restconf:data": {}})).status_code == 204
    assert (await call("GET", "?content=config")).json() == {"ietf-restconf:data": {}}


async def test_an_edit_that_breaks_a_constraint_changes_nothing(call, router):
    await put_top(call, hostname="keep")
    before = router.store.serialised("running")
    for body, status, tag in [
        ({"feature": {"level": 60}, "hostname": "x"}, 500, "operation-failed"),
        ({"chosen": "nobody"}, 409, "data-missing"),
        ({"small": 101}, 400, "invalid-value"),
        ({"small": "5"}, 400, "invalid-value"),
        ({"unheard-of": 1}, 400, "unknown-element"),
        ({"rule": [{"zone": "a", "id": 1}]}, 409, "data-missing"),
        ({"entry": [{"note": "no key"}]}, 400, "missing-element"),
        ({"status": {"uptime": 1}}, 400, "bad-element"),
    ]:
        reply = await call("PATCH", f"/{TOP}", {TOP: body})
        assert (reply.status_code, error_of(reply)["error-tag"]) == (status, tag), reply.text
    assert router.store.serialised("running") == before


async def test_a_must_violation_says_its_own_words_and_path(call):
    error = error_of(await call("PATCH", f"/{TOP}", {TOP: {"feature": {"level": 60}}}))
    assert error["error-message"] == "level must stay below 50"
    assert error["error-app-tag"] == "must-violation"
    assert error["error-path"].endswith("level")


@pytest.mark.parametrize("body", ["", "{", "[]", '{"lab-probe:top": {}, "lab-probe:top": {}}', "<a", "[" * 100_000])
async def test_a_body_that_is_no_document_is_malformed(call, body):
    kind = "application/yang-data+xml" if body == "<a" else "application/yang-data+json"
    reply = await call("PUT", f"/{TOP}", body, kind=kind)
    assert reply.status_code == 400
    assert "malformed-message" in reply.text


async def test_an_xml_body_cannot_smuggle_netconf_operations_in(call):
    await put_top(call, hostname="x")
    body = f"""<top xmlns="{NS}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"><hostname nc:operation="delete"/>
    </top>"""
    reply = await call("PATCH", f"/{TOP}", body, kind="application/yang-data+xml")
    assert reply.status_code == 400
    assert "unknown-attribute" in reply.text
    assert await read_top(call) == {"hostname": "x"}


async def test_an_identity_keeps_its_module_whatever_prefix_the_client_chose(call):
    for prefix in ("lp", "lab-probe", "q"):
        body = f"""<top xmlns="{NS}" xmlns:{prefix}="{NS}"><paint>{prefix}:red</paint></top>"""
        reply = await call("PUT", f"/{TOP}", body, kind="application/yang-data+xml")
        assert reply.status_code in {201, 204}, reply.text
        assert await read_top(call) == {"paint": "lab-probe:red"}
        await put_top(call, hostname="between")


async def test_unknown_media_types_are_refused(call):
    assert (await call("PUT", f"/{TOP}", "x", kind="text/plain")).status_code == 415
    assert (await call("GET", f"/{TOP}", Accept="image/png")).status_code == 406
    reply = await call("GET", f"/{TOP}", Accept="image/png, application/yang-data+xml;q=0.5, */*;q=0.1")
    assert reply.headers["content-type"] == "application/yang-data+xml"


async def test_state_cannot_be_edited_and_methods_are_told(call):
    reply = await call("PUT", f"/{TOP}/status", {"lab-probe:status": {}})
    assert (reply.status_code, error_of(reply)["error-tag"]) == (405, "operation-not-supported")
    assert (await call("OPTIONS", f"/{TOP}/status")).headers["allow"] == "OPTIONS, GET, HEAD"
    options = await call("OPTIONS", f"/{TOP}")
    assert "DELETE" in options.headers["allow"]
    assert "application/yang-patch+json" in options.headers["accept-patch"]
    assert (await call("DELETE", "")).status_code == 405


async def test_a_path_the_schema_lacks_is_not_found(call):
    for path in ("/lab-probe:none", f"/{TOP}/none", "/no-module:top", f"/{TOP}/hostname/below"):
        assert (await call("GET", path)).status_code == 404
    for path in ("/top", f"/{TOP}/rule=1", f"/{TOP}/rule/action"):
        assert (await call("GET", path)).status_code == 400


async def test_head_is_get_without_a_body(call):
    await put_top(call, hostname="x")
    got, head = await call("GET", f"/{TOP}"), await call("HEAD", f"/{TOP}")
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["etag"] == got.headers["etag"]


# Query parameters


async def test_content_tells_configuration_from_state(call):
    await put_top(call, hostname="x", entry=[{"name": "a/b"}])
    assert await read_top(call, "content=config") == {"hostname": "x", "entry": [{"name": "a/b"}]}
    state = await read_top(call, "content=nonconfig")
    assert state == {"entry": [{"name": "a/b", "hits": 5}], "status": {"uptime": 42}}
    everything = await read_top(call, "content=all")
    assert everything == {"hostname": "x", "entry": [{"name": "a/b", "hits": 5}], "status": {"uptime": 42}}


async def test_depth_cuts_below_and_keeps_keys(call):
    await put_top(call, hostname="x", entry=[{"name": "a", "note": "n"}], feature={"level": 1})
    assert await read_top(call, "content=config&depth=1") == {}
    assert await read_top(call, "content=config&depth=2") == {
        "hostname": "x",
        "entry": [{"name": "a"}],
        "feature": {},
    }


async def test_fields_select_nodes(call):
    await put_top(call, hostname="x", entry=[{"name": "a", "note": "n", "lab-probe-extra:weight": "2"}], flag=True)
    assert await read_top(call, "content=config&fields=hostname;entry(note)") == {
        "hostname": "x",
        "entry": [{"name": "a", "note": "n"}],
    }
    reply = await call("GET", f"/{TOP}?fields=nothing")
    assert (reply.status_code, error_of(reply)["error-tag"]) == (400, "invalid-value")


async def test_with_defaults_reports_what_was_left_out(call):
    await put_top(call, hostname="x")
    assert "small" not in await read_top(call, "content=config&with-defaults=explicit")
    assert (await read_top(call, "content=config&with-defaults=report-all"))["small"] == 7
    tagged = await read_top(call, "content=config&with-defaults=report-all-tagged")
    assert tagged["@small"] == {"ietf-netconf-with-defaults:default": True}
    await put_top(call, small=7)
    assert (await read_top(call))["small"] == 7
    assert "small" not in (await read_top(call, "with-defaults=trim"))


async def test_duplicate_and_unknown_query_parameters_are_refused(call):
    for query in ("depth=1&depth=2", "what=ever", "insert=first"):
        reply = await call("GET", f"/{TOP}?{query}")
        assert (reply.status_code, error_of(reply)["error-tag"]) == (400, "invalid-value")


async def test_insert_and_point_order_a_list(call):
    def rule(zone, number):
        return {"lab-probe:rule": [{"zone": zone, "id": number, "action": "deny"}]}

    assert (await call("POST", f"/{TOP}", rule("a", 1))).status_code == 201
    assert (await call("POST", f"/{TOP}?insert=first", rule("b", 2))).status_code == 201
    point = f"%2F{TOP}%2Frule%3Da%2C1".replace(":", "%3A")
    assert (await call("POST", f"/{TOP}?insert=before&point={point}", rule("c/d", 3))).status_code == 201
    assert (await call("PUT", f"/{TOP}/rule=b,2?insert=after&point={point}", rule("b", 2))).status_code == 204
    assert [entry["zone"] for entry in (await read_top(call))["rule"]] == ["c/d", "a", "b"]
    point = f"/{TOP}/rule=c%252Fd,3"
    assert (await call("PUT", f"/{TOP}/rule=b,2?insert=before&point={point}", rule("b", 2))).status_code == 204
    assert [entry["zone"] for entry in (await read_top(call))["rule"]] == ["b", "c/d", "a"]
    missing = await call("PUT", f"/{TOP}/rule=b,2?insert=before&point=/{TOP}/rule=z,9", rule("b", 2))
    assert missing.status_code == 400


async def test_insert_orders_a_leaf_list_and_nothing_else(call):
    await put_top(call, tag=["m"], hostname="x")
    assert (await call("PUT", f"/{TOP}/tag=a?insert=first", {"lab-probe:tag": ["a"]})).status_code == 201
    path = f"/{TOP}/tag=b?insert=before&point=/{TOP}/tag=m"
    assert (await call("PUT", path, {"lab-probe:tag": ["b"]})).status_code == 201
    assert (await read_top(call))["tag"] == ["a", "b", "m"]
    assert (await call("PUT", f"/{TOP}/hostname?insert=first", {"lab-probe:hostname": "y"})).status_code == 400


# Conditional requests


async def test_an_edit_under_a_stale_etag_is_refused(call):
    old = (await put_top(call, hostname="1")).headers["etag"]
    assert (await call("PUT", f"/{TOP}/hostname", {"lab-probe:hostname": "2"}, If_Match=old)).status_code == 204
    stale = await call("PUT", f"/{TOP}/hostname", {"lab-probe:hostname": "3"}, If_Match=old)
    assert (stale.status_code, error_of(stale)["error-tag"]) == (412, "operation-failed")
    assert (await call("DELETE", f"/{TOP}", If_Match=old)).status_code == 412
    assert (await read_top(call))["hostname"] == "2"


async def test_if_none_match_creates_only(call):
    body = {"lab-probe:hostname": "1"}
    assert (await call("PUT", f"/{TOP}/hostname", body, If_None_Match="*")).status_code == 201
    assert (await call("PUT", f"/{TOP}/hostname", body, If_None_Match="*")).status_code == 412


async def test_a_fresh_copy_is_not_sent_again(call):
    await put_top(call, hostname="1")
    got = await call("GET", f"/{TOP}?content=config")
    again = await call("GET", f"/{TOP}?content=config", If_None_Match=got.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    await put_top(call, hostname="2")
    again = await call("GET", f"/{TOP}?content=config", If_None_Match=got.headers["etag"])
    assert again.status_code == 200
    assert "last-modified" in again.headers


async def test_a_lock_held_by_another_session_keeps_edits_out(call, router):
    holder = router.sessions.open("other", "netconf-ssh", lambda: None)
    router.store.lock("running", holder)
    reply = await call("PUT", f"/{TOP}", {TOP: {}})
    assert (reply.status_code, error_of(reply)["error-tag"]) == (409, "in-use")


async def test_an_edit_is_saved_to_startup_where_there_is_one(call, router):
    await put_top(call, hostname="x")
    assert router.store.serialised("startup") == router.store.serialised("running")
    router.store.lock("startup", router.sessions.open("other", "netconf-ssh", lambda: None))
    reply = await call("PUT", f"/{TOP}", {TOP: {"hostname": "y"}})
    assert (reply.status_code, error_of(reply)["error-tag"]) == (409, "in-use")
    assert await read_top(call) == {"hostname": "x"}


@pytest.mark.parametrize("persist,status", [(None, 204), ("token", 409)])
async def test_an_edit_confirms_a_pending_commit_unless_it_needs_a_persist_id(call, router, persist, status):
    await put_top(call, hostname="x")
    session = router.sessions.open("other", "netconf-ssh", lambda: None)
    config = parse(f'<config><top xmlns="{NS}"><flag>true</flag></top></config>'.encode())
    router.store.edit("candidate", config, session_id=session)
    router.store.commit(session, confirmed=True, timeout=60, persist=persist)
    reply = await call("PATCH", f"/{TOP}", {TOP: {"hostname": "y"}})
    assert reply.status_code == status, reply.text
    assert (router.store.pending_commit is None) is (persist is None)


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
        with requests.get(url, auth=("admin", "admin"), verify=call.ca_file, stream=True, timeout=10) as reply:
            lines = reply.iter_lines()
            assert next(lines) == b": listening"
            ready()
            return next(line for line in lines if line.startswith(b"data:")).decode()

    loop, listening = asyncio.get_running_loop(), asyncio.Event()
    heard = asyncio.create_task(asyncio.to_thread(listen, lambda: loop.call_soon_threadsafe(listening.set)))
    await asyncio.wait_for(listening.wait(), 10)
    await put_top(call, hostname="x")
    line = await asyncio.wait_for(heard, 10)
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
        with requests.get(url, auth=("admin", "admin"), verify=call.ca_file, stream=True, timeout=10) as reply:
            ready()
            with contextlib.suppress(requests.RequestException):
                return list(reply.iter_lines())

    loop, listening = asyncio.get_running_loop(), asyncio.Event()
    stream = asyncio.create_task(asyncio.to_thread(listen, lambda: loop.call_soon_threadsafe(listening.set)))
    await asyncio.wait_for(listening.wait(), 10)
    await asyncio.wait_for(router.stop(), 10)
    await asyncio.wait_for(stream, 10)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_stopping_ends_a_request_that_waits_without_a_word(call, router, caplog):
    router.faults = Script("before", Action(Fault.DELAY, seconds=60))
    waiting = asyncio.create_task(put_top(call, hostname="x"))
    await asyncio.wait_for(router.faults.reached.wait(), 10)
    await asyncio.wait_for(router.stop(), 10)
    with pytest.raises(requests.ConnectionError):
        await asyncio.wait_for(waiting, 10)
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
        await call("PUT", f"/{TOP}", {TOP: {"hostname": "x"}}, patience=0.3)
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
    await asyncio.wait_for(booted.wait(), 10)
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
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout

    url = f"{call.base}/restconf/data/{TOP}"
    body = json.dumps({TOP: {"entry": [{"name": "a/b"}]}})
    kind = "Content-Type: application/yang-data+json"
    assert await asyncio.to_thread(curl, "-X", "PUT", "-H", kind, "-d", body, url) in {"201", "204"}
    shown = await asyncio.to_thread(curl, f"{url}/entry=a%2Fb?content=config")
    assert json.loads(shown[:-3]) == {"lab-probe:entry": [{"name": "a/b"}]}

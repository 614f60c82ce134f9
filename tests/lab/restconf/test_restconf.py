"""The RESTCONF server over real TLS connections: reading, writing and conditions (RFC 8040)."""

import pytest
import requests

from lab.router.xml import parse
from tests.lab.probe_router import NS
from tests.lab.restconf_client import TOP, error_of, put_top, read_top

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

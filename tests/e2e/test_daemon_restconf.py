"""Services over RESTCONF onto live routers: each write is one transaction, and what is read is what was written."""

from collections.abc import Iterator
from typing import Any

import pytest

from controller.northbound.auth import Role
from tests.controller import mapping_samples as samples
from tests.e2e.daemon import DaemonProcess, lab_of_routers

L3SM = "/restconf/data/ietf-l3vpn-svc:l3vpn-svc"
YANG_JSON = {"content-type": "application/yang-data+json"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    with (
        lab_of_routers(tmp_path_factory.mktemp("lab") / "lab") as lab,
        DaemonProcess(tmp_path_factory.mktemp("accord"), lab) as running,
    ):
        running.wait_until_read()
        yield running


@pytest.fixture
def vpn(daemon: DaemonProcess, request: pytest.FixtureRequest) -> Iterator[str]:
    """A VPN with a site in London, gone afterwards."""
    vpn_id = f"vpn-{request.node.name}"[:50]
    service = samples.service(vpn_id)
    assert daemon.post(f"{L3SM}/vpn-services", {"ietf-l3vpn-svc:vpn-service": [service]}).status_code == 201
    made = put(daemon, f"{L3SM}/sites/site={vpn_id}", {"ietf-l3vpn-svc:site": [site(vpn_id, vpn_id)]})
    assert made.status_code == 201, made.text
    yield vpn_id
    for site_id in [s["site-id"] for s in sites(daemon) if vpn_id in s["site-id"]]:
        assert daemon.request("DELETE", f"{L3SM}/sites/site={site_id.replace('/', '%2F')}").status_code == 204
    assert daemon.request("DELETE", f"{L3SM}/vpn-services/vpn-service={vpn_id}").status_code == 204


def site(site_id: str, vpn_id: str, city: str = "London", country: str = "GB", number: int = 1) -> dict[str, Any]:
    return samples.site(site_id, city, country, samples.access(number, vpn_id=vpn_id))


def sites(daemon: DaemonProcess) -> list[dict[str, Any]]:
    found = daemon.get(L3SM).json()["ietf-l3vpn-svc:l3vpn-svc"]
    return list(found.get("sites", {}).get("site", []))


def put(daemon: DaemonProcess, path: str, document: object, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return daemon.request("PUT", path, json=document, headers=YANG_JSON | named)


def patch(daemon: DaemonProcess, path: str, document: object, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return daemon.request("PATCH", path, json=document, headers=YANG_JSON | named)


def error_of(response: Any) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/yang-data+json", response.text
    return dict(response.json()["ietf-restconf:errors"]["error"][0])


def test_discovery_leads_from_host_meta_to_the_data(daemon: DaemonProcess) -> None:
    assert b'href="/restconf"' in daemon.get("/.well-known/host-meta").content
    root = daemon.get("/restconf").json()["ietf-restconf:restconf"]
    assert root["yang-library-version"] == "2016-06-21"
    library = daemon.get("/restconf/data/ietf-yang-library:modules-state").json()
    names = {module["name"] for module in library["ietf-yang-library:modules-state"]["module"]}
    assert "ietf-l3vpn-svc" in names
    assert daemon.get("/restconf/data").status_code == 200
    assert daemon.get(L3SM).status_code == 200


def test_what_was_put_is_read_back_and_reaches_a_router(daemon: DaemonProcess, vpn: str) -> None:
    read = daemon.get(f"{L3SM}/sites/site={vpn}")
    assert read.json() == {"ietf-l3vpn-svc:site": [site(vpn, vpn)]}
    placed = daemon.get(f"/api/v1/services/{vpn}").json()["placements"]
    assert [at["site"] for at in placed] == [vpn]


def test_a_site_whose_key_holds_a_slash_and_a_percent_is_one_site(daemon: DaemonProcess, vpn: str) -> None:
    name = f"{vpn}/a%b"
    path = f"{L3SM}/sites/site={vpn}%2Fa%25b"
    made = put(daemon, path, {"ietf-l3vpn-svc:site": [site(name, vpn, "Paris", "FR", 2)]})
    assert made.status_code == 201, made.text
    assert made.headers["location"] == path
    assert daemon.get(path).json()["ietf-l3vpn-svc:site"][0]["site-id"] == name
    assert daemon.request("DELETE", path).status_code == 204
    assert daemon.get(path).status_code == 404


def test_a_dry_run_shows_the_plan_and_sends_nothing(daemon: DaemonProcess, vpn: str) -> None:
    before = daemon.get("/api/v1/transactions").json()
    path = f"{L3SM}/sites/site={vpn}-dry?dry-run"
    shown = put(daemon, path, {"ietf-l3vpn-svc:site": [site(f"{vpn}-dry", vpn, "Paris", "FR", 2)]})
    assert shown.status_code == 200, shown.text
    assert shown.json()["devices"]
    assert not shown.json()["is_empty"]
    assert daemon.get(f"/api/v1/plans/{shown.headers['accord-plan']}").json()["checksum"] == shown.json()["checksum"]
    assert daemon.get("/api/v1/transactions").json() == before
    assert daemon.get(path.partition("?")[0]).status_code == 404


def test_a_leaf_deep_inside_a_site_is_changed_alone(daemon: DaemonProcess, vpn: str) -> None:
    access = f"{L3SM}/sites/site={vpn}/site-network-accesses/site-network-access=a1"
    leaf = f"{access}/service/svc-input-bandwidth"
    old = daemon.get(leaf).json()["ietf-l3vpn-svc:svc-input-bandwidth"]
    changed = put(daemon, leaf, {"ietf-l3vpn-svc:svc-input-bandwidth": "77000000"})
    assert changed.status_code == 204, changed.text
    assert daemon.get(leaf).json() == {"ietf-l3vpn-svc:svc-input-bandwidth": "77000000"}
    assert old != "77000000"
    done = daemon.get(f"/api/v1/transactions/{changed.headers['accord-transaction']}").json()
    assert (done["phase"], done["actor"], len(done["devices"])) == ("committed", "operator", 1)


def test_patch_merges_and_keeps_the_rest(daemon: DaemonProcess, vpn: str) -> None:
    path = f"{L3SM}/sites/site={vpn}"
    new = site(vpn, vpn, "London", "GB")["site-network-accesses"]["site-network-access"][0]
    merged = {"site-network-access": [{**new, "service": {**new["service"], "svc-mtu": 1400}}]}
    answer = patch(daemon, path, {"ietf-l3vpn-svc:site": [{"site-id": vpn, "site-network-accesses": merged}]})
    assert answer.status_code == 204, answer.text
    found = daemon.get(path).json()["ietf-l3vpn-svc:site"][0]
    assert found["site-network-accesses"]["site-network-access"][0]["service"]["svc-mtu"] == 1400
    assert found["locations"] == site(vpn, vpn)["locations"]


def test_writing_the_same_again_is_no_transaction(daemon: DaemonProcess, vpn: str) -> None:
    answer = put(daemon, f"{L3SM}/sites/site={vpn}", {"ietf-l3vpn-svc:site": [site(vpn, vpn)]})
    assert answer.status_code == 204
    assert "accord-transaction" not in answer.headers


def test_an_entity_tag_that_no_longer_holds_refuses_the_write(daemon: DaemonProcess, vpn: str) -> None:
    path = f"{L3SM}/sites/site={vpn}"
    tag = daemon.get(path).headers["etag"]
    assert daemon.get(path, headers={"if-none-match": tag}).status_code == 304
    mtu = f"{path}/site-network-accesses/site-network-access=a1/service/svc-mtu"
    assert put(daemon, mtu, {"ietf-l3vpn-svc:svc-mtu": 1300}).status_code == 204
    late = put(daemon, path, {"ietf-l3vpn-svc:site": [site(vpn, vpn)]}, if_match=tag)
    assert late.status_code == 412
    assert error_of(late)["error-tag"] == "operation-failed"
    fresh = daemon.get(path).headers["etag"]
    done = put(daemon, path, {"ietf-l3vpn-svc:site": [site(vpn, vpn)]}, if_match=fresh)
    assert (done.status_code, done.headers["etag"]) == (204, tag)
    assert put(daemon, path, {"ietf-l3vpn-svc:site": [site(vpn, vpn)]}, if_none_match="*").status_code == 412


def test_a_request_repeated_with_its_idempotency_key_acts_once(daemon: DaemonProcess, vpn: str) -> None:
    name = f"{vpn}-again"
    body = {"ietf-l3vpn-svc:site": [site(name, vpn, "Paris", "FR", 2)]}
    headers = YANG_JSON | {"idempotency-key": "one-wish"}
    answers = [daemon.request("POST", f"{L3SM}/sites", json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201], answers[1].text
    assert len({answer.headers["accord-transaction"] for answer in answers}) == 1
    other = daemon.request("POST", f"{L3SM}/vpn-services", json=body, headers=headers)
    assert other.status_code == 400
    assert daemon.request("POST", f"{L3SM}/sites", json=body, headers=YANG_JSON).status_code == 409


def test_what_the_model_forbids_is_refused_in_its_words(daemon: DaemonProcess, vpn: str) -> None:
    mtu = f"{L3SM}/sites/site={vpn}/site-network-accesses/site-network-access=a1/service/svc-mtu"
    refused = put(daemon, mtu, {"ietf-l3vpn-svc:svc-mtu": "many"})
    assert refused.status_code == 400, refused.text
    assert error_of(refused)["error-tag"] == "invalid-value"
    unknown = patch(daemon, f"{L3SM}/sites/site={vpn}", {"ietf-l3vpn-svc:site": [{"site-id": vpn, "colour": 1}]})
    assert (unknown.status_code, error_of(unknown)["error-tag"]) == (400, "unknown-element")


@pytest.mark.parametrize(
    "method, path, body, status",
    [
        ("GET", "/sites/site=nowhere", None, 404),
        ("GET", "/vpn-services/nothing", None, 404),
        ("GET", "/sites/site=a,b", None, 400),
        ("GET", "/sites/site=%ff", None, 400),
        ("GET", "?depth=0", None, 400),
        ("GET", "?colour=red", None, 400),
        ("GET", "?dry-run", None, 400),
        ("DELETE", "/sites/site=nowhere", None, 404),
        ("DELETE", "/sites/site", None, 405),
        ("PUT", "/sites/site=a", {"ietf-l3vpn-svc:site": [{"site-id": "b"}]}, 400),
        ("PUT", "/sites/site=a/site-id", {"ietf-l3vpn-svc:site-id": "b"}, 400),
        ("PUT", "/sites/site=a", {"ietf-l3vpn-svc:site": {"site-id": "a"}}, 400),
        ("PUT", "/sites/site=a", {"ietf-l3vpn-svc:sites": {}}, 400),
        ("PUT", "/sites/site=a", [], 400),
        ("PATCH", "/sites/site=nowhere", {"ietf-l3vpn-svc:site": [{"site-id": "nowhere"}]}, 404),
        ("POST", "/sites/site=nowhere", {"ietf-l3vpn-svc:locations": {}}, 404),
        ("POST", "/sites", {"ietf-l3vpn-svc:site": [{"site-id": "a"}, {"site-id": "b"}]}, 400),
        ("POST", "/sites", {"ietf-l3vpn-svc:site": [{}]}, 400),
        ("POST", "/sites", {"a": 1, "b": 2}, 400),
    ],
)
def test_wrong_requests_get_an_errors_document(
    daemon: DaemonProcess, method: str, path: str, body: object, status: int
) -> None:
    answer = daemon.request(method, f"{L3SM}{path}", json=body, headers=YANG_JSON)
    assert answer.status_code == status, answer.text
    assert error_of(answer)["error-message"]


def test_other_media_types_are_refused(daemon: DaemonProcess) -> None:
    path = f"{L3SM}/sites/site=a"
    sent = daemon.request("PUT", path, content=b"<site/>", headers={"content-type": "application/yang-data+xml"})
    assert sent.status_code == 415
    assert daemon.get(L3SM, headers={"accept": "application/yang-data+xml"}).status_code == 406


def test_who_may_only_read_may_not_write_and_scope_is_kept(daemon: DaemonProcess, vpn: str) -> None:
    daemon.add_token("elsewhere", [Role.OPERATOR], ["other-*"])
    daemon.add_token("here", [Role.OPERATOR], [vpn])
    daemon.reload()
    mtu = f"{L3SM}/sites/site={vpn}/site-network-accesses/site-network-access=a1/service/svc-mtu"
    body = {"json": {"ietf-l3vpn-svc:svc-mtu": 1350}, "headers": YANG_JSON}
    for token, status in (("", 401), ("reader", 403), ("approver", 403), ("elsewhere", 403), ("here", 204)):
        answer = daemon.request("PUT", mtu, token=token, **body)
        assert answer.status_code == status, (token, answer.text)
    assert daemon.request("PUT", f"{mtu}?dry-run", token="approver", **body).status_code == 200
    assert daemon.get(f"{L3SM}/sites/site={vpn}", token="here").status_code == 200
    assert daemon.get(f"{L3SM}/sites/site={vpn}", token="elsewhere").status_code == 404


def test_depth_cuts_what_lies_deeper(daemon: DaemonProcess, vpn: str) -> None:
    shown = daemon.get(f"{L3SM}?depth=2").json()["ietf-l3vpn-svc:l3vpn-svc"]
    assert shown["sites"] == {}
    assert vpn

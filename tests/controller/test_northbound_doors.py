"""Nobody gets through any door without a token, and nobody writes without the role for it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.routing import Route

from controller.adapters.settings_loader import load_settings
from controller.bootstrap import Daemon, open_daemon
from controller.model.errors import AccordError, AuthenticationFailedError, NotAuthorizedError
from controller.northbound.app import Doors
from controller.northbound.auth import Role, TokenStore, add_token, load_tokens, new_token
from controller.northbound.metrics_state import Reload
from controller.northbound.problem import problem_response
from controller.northbound.restconf_problem import restconf_error_response
from controller.runtime.upkeep import Upkeep
from controller.serve import l3sm_schema
from tests.patience import PATIENCE_SECONDS

OPEN = {"/metrics", "/probe", "/sd"}
"""Reading these needs no token unless the settings ask for one: Prometheus has none by default."""
WRITES = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    (tmp_path / "inventory.yaml").write_text("hosts: {}\n")
    (tmp_path / "accord.yaml").write_text("state_dir: state\ninventory: inventory.yaml\ntokens: tokens.yaml\n")
    opened = await open_daemon(load_settings(tmp_path / "accord.yaml"))
    yield opened
    await opened.stop(1.0)


def doors_of(daemon: Daemon, tokens: TokenStore) -> Doors:
    settings = daemon.settings.current
    return Doors(
        controller=daemon.controller,
        tokens=lambda: tokens,
        settings=lambda: settings,
        schema=l3sm_schema(settings),
        upkeep=Upkeep(daemon.controller),
        reload=lambda: Reload(True, 0.0),
    )


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    made = {}
    for role in Role:
        made[role.value], entry = new_token(role.value, [role])
        add_token(tmp_path / "tokens.yaml", entry)
    made["scoped"], entry = new_token("scoped", [Role.OPERATOR], ["acme-*"])
    add_token(tmp_path / "tokens.yaml", entry)
    return made


@pytest.fixture
async def client(daemon: Daemon, tokens: dict[str, str], tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    doors = doors_of(daemon, load_tokens(tmp_path / "tokens.yaml"))
    transport = httpx2.ASGITransport(app=doors.app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://accord") as made:
        made.routes = doors.routes  # type: ignore[attr-defined]  # the test's own note
        yield made


def routes_of(client: httpx2.AsyncClient) -> list[tuple[str, str]]:
    """Every method of every route, with something in place of its parameters."""
    found = []
    for route in client.routes:  # type: ignore[attr-defined]  # set by the fixture
        assert isinstance(route, Route), route
        path = route.path.replace("{path:path}", "ietf-l3vpn-svc:l3vpn-svc/sites/site=x")
        path = path.replace("{id}", "x").replace("{domain}", "x").replace("{name}", "x").replace("{action}", "adopt")
        assert "{" not in path, path
        found += [(method, path) for method in sorted(route.methods or ())]
    return found


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}


async def test_no_route_answers_without_a_token_that_is_known(client: httpx2.AsyncClient) -> None:
    routes = routes_of(client)
    assert len(routes) > 40
    for method, path in routes:
        if path in OPEN:
            assert method in {"GET", "HEAD"}
            continue
        for headers in ({}, bearer("accord_unknown"), {"authorization": "Basic YTpi"}, bearer("")):
            answer = await client.request(method, path, headers=headers, content=b"{}")
            assert answer.status_code == 401, (method, path, headers)
            assert answer.headers["www-authenticate"] == 'Bearer realm="accord"'


async def test_every_method_that_is_not_offered_is_refused_too(client: httpx2.AsyncClient) -> None:
    offered = set(routes_of(client))
    for path in {path for _, path in offered}:
        for method in (*WRITES, "GET", "TRACE", "CONNECT"):
            if (method, path) not in offered:
                answer = await client.request(method, path)
                assert answer.status_code in {401, 404, 405}, (method, path)


async def test_a_reader_writes_nowhere(client: httpx2.AsyncClient, tokens: dict[str, str]) -> None:
    for method, path in routes_of(client):
        if method in WRITES:
            answer = await client.request(method, path, headers=bearer(tokens["reader"]), content=b"{}")
            assert answer.status_code == 403, (method, path, answer.text)


async def test_who_has_a_scope_sees_nothing_that_is_not_one_service(
    client: httpx2.AsyncClient, tokens: dict[str, str]
) -> None:
    for path in ("/api/v1/status", "/api/v1/devices", "/api/v1/transactions", "/api/v1/events"):
        assert (await client.get(path, headers=bearer(tokens["scoped"]))).status_code == 403, path
    answer = await client.post(
        "/restconf/data/ietf-l3vpn-svc:l3vpn-svc/vpn-services",
        headers=bearer(tokens["scoped"]),
        json={"ietf-l3vpn-svc:vpn-service": [{"vpn-id": "other-1"}]},
    )
    assert answer.status_code == 403
    assert answer.json()["ietf-restconf:errors"]["error"][0]["error-tag"] == "access-denied"


async def test_what_is_too_big_or_too_deep_is_refused(client: httpx2.AsyncClient, tokens: dict[str, str]) -> None:
    path = "/restconf/data/ietf-l3vpn-svc:l3vpn-svc/sites"
    deep = b'{"a":' * 100 + b"1" + b"}" * 100
    answer = await client.post(path, headers=bearer(tokens["operator"]), content=deep)
    assert answer.status_code == 413
    assert answer.json()["ietf-restconf:errors"]["error"][0]["error-tag"] == "too-big"
    big = b'{"a": "' + b"x" * 17_000_000 + b'"}'
    assert (await client.post(path, headers=bearer(tokens["operator"]), content=big)).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "a", "text": "b"}',
        b'{"text": NaN}',
        b'{"text": "\\ud800"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": 1e999}',
        b"[" * 100_000,
        b"[]",
        b'{"text": "%s"}' % (b"a" * 20_000),
        b"\x1f\x8b\x08",
        b'{"text": 7}',
        b'{"text": "x", "more": 1}',
    ],
)
async def test_garbage_is_refused_and_named(client: httpx2.AsyncClient, tokens: dict[str, str], body: bytes) -> None:
    answer = await client.post("/api/v1/intents", headers=bearer(tokens["operator"]), content=body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_name_that_stands_twice_is_refused_deep_down_too(
    client: httpx2.AsyncClient, tokens: dict[str, str]
) -> None:
    body = b'{"ietf-l3vpn-svc:vpn-service": [{"vpn-id": "acme-1", "vpn-id": "other-1"}]}'
    path = "/restconf/data/ietf-l3vpn-svc:l3vpn-svc/vpn-services"
    answer = await client.post(path, headers=bearer(tokens["scoped"]), content=body)
    assert answer.status_code == 400
    assert "'vpn-id' stands twice" in answer.text


@pytest.mark.parametrize("query", ["9" * 5_000, "0", "-1", "%D9%A1", "1e3", ""])
async def test_numbers_in_queries_are_small_numbers(
    client: httpx2.AsyncClient, tokens: dict[str, str], query: str
) -> None:
    headers = bearer(tokens["reader"])
    assert (await client.get(f"/api/v1/transactions?limit={query}", headers=headers)).status_code == 400
    assert (await client.get(f"/restconf/data?depth={query}", headers=headers)).status_code == 400


async def test_a_scope_may_be_any_pattern(client: httpx2.AsyncClient, daemon: Daemon, tmp_path: Path) -> None:
    token, entry = new_token("brackets", [Role.OPERATOR], ["[ab]*"])
    add_token(tmp_path / "tokens.yaml", entry)
    doors = doors_of(daemon, load_tokens(tmp_path / "tokens.yaml"))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=doors.app), base_url="https://a") as made:
        assert (await made.get("/api/v1/services", headers=bearer(token))).status_code == 200
        assert (await made.get("/api/v1/devices", headers=bearer(token))).status_code == 403


async def test_one_caller_cannot_take_every_stream_of_events(
    daemon: Daemon, tokens: dict[str, str], tmp_path: Path
) -> None:
    doors = doors_of(daemon, load_tokens(tmp_path / "tokens.yaml"))
    doors.feed.heartbeat_seconds = 0.01
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=doors.app), base_url="https://a") as made:

        async def read() -> int:
            return (await made.get("/api/v1/events", headers=bearer(tokens["reader"]))).status_code

        open_ones = [asyncio.create_task(read()) for _ in range(32)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while doors.feed.readers < 32:  # noqa: ASYNC110 - it tells when asked
                await asyncio.sleep(0)
            assert await read() == 429
            doors.feed.close()
            assert await asyncio.gather(*open_ones) == [200] * 32
    assert doors.feed.readers == 0


async def test_what_is_not_offered_says_so_in_its_document(client: httpx2.AsyncClient) -> None:
    answer = await client.request("TRACE", "/api/v1/status")
    assert (answer.status_code, answer.json()["status"]) == (405, 405)


async def test_metrics_ask_for_a_token_when_told_to(daemon: Daemon, tokens: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "accord.yaml").write_text((tmp_path / "accord.yaml").read_text() + "metrics: {requires_token: true}\n")
    daemon.reload()
    doors = doors_of(daemon, load_tokens(tmp_path / "tokens.yaml"))
    transport = httpx2.ASGITransport(app=doors.app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://accord") as client:
        for path in OPEN:
            assert (await client.get(path)).status_code == 401
        assert (await client.get("/metrics", headers=bearer(tokens["reader"]))).status_code == 200


async def test_the_list_of_metrics_is_what_is_exposed(client: httpx2.AsyncClient) -> None:
    listed = {}
    for line in (Path(__file__).parents[2] / "config/prometheus/METRICS.md").read_text().splitlines():
        if line.startswith("| `"):
            name, kind, labels = (cell.strip(" `") for cell in line.split("|")[1:4])
            listed[name] = (kind, {label for label in labels.split(", ") if label})
    exposition = (await client.get("/metrics")).text
    exposed = {}
    for line in exposition.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            exposed[name] = kind
    assert exposed == {name: kind for name, (kind, _) in listed.items()}
    for line in exposition.splitlines():
        if line.startswith("#") or "{" not in line:
            continue
        series, _, rest = line.partition("{")
        parts = (series.removesuffix(suffix) for suffix in ("_bucket", "_sum", "_count"))
        name = next(name for name in (series, *parts) if name in listed)
        labels = {pair.partition("=")[0] for pair in rest.partition("}")[0].split(",")} - {"le"}
        assert labels <= listed[name][1], line


async def test_answers_carry_the_common_headers(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/v1/status")
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


@pytest.mark.parametrize("kind", [AuthenticationFailedError, NotAuthorizedError])
def test_a_device_that_lets_us_not_in_is_no_matter_of_the_callers_token(kind: type[AccordError]) -> None:
    assert problem_response(kind("refused the login", device="pe1")).status_code == 502
    assert restconf_error_response(kind("refused the login", device="pe1")).status_code == 502
    assert problem_response(kind("no")).status_code in {401, 403}

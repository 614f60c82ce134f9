"""A RESTCONF client for tests: requests in a thread, and what they ask of the probe module."""

import asyncio
import json

import requests

from tests.patience import PATIENCE_SECONDS

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

    async def __call__(
        self, method, path, body=None, *, kind="application/yang-data+json", patience=PATIENCE_SECONDS, **headers
    ):
        data = json.dumps(body) if isinstance(body, dict) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            named["Content-Type"] = kind
        url = self.base + (path if path.startswith(("/restconf", "/.")) else f"/restconf/data{path}")
        return await asyncio.to_thread(self.session.request, method, url, data=data, headers=named, timeout=patience)


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

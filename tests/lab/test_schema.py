"""Module sets: what is read from YANG modules, and that any set will do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.router.schema import ModuleSet, default_module_set, load_schema
from tests.lab.conftest import IETF, IF, IP, config, with_client

OPENCONFIG_NAMES = ("iana-if-type", "openconfig-interfaces", "openconfig-if-ip", "openconfig-network-instance")


def openconfig_path():
    """Where the operator keeps OpenConfig's modules."""
    root = os.environ.get("ACCORD_TEST_YANG_PATH", "")
    folders = [Path(item) for item in root.split(":") if item]
    found = [path.parent for folder in folders for path in folder.rglob("openconfig-network-instance*.yang")]
    if not found:
        pytest.skip("ACCORD_TEST_YANG_PATH names no folder with OpenConfig modules")
    return tuple(dict.fromkeys(path.parent for path in found[0].parent.rglob("*.yang")))


def test_a_module_set_is_read_once_per_process():
    assert load_schema(IETF) is load_schema(ModuleSet(IETF.name, IETF.modules))


def test_nodes_know_keys_types_defaults_and_choices():
    entry = load_schema(IETF).root.children[f"{{{IF}}}interfaces"].children[f"{{{IF}}}interface"]
    assert entry.keys == (f"{{{IF}}}name",)
    assert entry.child("enabled").default == "true"
    assert entry.child("type").type.base == "identityref"
    assert entry.child("type").mandatory
    address = entry.child("ipv4").child("address")
    assert address.namespace == IP
    assert address.child("netmask").choices == (("ietf-ip:subnet", "netmask"),)
    assert entry.child("oper-status").config is False


def test_a_module_that_is_nowhere_is_named():
    with pytest.raises(LookupError, match="no-such-module"):
        load_schema(ModuleSet("broken", ("no-such-module",)))


def test_a_module_that_does_not_compile_is_named(tmp_path):
    (tmp_path / "lab-broken.yang").write_text(
        'module lab-broken { namespace "urn:b"; prefix b; leaf a { type leafref { path "/b:nowhere"; } } }'
    )
    with pytest.raises(ValueError, match="lab-broken"):
        load_schema(ModuleSet("broken", ("lab-broken",), (tmp_path,)))


def test_modules_may_be_named_before_those_they_import():
    """In a process of its own: libyang would take this one with it."""
    code = (
        "from lab.router.schema import ModuleSet, load_schema;"
        "schema = load_schema(ModuleSet('upside-down', ('iana-if-type', 'ietf-ip')));"
        "assert 'ethernetCsmacd' in schema.identities"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


async def test_the_default_set_runs(make_router):
    router = await make_router(modules=default_module_set())
    reply = await with_client(router, lambda session: session.get())
    assert b"ietf-network-instance" in reply.xml.encode()


async def test_an_openconfig_personality_runs_and_enforces_its_model(make_router):
    router = await make_router(modules=ModuleSet("openconfig", OPENCONFIG_NAMES, openconfig_path()))
    namespace = "http://openconfig.net/yang/interfaces"
    content = (
        f'<interfaces xmlns="{namespace}"><interface><name>eth0</name><config><name>eth0</name>'
        "<type>ianaift:ethernetCsmacd</type></config></interface></interfaces>"
    )

    def work(session):
        session.edit_config(config=config(content), target="candidate")
        session.validate("candidate")
        session.commit()
        return session.get_config("running").data_xml

    assert "<name>eth0</name>" in await with_client(router, work)

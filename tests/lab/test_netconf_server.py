"""The NETCONF server as stock ncclient sees it."""

import asyncio
import socket

import oopt_gnpy_libyang as libyang
import pytest
from lxml import etree
from ncclient.operations import RPCError
from ncclient.transport.errors import AuthenticationError

from lab.router.profiles import PROFILES
from tests.lab.conftest import IF, IP, NC, NI, config, connect, eventually, interface, with_client
from tests.patience import PATIENCE_SECONDS

MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
NS = {"if": IF, "ip": IP, "ncm": MONITORING, "yl": LIBRARY, "nc": NC}
ETH0_AND_1 = interface("eth0", "<description>one</description>") + interface("eth1", f'<ipv4 xmlns="{IP}"/>')


def refusal(call, *args, **kwargs):
    with pytest.raises(RPCError) as caught:
        call(*args, **kwargs)
    return caught.value


def names(reply):
    return reply.data.xpath("//if:interface/if:name/text()", namespaces=NS)


async def test_hello_offers_what_the_profile_has_and_the_modules(router):
    uris = await with_client(router, lambda session: list(session.server_capabilities))
    assert "urn:ietf:params:netconf:base:1.1" in uris
    assert "urn:ietf:params:netconf:capability:confirmed-commit:1.1" in uris
    assert any(uri.startswith(f"{IF}?module=ietf-interfaces&revision=2018-02-20") for uri in uris)
    assert any("yang-library:1.1?revision=2019-01-04&content-id=" in uri for uri in uris)


async def test_a_hello_may_hide_the_modules(make_router):
    router = await make_router(profile=PROFILES["full"].with_quirks(hello_without_modules=True))
    uris = await with_client(router, lambda session: list(session.server_capabilities))
    assert not any("module=" in uri for uri in uris)


@pytest.mark.parametrize("profile", ["full", "confirmed10", "candidate"])
async def test_edit_validate_commit_and_read_back(make_router, profile):
    router = await make_router(profile=profile)

    def work(session):
        with session.locked("candidate"):
            session.edit_config(config=config(ETH0_AND_1), target="candidate")
            session.validate("candidate")
            session.commit()
        return names(session.get_config("running"))

    assert await with_client(router, work) == ["eth0", "eth1"]


async def test_a_router_without_candidate_edits_running(make_router):
    router = await make_router(profile="running")

    def work(session):
        error = refusal(session.edit_config, config=config(ETH0_AND_1), target="candidate")
        session.edit_config(config=config(ETH0_AND_1), target="running")
        return error.tag, names(session.get_config("running"))

    assert await with_client(router, work) == ("operation-not-supported", ["eth0", "eth1"])


async def test_running_is_not_writable_where_the_profile_says_so(make_router):
    router = await make_router(profile="candidate")
    error = await with_client(
        router, lambda session: refusal(session.edit_config, config=config(ETH0_AND_1), target="running")
    )
    assert error.tag == "operation-not-supported"


async def test_a_wrong_password_does_not_get_in(router):
    with pytest.raises(AuthenticationError):
        await asyncio.to_thread(connect, router, password="wrong")


async def test_an_rpc_error_carries_type_tag_path_and_app_tag(router):
    def work(session):
        bad = interface("eth0", f'<bind-ni-name xmlns="{NI}">blue</bind-ni-name>')
        session.edit_config(config=config(bad), target="candidate")
        return refusal(session.validate, "candidate")

    error = await with_client(router, work)
    assert (error.type, error.tag, error.app_tag) == ("application", "data-missing", "instance-required")
    path = error.xml.find(f"{{{NC}}}error-path")
    assert path.text.strip().endswith("/ietf-network-instance:bind-ni-name")
    assert path.nsmap["ietf-network-instance"] == NI
    assert path.nsmap["ietf-interfaces"] == IF


async def test_several_errors_come_in_one_reply_where_the_quirk_says_so(make_router):
    router = await make_router(profile=PROFILES["full"].with_quirks(several_rpc_errors=True))
    error = await with_client(
        router, lambda session: refusal(session.edit_config, config=config("<if:nothing/>"), target="candidate")
    )
    assert len(error.errors) == 4
    assert error.errors[0].tag == "unknown-element"


async def test_a_warning_comes_with_the_ok(make_router):
    router = await make_router(profile=PROFILES["full"].with_quirks(warnings=True))
    reply = await with_client(
        router, lambda session: session.edit_config(config=config(ETH0_AND_1), target="candidate")
    )
    assert "<error-severity>warning</error-severity>" in reply.xml
    assert "<ok/>" in reply.xml


async def test_a_lock_names_its_holder(router):
    def work(first):
        with first.locked("running"):
            second = connect(router)
            try:
                return first.session_id, refusal(second.lock, "running")
            finally:
                second.close_session()

    holder, error = await with_client(router, work)
    assert error.tag == "lock-denied"
    assert f"<session-id>{holder}</session-id>" in error.info


async def test_kill_session_frees_what_it_held(router):
    def work(first):
        second = connect(router)
        second.lock("running")
        first.kill_session(second.session_id)
        first.lock("running")
        return refusal(first.kill_session, first.session_id).tag

    assert await with_client(router, work) == "invalid-value"


async def test_a_confirmed_commit_of_a_dropped_session_is_undone(router):
    def work():
        session = connect(router)
        session.edit_config(config=config(ETH0_AND_1), target="candidate")
        session.commit(confirmed=True, timeout="60")
        kept = names(session.get_config("running"))
        session._session.transport.close()
        return kept

    assert await asyncio.to_thread(work) == ["eth0", "eth1"]
    await eventually(lambda: len(router.store.get("running")) == 0)


async def test_a_persistent_confirmed_commit_is_confirmed_from_another_session(router):
    def first(session):
        session.edit_config(config=config(ETH0_AND_1), target="candidate")
        session.commit(confirmed=True, timeout="60", persist="tx-1")

    def second(session):
        tag = refusal(session.commit, persist_id="tx-2").tag
        session.commit(persist_id="tx-1")
        return tag, names(session.get_config("running"))

    await with_client(router, first)
    assert await with_client(router, second) == ("invalid-value", ["eth0", "eth1"])
    assert router.store.pending_commit is None


async def test_cancel_commit_from_another_session(router):
    def first(session):
        session.edit_config(config=config(ETH0_AND_1), target="candidate")
        session.commit(confirmed=True, timeout="60", persist="tx-1")

    def second(session):
        session.cancel_commit(persist_id="tx-1")
        return names(session.get_config("running"))

    await with_client(router, first)
    assert await with_client(router, second) == []


async def test_confirmed_commit_1_0_has_no_persist(make_router):
    router = await make_router(profile="confirmed10")

    def work(session):
        session.edit_config(config=config(ETH0_AND_1), target="candidate")
        session.commit(confirmed=True, timeout="60")
        session.commit()
        return names(session.get_config("running"))

    assert await with_client(router, work) == ["eth0", "eth1"]


async def test_startup_is_copied_and_deleted(router):
    def work(session):
        session.edit_config(config=config(ETH0_AND_1), target="running")
        session.copy_config("running", "startup")
        copied = names(session.get_config("startup"))
        session.delete_config("startup")
        return copied, names(session.get_config("startup"))

    assert await with_client(router, work) == (["eth0", "eth1"], [])


async def test_discard_changes_cleans_the_candidate(router):
    def work(session):
        session.edit_config(config=config(ETH0_AND_1), target="candidate")
        tag = refusal(session.lock, "candidate").tag
        session.discard_changes()
        session.lock("candidate")
        return tag

    assert await with_client(router, work) == "lock-denied"


# -- reading


async def test_subtree_filters_select_by_content_and_bring_the_keys(make_router):
    router = await make_router(initial=config(ETH0_AND_1))

    def work(session):
        def get(inner):
            return session.get_config("running", filter=("subtree", f'<interfaces xmlns="{IF}">{inner}</interfaces>'))

        return (
            names(get("<interface><name>eth1</name></interface>")),
            get("<interface><description/></interface>").data_xml,
            names(get("<interface><name>eth7</name></interface>")),
            names(get("<interface><name>eth0</name></interface><interface><name>eth1</name></interface>")),
        )

    one, descriptions, none, both = await with_client(router, work)
    assert one == ["eth1"]
    assert "<name>eth0</name><description>one</description></interface>" in descriptions
    assert "type" not in descriptions
    assert "eth1" not in descriptions
    assert none == []
    assert both == ["eth0", "eth1"]


async def test_xpath_filters_select_nodes_with_their_ancestors(make_router):
    router = await make_router(initial=config(ETH0_AND_1))

    def work(session):
        def get(select):
            return session.get_config("running", filter=("xpath", ({"i": IF}, select)))

        return (
            names(get("/i:interfaces/i:interface[i:description='one']")),
            get("//i:description").data_xml,
            names(get("/i:interfaces/i:interface[/i:interfaces/i:interface/i:name='eth1']")),
            refusal(get, "count(/i:interfaces)").tag,
            refusal(get, "/i:interfaces[").tag,
        )

    one, descriptions, both, number, broken = await with_client(router, work)
    assert one == ["eth0"]
    assert "type" not in descriptions
    assert both == ["eth0", "eth1"]
    assert number == broken == "invalid-value"


async def test_with_defaults_shows_tags_or_trims_defaults(make_router):
    router = await make_router(initial=config(interface("eth0", "<enabled>true</enabled>") + interface("eth1")))

    def work(session):
        return {
            mode: session.get_config("running", with_defaults=mode).data_xml
            for mode in ("report-all", "report-all-tagged", "trim", "explicit")
        }

    shown = await with_client(router, work)
    assert shown["report-all"].count("<enabled>true</enabled>") == 2
    assert shown["report-all-tagged"].count(':default="true">true</enabled>') == 2
    assert "enabled" not in shown["trim"]
    assert shown["explicit"].count("<enabled>") == 1


async def test_get_brings_library_and_monitoring(router):
    def work(session):
        session.lock("running")
        return session.session_id, session.get().data

    session_id, tree = await with_client(router, work)
    assert "ietf-ip" in tree.xpath("//yl:yang-library/yl:module-set/yl:module/yl:name/text()", namespaces=NS)
    assert tree.xpath("//ncm:locked-by-session/text()", namespaces=NS) == [session_id]
    assert tree.xpath("//ncm:session/ncm:username/text()", namespaces=NS) == [router.username]


async def test_what_the_router_says_of_itself_is_valid_by_its_own_modules(router):
    tree = await with_client(router, lambda session: session.get().data)
    content = "".join(etree.tostring(child).decode() for child in tree)
    strictly = {"parse_options": libyang.ParseOptions.Strict, "validation_options": libyang.ValidationOptions.Present}
    assert router.schema.context.parse_data(content, libyang.DataFormat.XML, **strictly) is not None


async def test_get_schema_returns_the_module_or_refuses(router):
    def work(session):
        return session.get_schema("ietf-ip").data, refusal(session.get_schema, "no-such-module").tag

    text, tag = await with_client(router, work)
    assert text.lstrip().startswith("module ietf-ip {")
    assert tag == "invalid-value"


# -- notifications


async def test_a_subscriber_hears_of_a_changed_configuration(router):
    def work(session):
        session.create_subscription()
        other = connect(router)
        other.edit_config(config=config(interface("eth0")), target="running")
        other.close_session()
        events = [session.take_notification(timeout=PATIENCE_SECONDS) for _ in range(3)]
        return other.session_id, [event.notification_xml for event in events]

    number, events = await with_client(router, work)
    changed = next(event for event in events if "netconf-config-change" in event)
    assert f"<session-id>{number}</session-id>" in changed
    assert "[ietf-interfaces:name='eth0']</target>" in changed
    assert any("netconf-session-start" in event for event in events)


async def test_a_subscriber_hears_how_another_session_ended(router):
    def work(session):
        session.create_subscription()
        second = connect(router)
        session.kill_session(second.session_id)
        events = [session.take_notification(timeout=PATIENCE_SECONDS).notification_xml for _ in range(2)]
        return second.session_id, events[1]

    number, event = await with_client(router, work)
    assert f"<session-id>{number}</session-id><termination-reason>killed</termination-reason>" in event


async def test_a_subtree_filter_limits_what_a_subscriber_hears(router):
    def work(session):
        session.create_subscription(
            filter=(
                "subtree",
                '<netconf-confirmed-commit xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"/>',
            )
        )
        session.edit_config(config=config(ETH0_AND_1), target="candidate")
        session.commit(confirmed=True, timeout="60")
        return session.take_notification(timeout=PATIENCE_SECONDS).notification_xml

    event = await with_client(router, work)
    assert "<confirm-event>start</confirm-event>" in event
    assert "<timeout>60</timeout>" in event


async def test_a_subscription_to_an_unknown_stream_or_a_replay_is_refused(router):
    def work(session):
        return (
            refusal(session.create_subscription, stream_name="SNMP").tag,
            refusal(session.create_subscription, start_time="2026-01-01T00:00:00Z").tag,
            session.create_subscription().ok,
            refusal(session.create_subscription).tag,
        )

    assert await with_client(router, work) == ("invalid-value", "operation-not-supported", True, "in-use")


async def test_an_event_of_the_router_reaches_those_whose_filter_selects_it(router):
    link_down = etree.fromstring(
        f'<interfaces-state xmlns="{IF}"><interface><name>eth0</name><oper-status>down</oper-status></interface>'
        "</interfaces-state>"
    )

    async def events_seen_through(select, seconds):
        session = await asyncio.to_thread(connect, router)
        await asyncio.to_thread(session.create_subscription, filter=("xpath", ({"i": IF}, select)))
        router.publish(link_down)
        event = await asyncio.to_thread(session.take_notification, timeout=seconds)
        await asyncio.to_thread(session.close_session)
        return event

    assert await events_seen_through("/i:interfaces-state/i:interface[i:name='eth7']", 0.3) is None
    event = await events_seen_through("/i:interfaces-state/i:interface[i:oper-status='down']", PATIENCE_SECONDS)
    assert "<name>eth0</name>" in event.notification_xml


# -- reboot


async def test_a_reboot_drops_sessions_undoes_the_unconfirmed_and_comes_back_on_its_port(router):
    session = await asyncio.to_thread(connect, router)
    await asyncio.to_thread(session.edit_config, config=config(ETH0_AND_1), target="candidate")
    await asyncio.to_thread(session.commit, confirmed=True, timeout="60", persist="tx-1")
    port = router.netconf_port
    await router.reboot()
    assert router.netconf_port == port
    await eventually(lambda: not session.connected)
    assert names(await with_client(router, lambda again: again.get_config("running"))) == []


async def test_while_a_router_reboots_nobody_else_is_given_its_port(router, monkeypatch):
    refused = []

    def boot() -> None:
        with socket.socket() as other, pytest.raises(OSError, match="in use") as refusal:
            other.bind((router.host, router.netconf_port))
        refused.append(refusal.value)

    monkeypatch.setattr(router.store, "reboot", boot)
    await router.reboot()
    assert len(refused) == 1
    assert router.is_up

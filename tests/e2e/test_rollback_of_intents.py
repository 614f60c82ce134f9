"""Rolling back a transaction takes its intent along: what it says is what the network does."""

import orjson

from controller.intent.lifecycle import IntentState
from controller.mapping.service_change import L3smEdit
from controller.runtime.transactions import CommitOptions
from controller.runtime.world import World
from controller.transaction.states import Phase
from tests.e2e.test_intents_in_time import demo_world


async def committed(controller, plan):
    summary = await controller.commit(plan.id, CommitOptions(), "alice")
    assert summary.phase is Phase.COMMITTED, summary.reason
    return summary.id


async def test_an_intent_follows_the_rollback_of_its_creation_its_change_and_its_withdrawal(tmp_path):
    async with demo_world(tmp_path) as world:
        controller = world.controller
        outcome = await controller.submit_intent("Connect London and Paris with 100 Mbit/s for acme", "alice")
        id_, vpn = outcome.record.id, outcome.record.vpn_id

        def now():
            return controller.world.intents.get(id_)

        creation = await committed(controller, outcome.plan)
        assert (now().state, now().transaction) == (IntentState.ACTIVE, creation)
        created = now().intent
        raised = await controller.submit_intent(f"raise vpn {vpn} to 500 Mbit/s", "alice")
        change = await committed(controller, raised.plan)
        assert now().intent != created
        await committed(controller, await controller.plan_rollback(change, "alice"))
        assert (now().state, now().intent) == (IntentState.ACTIVE, created)

        withdrawal = await committed(controller, await controller.withdraw_intent(id_, "alice"))
        assert now().state is IntentState.WITHDRAWN
        back = await committed(controller, await controller.plan_rollback(withdrawal, "alice"))
        assert now().state is IntentState.ACTIVE
        await committed(controller, await controller.plan_rollback(back, "alice"))
        assert now().state is IntentState.WITHDRAWN

        replayed = World()
        replayed.load(world.log)
        assert replayed.intents.to_json() == controller.world.intents.to_json()


async def test_deleting_the_service_at_another_door_ends_its_intent_and_a_rollback_brings_both_back(tmp_path):
    async with demo_world(tmp_path) as world:
        controller = world.controller
        outcome = await controller.submit_intent("Connect London and Paris with 100 Mbit/s for acme", "alice")
        await committed(controller, outcome.plan)
        plan = await controller.plan_service_deletion(outcome.record.vpn_id, "bob")
        deletion = await committed(controller, plan)
        ended = controller.world.intents.get(outcome.record.id)
        assert (ended.state, ended.reason) == (IntentState.WITHDRAWN, "its service was deleted")
        await committed(controller, await controller.plan_rollback(deletion, "bob"))
        assert controller.world.intents.get(outcome.record.id).state is IntentState.ACTIVE
        assert outcome.record.vpn_id in controller.world.services.services


async def test_what_was_added_at_another_door_survives_the_next_change_of_the_intent(tmp_path):
    async with demo_world(tmp_path) as world:
        controller = world.controller
        outcome = await controller.submit_intent("Connect London and Paris with 100 Mbit/s for acme", "alice")
        vpn = outcome.record.vpn_id
        await committed(controller, outcome.plan)
        services = controller.world.services
        london = services.sites[f"{vpn}-london"]
        text = orjson.dumps(london).decode().replace(f"{vpn}-london", "by-hand").replace("London", "Frankfurt")
        by_hand = orjson.loads(text.replace('"GB"', '"DE"').replace("10.", "172."))
        faster = orjson.loads(orjson.dumps(london).replace(b'"100000000"', b'"300000000"'))
        assert faster != london
        edit = L3smEdit(upserted_sites={"by-hand": by_hand, f"{vpn}-london": faster})
        await committed(controller, await controller.plan_services(edit, "by hand", "bob"))
        grown = await controller.submit_intent(f"add Madrid to vpn {vpn}", "alice")
        await committed(controller, grown.plan)
        assert set(services.vpn_sites[vpn]) == {f"{vpn}-london", f"{vpn}-paris", f"{vpn}-madrid", "by-hand"}
        assert services.sites[f"{vpn}-london"] == faster
        shrunk = await controller.submit_intent(f"remove Madrid from vpn {vpn}", "alice")
        await committed(controller, shrunk.plan)
        assert set(services.vpn_sites[vpn]) == {f"{vpn}-london", f"{vpn}-paris", "by-hand"}

"""Intents said to the daemon at once: a stale plan is refused, unless the wish counts rather than the plan."""

from pathlib import Path

from tests.e2e.daemon import DaemonProcess, lab_of_routers


def test_a_stale_plan_of_an_intent_is_made_anew_where_that_is_asked(tmp_path: Path) -> None:
    with lab_of_routers(tmp_path / "lab") as lab, DaemonProcess(tmp_path / "accord", lab) as daemon:
        daemon.wait_until_read()
        said = "Connect London and Paris with 20 Mbit/s for acme"
        first, second = (daemon.intend(said)["plan"] for _ in range(2))
        assert daemon.commit(first["id"])["phase"] == "committed"
        refused = daemon.post("/api/v1/transactions", {"plan": second["id"]})
        assert refused.status_code == 409, refused.text
        wrong = daemon.post("/api/v1/transactions", {"plan": second["id"], "fresh": "yes"})
        assert wrong.status_code == 400, wrong.text
        done = daemon.commit(second["id"], fresh=True, checksum=second["checksum"])
        assert done["phase"] == "committed"
        assert done["plan"] != second["id"]
        assert len(daemon.get("/api/v1/services").json()) == 2

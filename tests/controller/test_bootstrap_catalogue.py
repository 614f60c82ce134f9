"""What the files say becomes what planning may use: cities, bearers, line cards."""

from pathlib import Path

import pytest
import yaml

from controller.adapters.settings_loader import load_settings
from controller.bootstrap import Catalogue, Codecs, load_catalogue
from controller.datastore.codec import Codec
from controller.datastore.diff import diff
from controller.intent.knowledge import normalised
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.model.yang_path import parse_path
from controller.runtime.world import World


def entry(*, platform: object = "", **data: object) -> dict[str, object]:
    return {"platform": platform, "data": {"credential": "ops", **data}}


def catalogue(directory: Path, **hosts: dict[str, object]) -> Catalogue:
    entries = {name: entry(**data) for name, data in hosts.items()}
    (directory / "inventory.yaml").write_text(yaml.safe_dump({"hosts": entries}))
    credentials = directory / "credentials.yaml"
    credentials.write_text(yaml.safe_dump({"credentials": {"ops": {"username": "ops", "password": "x"}}}))
    credentials.chmod(0o600)
    file = directory / "accord.yaml"
    names = ("inventory", "credentials", "tokens")
    file.write_text(yaml.safe_dump({name: str(directory / f"{name}.yaml") for name in names}))
    return load_catalogue(load_settings(file).settings)


def test_cities_of_the_inventory_are_known_and_other_names_of_known_ones_stay_one_city(tmp_path: Path) -> None:
    ulm = {"city": "Ulm", "country": "DE", "lat": 48.4, "lon": 10.0}
    munich = {"city": "Muenchen", "country": "DE", "lat": 48.1, "lon": 11.5}
    core = {"city": "Nowhere", "country": "DE"}
    found = catalogue(
        tmp_path,
        ulm1={"site": ulm, "access_ports": ["ge0"]},
        ulm2={"site": ulm, "access_ports": ["ge0"]},
        muc1={"site": munich, "access_ports": ["ge0"]},
        core1={"site": core},
    )
    names = [city.name for city in found.knowledge.cities]
    assert names.count("Ulm") == 1
    assert "Nowhere" not in names
    munichs = [c for c in found.knowledge.cities if "munchen" in map(normalised, (c.name, *c.aliases))]
    assert [city.name for city in munichs] == ["Munich"]
    assert found.infrastructure.places["ulm", "de"] == (48.4, 10.0)


def test_bearers_cards_and_postal_codes_reach_placement(tmp_path: Path) -> None:
    ports = [{"name": "ge0", "bearer_type": "fibre", "card": "1"}, {"name": "ge1", "bearer_reference": "B-77"}]
    site = {"city": "Ulm", "country": "DE", "postal_code": "89073"}
    found = catalogue(tmp_path, ulm1={"site": site, "access_ports": ports}).infrastructure
    router = found.by_device[next(iter(found.by_device))]
    assert [(p.bearer_type, p.bearer_reference, p.card) for p in router.ports] == [
        ("fibre", "", "1"),
        ("ethernet", "B-77", ""),
    ]
    assert router.postal_code == "89073"
    assert found.by_bearer["B-77"][1].name == "ge1"


def test_a_bearer_reference_names_one_port_only(tmp_path: Path) -> None:
    host: dict[str, object] = {"access_ports": [{"name": "ge0", "bearer_reference": "B-77"}]}
    with pytest.raises(InvalidInputError, match="the bearer 'B-77' to both a ge0 and b ge0"):
        catalogue(tmp_path, a=host, b=host)


def frr_codec(directory: Path, **data: object) -> Codec:
    found = catalogue(directory, frr1={"transport": "cli", "platform": "frr", **data})
    settings = load_settings(directory / "accord.yaml").settings
    settings = settings.model_copy(update={"state_dir": directory / "state"})
    return Codecs(found, World(), settings)(DeviceName("frr1"))


def test_frr_without_an_autonomous_system_is_refused_before_a_line_is_made(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        frr_codec(tmp_path)
    assert refusal.value.device == "frr1"
    assert "hosts.frr1.data.asn" in str(refusal.value)
    assert "give frr1 an autonomous system" in refusal.value.remedy


def test_frr_is_configured_with_its_own_autonomous_system(tmp_path: Path) -> None:
    vrf = "/ietf-network-instance:network-instances/network-instance[name='red']"
    lines = {vrf: "", f"{vrf}/accord-router:l3vpn": "", f"{vrf}/accord-router:l3vpn/route-distinguisher": "65001:7"}
    edit = diff({}, {parse_path(path): value for path, value in lines.items()})
    assert b"router bgp 65001 vrf red" in frr_codec(tmp_path, asn=65001).encode_edit(edit)

"""What the files say becomes what planning may use: cities, bearers, line cards."""

from pathlib import Path

import pytest
import yaml

from controller.adapters.settings_loader import load_settings
from controller.bootstrap import Catalogue, load_catalogue
from controller.intent.knowledge import normalised
from controller.model.errors import InvalidInputError


def catalogue(directory: Path, **hosts: dict[str, object]) -> Catalogue:
    entries = {name: {"data": {"credential": "ops", **data}} for name, data in hosts.items()}
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

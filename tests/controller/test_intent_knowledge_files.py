"""The knowledge base is read from YAML strictly: a misspelt or repeated key is an error with its place."""

import shutil
from pathlib import Path

import pytest

from controller.adapters.knowledge import load_knowledge
from controller.intent.knowledge import Customer, KnowledgeBase
from controller.intent.model import Property
from controller.model.errors import InvalidInputError, NotFoundError

SHIPPED = Path(__file__).parents[2] / "config" / "knowledge"


@pytest.fixture
def directory(tmp_path):
    return Path(shutil.copytree(SHIPPED, tmp_path / "knowledge"))


def test_the_shipped_files_load_and_their_default_template_has_a_bandwidth():
    knowledge = load_knowledge(SHIPPED)
    template = knowledge.template(knowledge.default_template)
    assert Property.BANDWIDTH in {expectation.about for expectation in template.properties}
    assert template.customer in {customer.name for customer in knowledge.customers}


@pytest.mark.parametrize(
    "name,old,new,named",
    [
        ("templates.yaml", "qos-profile: standard", "qos-profil: standard", "qos-profil"),
        ("templates.yaml", "priority: 5", "priority: 5\n    priority: 6", "priority"),
        ("templates.yaml", "priority: 5", "priority: 12", "priority"),
        ("templates.yaml", "priority: 5", "priority: 5\n    fallback-policy: pray", "business.fallback-policy"),
        ("templates.yaml", "100 Mbit/s", "100 MB/s", "templates.business.bandwidth"),
        ("templates.yaml", "default: business", "default: bronze", "bronze"),
        ("templates.yaml", "  gold:", "  business:", "business"),
        ("templates.yaml", "routing: bgp", "routing: rip", "routing"),
        ("customers.yaml", "country: FR", "country: DE", "globex-paris"),
        ("customers.yaml", "globex-docklands", "globex-city", "globex-city"),
        ("customers.yaml", "{name: initech}", "{name: acme corp}", "acme corp"),
        ("cities.yaml", "country: AT,", "country: Austria,", "country"),
        ("cities.yaml", "cities:", "cities: [", "cities.yaml"),
        ("cities.yaml", '"NO": [Norway]', "NO: [Norway]", "countries"),
    ],
)
def test_a_mistake_in_a_file_is_refused_and_named(directory, name, old, new, named):
    path = directory / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InvalidInputError) as refused:
        load_knowledge(directory)
    assert named in str(refused.value)


def test_a_missing_file_is_named(directory):
    (directory / "cities.yaml").unlink()
    with pytest.raises(NotFoundError, match=r"cities\.yaml"):
        load_knowledge(directory)


def test_two_customers_of_one_name_are_refused_however_they_are_written():
    with pytest.raises(InvalidInputError, match="twice"):
        KnowledgeBase(customers=(Customer("Acme"), Customer("acmé")))

"""Scenarios from elsewhere, and `accord bench localise` over them."""

import json
from pathlib import Path

import pytest

from controller.adapters.scenario_file import read_scenario
from controller.cli.main import main
from controller.model.errors import InvalidInputError, NotFoundError
from lab.topologies_topohub import topohub_topology

EXAMPLE = Path(__file__).resolve().parents[2] / "config/lab/localise.yaml"
LINE = """
topology:
  nodes: [a, b, {name: c}, d]
  links: [{a: a, b: b, srlgs: [7, west]}, {a: b, b: c, name: fibre}, {a: c, b: d}, {a: d, b: a, srlgs: [7]}]
cards: {c/1: [fibre, c-d]}
paths:
  p-ab: [a, b]
  p-ac: [a, b, c]
  p-by-links: [c-d, fibre]
  p-da: [d, a]
"""


def written(tmp_path, more, base=LINE):
    file = tmp_path / "scenario.yaml"
    file.write_text(base + more)
    return file


def told(file, capsys, *options):
    assert main(["bench", "localise", "--scenario", str(file), "-o", "json", *options]) == 0
    return json.loads(capsys.readouterr().out)["incidents"]


def test_the_example_names_the_fibre_and_its_direction(capsys):
    (incident,) = told(EXAMPLE, capsys)
    first = incident["causes"][0]
    assert (first["rank"], first["kind"], first["name"]) == (1, "link", "p-brussels-p-lyon")
    assert first["direction"] == "p-brussels > p-lyon"
    assert first["confidence"] > 0.8
    assert incident["known"] == ["link p-brussels-p-lyon"]
    assert not incident["abstains"]


def test_people_see_a_sentence_and_a_table(capsys):
    assert main(["bench", "localise", "--scenario", str(EXAMPLE)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("incident 1: the cause is link p-brussels-p-lyon\n")
    assert "CONFIDENCE" in shown


def test_symptoms_alone_mean_that_all_else_is_good(tmp_path, capsys):
    (incident,) = told(written(tmp_path, "symptoms: [p-ac, p-by-links]\n"), capsys)
    assert incident["causes"][0]["name"] == "fibre"
    assert incident["causes"][0]["contradicted_by"] == []


def test_links_that_are_no_symptoms_are_up_once_one_is(tmp_path, capsys):
    (incident,) = told(written(tmp_path, "symptoms: [a-b, d-a, p-ab, p-ac, p-da]\n"), capsys)
    assert incident["known"] == ["srlg 7"]
    (incident,) = told(written(tmp_path, "symptoms: [fibre, c-d, p-ac, p-by-links]\n"), capsys)
    assert incident["known"] == ["line-card c/1"]


def test_json_is_read_and_observations_of_every_kind_count(tmp_path, capsys):
    file = tmp_path / "scenario.json"
    links = [{"a": "a", "b": "b"}, {"a": "b", "b": "c"}, {"a": "c", "b": "a"}]
    observations = [
        {"node": "c", "state": "silent", "time": "2026-01-01T00:00:10"},
        {"link": "b-c", "sensor": "b", "state": "down", "time": 1767225605},
        {"link": "c-a", "sensor": "a", "state": "down", "time": 1767225606.5},
        {"path": "p", "loss": 1, "sent": 100, "time": "2026-01-01T00:00:08Z"},
        {"path": "q", "delay": 10.2, "usual": 10, "deviation": 0.3},
    ]
    topology = {"nodes": ["a", "b", "c"], "links": links}
    paths = {"p": ["a", "c"], "q": ["a", "b"]}
    file.write_text(json.dumps({"topology": topology, "paths": paths, "observations": observations}))
    (incident,) = told(file, capsys)
    assert incident["known"] == ["node c"]
    assert (incident["start"], incident["end"]) == (1767225605.0, 1767225610.0)
    assert len(incident["symptoms"]) == 4


def test_a_delay_is_bad_when_it_is_beyond_three_deviations(tmp_path):
    late, usual = "delay: 13.9, usual: 10.1, deviation: 0.4", "delay: 11.2, usual: 10.1, deviation: 0.4"
    lines = f"observations: [{{path: p-ab, {late}}}, {{path: p-da, {usual}}}]\n"
    assert [one.is_bad for one in read_scenario(written(tmp_path, lines)).observations] == [True, False]


def test_a_path_by_links_goes_from_the_end_that_the_links_do_not_share(tmp_path):
    (one,) = read_scenario(written(tmp_path, "observations: [{path: p-by-links, lost: 3}]\n")).observations
    assert one.sensor == "d"
    assert {"d", "c", "b"} < one.elements


def test_nodes_may_be_numbers(tmp_path, capsys):
    topology = "topology: {nodes: [1, 2, 3], links: [{a: 1, b: 2}, {a: 2, b: 3}]}\npaths: {x: [1, 2], y: [2, 3]}\n"
    (incident,) = told(written(tmp_path, "symptoms: [x, 1-2]\n", topology), capsys)
    assert incident["known"] == ["link 1-2"]


def test_nothing_wrong_is_said_plainly(tmp_path, capsys):
    file = written(tmp_path, "observations: [{path: p-ab, lost: 0}]\n")
    assert told(file, capsys) == []
    assert main(["bench", "localise", "--scenario", str(file)]) == 0
    assert capsys.readouterr().out == "no symptoms\n"


@pytest.mark.parametrize(
    "more,named",
    [
        ("", "nothing was observed"),
        ("symptoms: [p-xy]\n", "symptom 'p-xy' is no path, link or node"),
        ("observations: [{path: p-xy, lost: 1}]\n", "no path 'p-xy'"),
        ("observations: [{link: a-c, state: up}]\n", "no link 'a-c'"),
        ("observations: [{node: z, state: silent}]\n", "no node 'z'"),
        ("observations: [{path: p-ab, link: a-b, state: up}]\n", "one path, link or node, not: path: p-ab, link: a-b"),
        ("observations: [{path: p-ab}]\n", "not known: path: p-ab"),
        ("observations: [{link: a-b, state: silent}]\n", "not known: link: a-b, state: silent"),
        ("observations: [{path: p-ab, delay: 3}]\n", "beside the usual one: path: p-ab"),
        ("observations: [{path: p-ab, lost: 1001}]\n", "'p-ab' lost 1001 of 1000"),
        ("observations: [{path: p-ab, loss: 1.5}]\n", "observations.0.loss"),
        ("observations: [{path: p-ab, lost: 1, quality: 2}]\n", "observations.0.quality"),
        ("observations: [{path: p-ab, lost: 1, time: .nan}]\n", "observations.0.time"),
        ("observations: [{path: p-ab, last: 1}]\n", "observations.0.last"),
    ],
)
def test_what_is_wrong_with_a_scenario_is_named(tmp_path, more, named):
    with pytest.raises((InvalidInputError, NotFoundError), match=named):
        read_scenario(written(tmp_path, more))


@pytest.mark.parametrize(
    "topology,named",
    [
        ("topology: {nodes: [a], links: [{a: a, b: b}]}", "'b', which is not a node"),
        ("topology: {nodes: [a, b], links: [{a: a, b: b}, {a: a, b: b}]}", "two links are called 'a-b'"),
        ("topology: {nodes: [a, a], links: []}", "named more than once: a"),
        ("topology: {nodes: [a, b, c], links: [{a: a, b: b}]}\npaths: {p: [a, c]}", "from 'a' to 'c'"),
        ("topology: {nodes: [a, b, c], links: [{a: a, b: b}]}\npaths: {p: [a, z]}", "no node 'z'"),
        ("topology: {nodes: [a], links: []}\npaths: {p: [a]}", "path 'p' goes nowhere"),
        ("topology: {nodes: [a], links: []}\npaths: {p: []}", "path 'p' goes nowhere"),
        ("topology: {nodes: [a, b], links: [{a: a, b: b}]}\ncards: {x: [b-c]}\npaths: {p: [a, b]}", "no link 'b-c'"),
        ("topology: {nodes: [a, b], links: [{a: a, b: b}]}\nsrlgs: {x: [b-c]}\npaths: {p: [a, b]}", "no link 'b-c'"),
        ("topology: atlantis", "topology: 'sndlib/atlantis' is neither a file nor a topology of topohub"),
        ("topology: ../../etc", "topology: '../../etc' is neither a file nor"),
        ("paths: {}", "topology: Field required"),
        ("- 1", "mapping"),
    ],
)
def test_what_is_wrong_with_a_topology_is_named(tmp_path, topology, named):
    with pytest.raises((InvalidInputError, NotFoundError), match=named):
        read_scenario(written(tmp_path, "\nsymptoms: [p]\n" if topology[0] != "-" else "", topology))


def test_the_command_ends_with_an_error_that_names_the_file(tmp_path, capsys):
    assert main(["bench", "localise", "--scenario", str(tmp_path / "none.yaml")]) != 0
    assert "none.yaml" in capsys.readouterr().err
    assert main(["bench", "localise", "--scenario", str(written(tmp_path, "symptoms: [p-xy]\n"))]) == 1
    assert "'p-xy'" in capsys.readouterr().err


def test_a_link_alone_that_is_down_is_the_cause_as_both_its_ends_say_so(tmp_path, capsys):
    wires = LINE.partition("paths:")[0]
    (incident,) = told(written(tmp_path, "symptoms: [fibre]\n", wires), capsys)
    assert incident["known"] == ["link fibre"]
    assert incident["causes"][0]["explains"] == ["fibre: no carrier"]
    (doubted,) = told(written(tmp_path, "observations: [{link: fibre, state: down, sensor: b}]\n", wires), capsys)
    assert doubted["causes"][0]["confidence"] < incident["causes"][0]["confidence"]


def test_symptoms_that_nobody_is_named_for_do_not_stand_or_fall_together(tmp_path, capsys):
    paths = "  p-abcd: [a, b, c, d]\n"
    (incident,) = told(written(tmp_path, f"{paths}symptoms: [p-ab, p-ac, p-abcd]\n"), capsys)
    assert (incident["abstains"], incident["known"]) == (False, ["link a-b"])
    assert incident["doubtful_sensors"] == []


@pytest.mark.parametrize(
    "links,named",
    [
        ("[{a: a, b: b}, {a: b, b: b}]", "link 'b-b' joins 'b' with itself"),
        ("[{a: a, b: zurich}]", "link 'a-zurich' ends at 'zurich', which is not a node"),
    ],
)
def test_a_link_that_is_none_is_refused_by_its_name(tmp_path, links, named):
    text = f"topology: {{nodes: [a, b], links: {links}}}\nsymptoms: [a]\n"
    with pytest.raises(InvalidInputError, match=named):
        read_scenario(written(tmp_path, text, base=""))


def test_a_node_that_is_not_there_is_refused_with_the_file(tmp_path):
    file = written(tmp_path, "observations: [{node: zurich, state: silent}]\n")
    with pytest.raises(NotFoundError, match="zurich") as refused:
        read_scenario(file)
    assert refused.value.path == str(file)


def test_a_router_that_lists_all_of_its_paths_wrongly_is_doubted_before_two_faults_are_believed(tmp_path, capsys):
    ring = [f"r{n}" for n in range(8)]
    links = [{"a": one, "b": other} for one, other in zip(ring, [*ring[1:], ring[0]], strict=True)]
    ways = {
        f"{one}>{ring[(n + hops) % 8]}": [ring[(n + k) % 8] for k in range(hops + 1)]
        for n, one in enumerate(ring)
        for hops in (1, 2, 3)
    }
    ways |= {f"{way[-1]}>{way[0]}": way[::-1] for way in list(ways.values())}
    bad = [name for name, way in ways.items() if {"r0", "r1"} <= set(way)]
    wrong = sorted(set(bad) ^ {name for name in ways if name.startswith("r5>")})
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps({"topology": {"nodes": ring, "links": links}, "paths": ways, "symptoms": wrong}))
    (incident,) = told(file, capsys)
    assert (incident["known"], incident["doubtful_sensors"]) == (["link r0-r1"], ["r5"])


PUBLISHED = """
srlgs: {duct: [aachen-koeln, duesseldorf-koeln]}
paths:
  one: [aachen, koeln]
  other: [duesseldorf, koeln]
  third: [koeln, koblenz]
"""


@pytest.mark.parametrize("name", ["sndlib/germany50", "germany50"])
def test_a_published_topology_may_be_named_and_shared_risks_stand_beside_it(tmp_path, capsys, name):
    text = f"topology: {name}\n{PUBLISHED}symptoms: [one, other, koeln-aachen, duesseldorf-koeln]\n"
    (incident,) = told(written(tmp_path, text, base=""), capsys)
    assert incident["known"] == ["srlg duct"]


def test_a_published_topology_has_the_links_and_routers_of_the_lab(tmp_path):
    lab = topohub_topology("sndlib/nobel-eu")
    file = written(tmp_path, f"topology: sndlib/nobel-eu\nsymptoms: [{lab.nodes[0].name}]\n", base="")
    groups = read_scenario(file).groups
    assert {group.name for group in groups if group.kind == "node"} == {node.name for node in lab.nodes}
    wires = {frozenset((link.a.node, link.b.node)) for link in lab.links}
    assert {group.name for group in groups if group.kind == "link"} == {"-".join(sorted(wire)) for wire in wires}


def test_a_link_without_a_name_may_be_called_from_either_end(tmp_path, capsys):
    (incident,) = told(written(tmp_path, "symptoms: [d-c, p-by-links]\n"), capsys)
    assert incident["known"] == ["link c-d"]


def test_a_router_that_is_down_lists_nothing_and_is_named_all_the_same(tmp_path, capsys):
    ring = [f"r{n}" for n in range(6)]
    links = [{"a": one, "b": other} for one, other in zip(ring, [*ring[1:], ring[0]], strict=True)]
    ways = {}
    for n, one in enumerate(ring):
        for turn in (1, -1):
            for hops in (1, 2):
                ways[f"{one}>{ring[(n + turn * hops) % 6]}"] = [ring[(n + turn * k) % 6] for k in range(hops + 1)]
    bad = [name for name, way in ways.items() if "r2" in way and way[0] != "r2"]
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps({"topology": {"nodes": ring, "links": links}, "paths": ways, "symptoms": bad}))
    (incident,) = told(file, capsys)
    assert incident["known"] == ["node r2"]

"""Both validators say yes and no to the same service instances, and say where and why."""

import json
import threading
from pathlib import Path

import pytest

from controller.adapters.validation import L3SM_MODULES, instance_validator, l3sm_validator
from controller.adapters.validation_xml import unwrapped
from controller.model.errors import InvalidInputError, NotFoundError
from controller.ports import InstanceValidator


@pytest.fixture(scope="module", params=["libyang", "yangson"])
def l3sm(request: pytest.FixtureRequest) -> InstanceValidator:
    return instance_validator(L3SM_MODULES, engine=request.param)


def service(**site: object) -> bytes:
    vpn = {"vpn-id": "acme", "customer-name": "Acme"}
    sites = [{"site-id": "paris", "management": {"type": "provider-managed"}, "locations": {}, **site}]
    return json.dumps(
        {"ietf-l3vpn-svc:l3vpn-svc": {"vpn-services": {"vpn-service": [vpn]}, "sites": {"site": sites}}}
    ).encode()


def access(**changes: object) -> dict[str, object]:
    entry = {
        "site-network-access-id": "1",
        "site-network-access-type": "point-to-point",
        "device-reference": "ce",
        "service": {"svc-input-bandwidth": "1000", "svc-output-bandwidth": "1000", "svc-mtu": 1500},
        "vpn-attachment": {"vpn-id": "acme"},
        **changes,
    }
    device = {
        "device": [
            {"device-id": "ce", "location": "l", "management": {"address-family": "ipv4", "address": "192.0.2.1"}}
        ]
    }
    locations = {"location": [{"location-id": "l"}]}
    return {
        "management": {"type": "co-managed"},
        "locations": locations,
        "devices": device,
        "site-network-accesses": {"site-network-access": [entry]},
    }


def test_a_good_instance_has_no_findings(l3sm: InstanceValidator) -> None:
    assert l3sm.validate(service()) == []
    assert l3sm.validate(service(**access())) == []


@pytest.mark.parametrize(
    "document, words",
    [
        (service(management={}), "management"),
        (service(nonsense=1), "nonsense"),
        (service(management={"type": "left-alone"}), "management"),
        (service(**access(**{"vpn-attachment": {"vpn-id": "nobody"}})), "vpn-id"),
        (
            service(**access(service={"svc-input-bandwidth": "1", "svc-output-bandwidth": "1", "svc-mtu": 70000})),
            "svc-mtu",
        ),
        (b'{"ietf-l3vpn-svc:l3vpn-svc": ', ""),
        (b"\xff", "not a json document"),
        (b"[]", ""),
    ],
)
def test_what_the_model_forbids_is_found_and_placed(l3sm: InstanceValidator, document: bytes, words: str) -> None:
    findings = l3sm.validate(document)
    assert findings
    assert any(words in f"{finding.path} {finding.message}" for finding in findings)
    assert all(finding.path.startswith("/") for finding in findings)
    assert l3sm.validate(service()) == [], "one call leaves nothing behind for the next"


@pytest.mark.parametrize("wrapper", ["", "data", "config"])
def test_xml_is_validated_with_and_without_its_wrapper(l3sm: InstanceValidator, wrapper: str) -> None:
    def document(name: str) -> bytes:
        text = (
            '<l3vpn-svc xmlns="urn:ietf:params:xml:ns:yang:ietf-l3vpn-svc"><vpn-services><vpn-service>'
            f"<vpn-id>a</vpn-id><{name}>Acme</{name}></vpn-service></vpn-services></l3vpn-svc>"
        )
        return (f"<{wrapper}>{text}</{wrapper}>" if wrapper else text).encode()

    assert l3sm.validate(document("customer-name"), "xml") == []
    assert "colour" in str(l3sm.validate(document("colour"), "xml"))
    assert "not a xml document" in l3sm.validate(b"<unclosed", "xml")[0].message


def test_an_xml_entity_is_not_expanded(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    document = f'<!DOCTYPE a [<!ENTITY e SYSTEM "file://{secret}">]><data><a>&e;</a></data>'
    assert "hush" not in unwrapped(document.encode())


def test_libyang_tells_every_violation_of_an_instance_and_writes_nothing_to_stderr(
    capfd: pytest.CaptureFixture[str],
) -> None:
    findings = l3sm_validator().validate(service(**access(service={}, **{"vpn-attachment": {"vpn-id": "nobody"}})))
    assert len(findings) >= 4
    assert {"instance-required"} <= {finding.app_tag for finding in findings}
    assert capfd.readouterr().err == ""


def test_state_in_a_configuration_is_a_finding() -> None:
    document = {"ietf-interfaces:interfaces": {"interface": [{"name": "a", "oper-status": "up"}]}}
    validator = instance_validator(["ietf-interfaces", "iana-if-type"])
    assert "oper-status" in str(validator.validate(json.dumps(document).encode()))


def test_one_validator_serves_many_threads() -> None:
    validator = l3sm_validator()
    wrong: list[object] = []

    def work(is_good: bool) -> None:
        for _ in range(30):
            findings = validator.validate(service() if is_good else service(management={}))
            if bool(findings) is is_good:
                wrong.append(findings)

    threads = [threading.Thread(target=work, args=(number % 2 == 0,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("engine", ["libyang", "yangson"])
def test_modules_that_are_missing_or_broken_are_refused(engine: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no-such"):
        instance_validator(["no-such"], [str(tmp_path)], engine=engine)
    (tmp_path / "bad.yang").write_text('module bad { namespace "urn:bad"; prefix x; leaf a { type nothing; } }')
    with pytest.raises(InvalidInputError, match=r"do(es)? not compile"):
        instance_validator(["bad"], [str(tmp_path)], engine=engine)


def test_modules_in_directories_below_the_path_are_found(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "deep.yang").write_text('module deep { namespace "urn:d"; prefix d; leaf a { type int8; } }')
    validator = instance_validator(["deep"], [str(tmp_path)])
    assert validator.validate(b'{"deep:a": 5}') == []
    assert validator.validate(b'{"deep:a": 500}')

"""RESTCONF's paths, queries and error documents, before any server is involved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.router.restconf_errors import ErrorEntry, RestconfError, errors_json, errors_xml, refuse
from lab.router.restconf_query import parse_query
from lab.router.restconf_uri import Step, encode_key, parse_api_path


def test_a_path_is_split_before_it_is_decoded():
    assert parse_api_path("/m:top/entry=a%2Fb%2C%25,c%3Dd/leaf") == (
        Step("m", "top"),
        Step(None, "entry", ("a/b,%", "c=d")),
        Step(None, "leaf"),
    )


def test_the_empty_path_is_the_datastore_itself():
    assert parse_api_path("") == ()
    assert parse_api_path("/") == ()


def test_an_empty_key_value_is_a_key_value():
    assert parse_api_path("list=,x") == (Step(None, "list", ("", "x")),)


@pytest.mark.parametrize("raw", ["a//b", "a/=x", "a=%zz", "a=%ff", "1a", "m:n:o", "a=%", "[x]"])
def test_a_malformed_path_is_refused_as_invalid_value(raw):
    with pytest.raises(RestconfError) as caught:
        parse_api_path(raw)
    assert caught.value.status == 400
    assert caught.value.entries[0].tag == "invalid-value"


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=3))
def test_any_key_survives_encoding_and_parsing(keys):
    raw = "list=" + ",".join(encode_key(key) for key in keys)
    assert parse_api_path(raw) == (Step(None, "list", tuple(keys)),)


@pytest.mark.parametrize(
    "raw",
    [
        "depth=1&depth=1",
        "depth=0",
        "depth=65536",
        "depth=-1",
        "content=everything",
        "with-defaults=all",
        "filter=x",
        "fields=a(b",
        "fields=a)b",
        "fields=",
        "fields=a;;b",
        "insert=first",
    ],
)
def test_a_wrong_query_parameter_is_refused(raw):
    with pytest.raises(RestconfError) as caught:
        parse_query(raw, "GET")
    assert caught.value.status == 400


@pytest.mark.parametrize("raw", ["insert=before", "point=%2Fa", "insert=first&point=%2Fa", "insert=middle", "depth=1"])
def test_insert_and_point_go_together_and_only_with_writes(raw):
    with pytest.raises(RestconfError):
        parse_query(raw, "PUT")


def test_fields_nest_with_parentheses_slashes_and_semicolons():
    fields = parse_query("fields=m:a(b%3Bc/d)%3Be", "GET").fields
    assert set(fields.children) == {"m:a", "e"}
    assert set(fields.children["m:a"].children) == {"b", "c"}
    assert fields.children["m:a"].children["c"].children["d"].whole


@pytest.mark.parametrize(
    "tag,status",
    [("data-exists", 409), ("access-denied", 403), ("invalid-value", 400), ("operation-failed", 500), ("in-use", 409)],
)
def test_an_error_tag_decides_the_status(tag, status):
    assert refuse(tag, "no").status == status


def test_the_errors_document_says_the_same_in_both_encodings():
    entry = ErrorEntry("data-missing", "gone", "application", "/a:b", "app", (("bad-element", "b"),))
    error = errors_json((entry,))["ietf-restconf:errors"]["error"][0]
    assert error == {
        "error-type": "application",
        "error-tag": "data-missing",
        "error-app-tag": "app",
        "error-path": "/a:b",
        "error-message": "gone",
        "error-info": {"bad-element": "b"},
    }
    xml = errors_xml((entry,))
    ns = {"r": "urn:ietf:params:xml:ns:yang:ietf-restconf"}
    assert xml.xpath("string(//r:error-tag)", namespaces=ns) == "data-missing"
    assert xml.xpath("string(//r:error-info/r:bad-element)", namespaces=ns) == "b"

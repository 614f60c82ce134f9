"""Whatever is said: no word is passed over, order does not change the meaning, and nothing but questions comes back."""

import re
from datetime import UTC, datetime
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from controller.adapters.knowledge import load_knowledge
from controller.intent.knowledge import City, Customer, KnowledgeBase, KnownVpn
from controller.intent.language import LONGEST_TEXT, understand
from controller.intent.model import Intent, SiteReference
from controller.intent.reading import NeedsClarification, QuestionKind, Result, Understood
from controller.intent.tokens import FILLERS, tokenise
from controller.intent.vocabulary import NEGATIONS
from controller.model.errors import InvalidInputError

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)
LONDON, PARIS, MADRID = SiteReference("London", "GB"), SiteReference("Paris", "FR"), SiteReference("Madrid", "ES")
VPNS = (
    KnownVpn("acme-1", "acme", (LONDON, PARIS)),
    KnownVpn("globex-1", "globex", (SiteReference("London", "GB", "globex-city"), MADRID)),
    KnownVpn("globex-2", "globex", (PARIS, SiteReference("Berlin", "DE"), MADRID)),
)


@cache
def knowledge() -> KnowledgeBase:
    return load_knowledge(HERE.parents[1] / "config" / "knowledge").merged(vpns=VPNS)


def listen(text: str, **more: str) -> Result:
    return understand(text, knowledge(), now=NOW, **more)


def phrasings() -> list[str]:
    files = ("phrasings.yaml", "phrasings_adversarial.yaml")
    cases = [case for name in files for case in yaml.safe_load((HERE / name).read_text(encoding="utf-8"))]
    return [case["say"] for case in cases if "ask" not in case]


UNDERSTOOD = phrasings()
EVERY_WORD = sorted({word for say in UNDERSTOOD for word in say.split()} | NEGATIONS | FILLERS | {"-", "50", "Lyon"})
unknown_words = st.text(alphabet="bcdfghjklmnpqrstvwxz", min_size=5, max_size=9)


def inserted(say: str, position: int, word: str) -> str:
    words = say.split()
    where = position % (len(words) + 1)
    return " ".join([*words[:where], word, *words[where:]])


@given(st.sampled_from(UNDERSTOOD), st.integers(0, 40), unknown_words)
def test_an_unknown_word_anywhere_is_asked_back_by_name(say, position, word):
    result = listen(inserted(say, position, word))
    assert isinstance(result, NeedsClarification)
    assert any(word in question.words for question in result.questions)


@given(st.sampled_from(UNDERSTOOD), st.integers(0, 40), st.sampled_from(sorted(NEGATIONS)))
def test_a_negation_anywhere_is_asked_back(say, position, word):
    result = listen(inserted(say, position, word))
    assert isinstance(result, NeedsClarification)
    asked = [question for question in result.questions if word in question.words.casefold().split()]
    # `no` before `less than` makes a comparison of its own, which must then be asked about as a whole.
    assert any(question.kind is QuestionKind.NEGATION or word in {"no", "not"} for question in asked)


@pytest.mark.parametrize("say", UNDERSTOOD)
def test_every_word_stands_in_a_reading_or_is_one_that_only_joins(say):
    """Checked against a list of its own, so that the grammar cannot widen its list of joining words unseen."""
    joining = {
        "a",
        "an",
        "the",
        "please",
        "and",
        "with",
        "using",
        "at",
        "in",
        "of",
        "to",
        "for",
        "as",
        "from",
        "between",
    }
    joining |= {"could", "you", "vpn", "l3vpn", "service", "sites", "is", "named"}
    result = listen(say)
    assert isinstance(result, Understood)
    read = [token.norm for reading in result.readings for token in tokenise(reading.words)]
    left = [token.norm for token in tokenise(say) if token.norm not in read and any(map(str.isalnum, token.text))]
    assert set(left) <= joining


@given(st.lists(st.sampled_from(EVERY_WORD), min_size=1, max_size=14).map(" ".join))
def test_a_salad_of_known_words_is_read_or_asked_back_and_no_negation_is_passed_over(text):
    result = listen(text)
    if isinstance(result, Understood):
        assert not {word.casefold().strip(".,") for word in text.split()} & (NEGATIONS - {"no", "not"})


@given(st.text(max_size=80))
def test_any_text_is_asked_back_or_refused_as_invalid_input(text):
    if not text.strip():
        with pytest.raises(InvalidInputError):
            listen(text)
        return
    result = listen(text)
    assert isinstance(result, NeedsClarification)
    assert result.questions
    for question in result.questions:
        assert text[question.start :].startswith(question.words)


@given(st.sampled_from(UNDERSTOOD), st.data())
def test_the_questions_about_a_damaged_sentence_quote_it_exactly(say, data):
    position = data.draw(st.integers(0, len(say) - 1))
    text = say[:position] + data.draw(st.characters(codec="utf-8")) + say[position + data.draw(st.integers(0, 3)) :]
    assume(text.strip())
    result = listen(text)
    if isinstance(result, NeedsClarification):
        assert all(text[question.start :].startswith(question.words) for question in result.questions)


CLAUSES = ("connect Rome and Vienna", "with 200 Mbit/s", "at most 20 ms latency", "for acme", "from Monday")


@pytest.mark.parametrize("order", list(permutations(CLAUSES)), ids=lambda order: " ".join(order)[:50])
def test_the_order_of_the_clauses_does_not_matter(order):
    straight, turned = listen(" ".join(CLAUSES)), listen(", ".join(order))
    assert isinstance(straight, Understood)
    assert isinstance(turned, Understood), [str(question) for question in turned.questions]
    assert isinstance(turned.wish, Intent)
    assert set(turned.wish.properties) == set(straight.wish.properties)
    assert (turned.wish.delivery, turned.wish.customer, turned.wish.validity) == (
        straight.wish.delivery, straight.wish.customer, straight.wish.validity,
    )  # fmt: skip
    assert turned.assumed == straight.assumed


@pytest.mark.parametrize("say", UNDERSTOOD)
def test_case_spacing_and_politeness_do_not_matter(say):
    loud = re.sub(r"\s+", "   ", f"please {say}")
    assert listen(loud).wish == listen(say).wish
    assert listen(say[:1].swapcase() + say[1:]).wish == listen(say).wish


def test_what_is_unsaid_is_shown_as_assumed_with_its_template():
    result = listen("connect Rome and Vienna for acme")
    assert isinstance(result, Understood)
    assert {(item.field, item.value, item.template) for item in result.assumed} == {
        ("service-type", "l3vpn", "business"), ("topology", "any-to-any", "business"),
        ("bandwidth", ">= 100 Mbit/s", "business"), ("address-family", "ipv4", "business"),
        ("address-allocation", "static", "business"), ("routing", "static", "business"),
        ("qos-profile", "standard", "business"), ("priority", "5", "business"),
    }  # fmt: skip


def test_the_caller_is_the_customer_when_none_is_named_and_the_owner_always():
    result = listen("connect Rome and Vienna", caller="initech")
    assert isinstance(result, Understood)
    assert (result.wish.customer, result.wish.owner) == ("initech", "initech")
    assert ("customer", "initech", "caller") in {(item.field, item.value, item.template) for item in result.assumed}


def test_a_customer_who_speaks_can_only_refer_to_its_own_things():
    for text in ("delete vpn acme-1", "delete globex-9", "connect Rome and Vienna for acme"):
        result = listen(text, caller="globex")
        assert isinstance(result, NeedsClarification)
        assert not any("acme" in suggestion for question in result.questions for suggestion in question.suggestions)
    which = listen("raise the VPN to 500 Mbit/s", caller="globex")
    assert isinstance(which, NeedsClarification)
    assert which.questions[0].suggestions == ("globex-1", "globex-2")
    with pytest.raises(InvalidInputError, match="hooli"):
        listen("connect Rome and Vienna", caller="hooli")


def test_one_direction_of_bandwidth_said_leaves_the_other_to_the_template():
    result = listen("connect Rome and Vienna for acme with 300 Mbit/s download")
    assert isinstance(result, Understood)
    assert {str(item.about): str(item) for item in result.wish.properties} == {
        "input-bandwidth": ">= 300 Mbit/s", "output-bandwidth": ">= 100 Mbit/s",
    }  # fmt: skip
    assert "output-bandwidth" in {item.field for item in result.assumed}


def test_a_misspelt_name_comes_back_with_what_it_may_mean():
    result = listen("connect Pariss and Vienna for acme")
    assert isinstance(result, NeedsClarification)
    assert [(question.words, question.suggestions) for question in result.questions] == [("Pariss", ("Paris",))]
    assert str(result.questions[0]) == '"Pariss": what does this mean? (Paris)'


def test_the_inventory_teaches_new_cities_and_customers_without_changing_known_ones():
    more = knowledge().merged(
        cities=[City("Łódź", "PL"), City("London", "GB", latitude=0)], customers=[Customer("hooli")]
    )
    assert [city.latitude for city in more.cities if city.name == "London"] == [51.51]
    result = understand("connect Łódź and London for hooli", more, now=NOW)
    assert isinstance(result, Understood)
    assert result.wish.delivery.sites == (SiteReference("Łódź", "PL"), LONDON)


@pytest.mark.parametrize("text", ["", "  \n", "connect " + "Paris and " * LONGEST_TEXT])
def test_an_empty_or_endless_text_is_refused(text):
    with pytest.raises(InvalidInputError):
        listen(text)


def test_a_moment_without_zone_is_refused():
    with pytest.raises(InvalidInputError, match="time zone"):
        understand("connect Rome and Vienna", knowledge(), now=datetime(2026, 1, 1))  # noqa: DTZ001 - on purpose


def test_struck_out_and_look_alike_letters_are_not_read_as_plain_ones():
    for text in ("connect Rome and Vi\u0435nna for acme", "connect Rome and P\u0336aris for acme"):
        assert isinstance(listen(text), NeedsClarification)

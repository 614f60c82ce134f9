"""RFC 6242 framing: whatever the cuts, the same messages; whatever the nonsense, one clear error."""

import pytest

from controller.model.errors import ProtocolViolationError
from drivers.netconf.framing import FrameDecoder, frame

FIRST = "<hello>Zürich 東京 🙂</hello>".encode()
SECOND = b"<rpc-reply>]]&gt;\n##\n is text here</rpc-reply>"


def chunked_decoder(limit: int = 1000) -> FrameDecoder:
    decoder = FrameDecoder(limit)
    decoder.switch_to_chunks()
    return decoder


def fed(decoder: FrameDecoder, *parts: bytes) -> list[bytes]:
    return [bytes(message) for part in parts for message in decoder.feed(part)]


def in_chunks(message: bytes, size: int) -> bytes:
    pieces = [message[start : start + size] for start in range(0, len(message), size)]
    return b"".join(b"\n#%d\n%b" % (len(piece), piece) for piece in pieces) + b"\n##\n"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_messages_survive_every_size_of_read(chunked, step):
    wire = frame(FIRST, chunked=chunked) + frame(SECOND, chunked=chunked)
    decoder = chunked_decoder() if chunked else FrameDecoder()
    assert fed(decoder, *(wire[at : at + step] for at in range(0, len(wire), step))) == [FIRST, SECOND]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_characters_may_straddle_chunks(size):
    wire = in_chunks(FIRST, size) + in_chunks(SECOND, size)
    assert fed(chunked_decoder(), *(wire[at : at + 1] for at in range(len(wire)))) == [FIRST, SECOND]
    assert fed(chunked_decoder(), wire) == [FIRST, SECOND]


def test_every_single_cut_of_two_chunked_messages_gives_both():
    wire = in_chunks(FIRST, 9) + frame(SECOND, chunked=True)
    for cut in range(len(wire)):
        assert fed(chunked_decoder(), wire[:cut], wire[cut:]) == [FIRST, SECOND], cut


def test_the_framing_changes_between_two_messages_of_one_read():
    decoder = FrameDecoder()
    messages = []
    for message in decoder.feed(frame(FIRST, chunked=False) + frame(SECOND, chunked=True)):
        messages.append(bytes(message))
        decoder.switch_to_chunks()
    assert messages == [FIRST, SECOND]


def test_line_ends_between_messages_are_forgiven():
    assert fed(chunked_decoder(), b"\n" + frame(FIRST, chunked=True) + b"\r\n" + frame(SECOND, chunked=True)) == [
        FIRST,
        SECOND,
    ]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"<rpc-reply/>]]>]]>",
        b"\n#0\n\n##\n",
        b"\n#01\na\n##\n",
        b"\n#-1\n",
        b"\n#12345678901\n",
        b"\n#5 \nabcde\n##\n",
        b"\n##\n",
        b"\n#3\nabcX#3\n",
        b"\n#99999999999999999999",
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
def test_a_broken_chunk_is_a_protocol_violation(nonsense, step):
    with pytest.raises(ProtocolViolationError):
        fed(chunked_decoder(), *(nonsense[at : at + step] for at in range(0, len(nonsense), step)))


def test_a_chunk_larger_than_the_limit_is_refused_at_its_header():
    with pytest.raises(ProtocolViolationError, match="more than 10 bytes"):
        fed(chunked_decoder(10), b"\n#11\n")


def test_chunks_that_add_up_to_more_than_the_limit_are_refused():
    with pytest.raises(ProtocolViolationError, match="more than 10 bytes"):
        fed(chunked_decoder(10), b"\n#6\nabcdef\n#6\n")


def test_a_message_without_an_end_is_refused_at_the_limit():
    with pytest.raises(ProtocolViolationError, match="more than 10 bytes"):
        fed(FrameDecoder(10), b"x" * 40)


def test_a_message_of_exactly_the_limit_passes():
    assert fed(chunked_decoder(10), b"\n#10\n0123456789\n##\n") == [b"0123456789"]
    assert fed(FrameDecoder(10), b"0123456789]]>]]>") == [b"0123456789"]

"""Payloads that are compressed and encrypted on their way."""

from __future__ import annotations

import base64
import sys
import zlib

import pytest
from durabletask_client import JsonDataConverter
from durabletask_client.codecs import AesGcmCodec, CodecDataConverter, PayloadCodec, PayloadCodecError, ZlibCodec

OLD, NEW = b"o" * 32, b"n" * 32
VALUE = {"text": "a" * 2000, "more": [1, None, "ü"]}

json = JsonDataConverter()


class Reversed:
    """Only turns bytes around."""

    name = "reversed"

    def encode(self, data: bytes) -> bytes:
        return data[::-1]

    def decode(self, data: bytes) -> bytes:
        return data[::-1]


def aes(current: str = "old", **keys: bytes) -> AesGcmCodec:
    pytest.importorskip("cryptography")

    return AesGcmCodec(keys or {"old": OLD}, current=current)


def written(converter: CodecDataConverter, value: object) -> str:
    payload = converter.serialize(value)
    assert payload is not None

    return payload


class TestChain:
    @pytest.mark.parametrize("value", [VALUE, "", 0, [], "\ud800"])
    def test_reads_what_it_wrote(self, value: object) -> None:
        converter = CodecDataConverter(json, [ZlibCodec(), Reversed(), aes()])

        assert converter.deserialize(converter.serialize(value)) == value

    def test_hands_on_the_hint(self) -> None:
        converter = CodecDataConverter(json, [ZlibCodec()])

        assert converter.deserialize(converter.serialize({1, 2}), set[int]) == {1, 2}

    def test_names_the_codecs(self) -> None:
        payload = written(CodecDataConverter(json, [ZlibCodec(), Reversed()]), 1)

        assert payload == "codecs:zlib,reversed:" + base64.b64encode(b"1\x00").decode()

    @pytest.mark.parametrize("strict", [False, True])
    def test_none_is_no_payload(self, strict: bool) -> None:
        converter = CodecDataConverter(json, [Reversed()], strict=strict)

        assert converter.serialize(None) is None
        assert converter.deserialize(None, int) is None
        assert converter.deserialize("") is None

    def test_reads_plain_payloads(self) -> None:
        assert CodecDataConverter(json, [Reversed()]).deserialize('{"a": 1}') == {"a": 1}

    def test_reads_what_went_through_some(self) -> None:
        payload = written(CodecDataConverter(json, [ZlibCodec()]), VALUE)

        assert CodecDataConverter(json, [ZlibCodec(), Reversed()]).deserialize(payload) == VALUE

    def test_reads_what_went_through_former_ones(self) -> None:
        payload = written(CodecDataConverter(json, [Reversed()]), VALUE)
        converter = CodecDataConverter(json, [ZlibCodec()], former=[Reversed()])

        assert converter.deserialize(payload) == VALUE
        assert written(converter, 1).startswith("codecs:zlib:")

    @pytest.mark.parametrize("payload", ["1", "null", "codecs:zlib:ADE="])
    def test_strict_refuses_what_lacks_a_codec(self, payload: str) -> None:
        converter = CodecDataConverter(json, [ZlibCodec(), Reversed()], strict=True)

        with pytest.raises(PayloadCodecError, match=r"has not been through .*reversed"):
            converter.deserialize(payload)

        assert converter.deserialize(converter.serialize(1)) == 1

    @pytest.mark.parametrize(
        ("payload", "complaint"),
        [
            ("codecs:other:AAAA", "'other'"),
            ("codecs:", "''"),
            ("codecs:reversed:?", "no base64"),
            ("codecs:reversed:/w==", "no text"),
        ],
    )
    def test_says_what_it_cannot_decode(self, payload: str, complaint: str) -> None:
        with pytest.raises(PayloadCodecError, match=complaint):
            CodecDataConverter(json, [Reversed()]).deserialize(payload)

    @pytest.mark.parametrize(
        ("codecs", "former", "complaint"),
        [([], [], "empty"), ([Reversed()], [Reversed()], "same name"), ([ZlibCodec(), ZlibCodec()], [], "same name")],
    )
    def test_refuses_chains_that_cannot_be_read(
        self, codecs: list[PayloadCodec], former: list[PayloadCodec], complaint: str
    ) -> None:
        with pytest.raises(ValueError, match=complaint):
            CodecDataConverter(json, codecs, former=former)

    def test_refuses_names_that_would_not_be_found_again(self) -> None:
        codec = Reversed()
        codec.name = "a,b"

        with pytest.raises(ValueError, match="'a,b' is no name"):
            CodecDataConverter(json, [codec])


class TestZlib:
    def test_makes_large_payloads_small(self) -> None:
        assert len(ZlibCodec().encode(b"a" * 1000)) < 50

    @pytest.mark.parametrize("data", [b"", b"a" * 511, bytes(range(256)) * 2], ids=["none", "small", "dense"])
    def test_leaves_alone_what_would_not_gain(self, data: bytes) -> None:
        assert ZlibCodec(minimum_bytes=512 if len(data) < 512 else 0, level=0).encode(data) == b"\x00" + data

    @pytest.mark.parametrize(
        "data",
        [b"", b"\x02x", b"\x01x", b"\x01" + zlib.compress(b"abc")[:-2], b"\x01" + zlib.compress(b"abc") + b"x"],
        ids=["none", "mark", "garbage", "short", "long"],
    )
    def test_refuses_damage(self, data: bytes) -> None:
        with pytest.raises(PayloadCodecError, match="damaged"):
            ZlibCodec().decode(data)

    def test_refuses_what_grows_too_much(self) -> None:
        data = ZlibCodec().encode(b"a" * 1000)

        assert len(ZlibCodec(maximum_bytes=1000).decode(data)) == 1000

        with pytest.raises(PayloadCodecError, match="beyond 999 bytes"):
            ZlibCodec(maximum_bytes=999).decode(data)

    @pytest.mark.parametrize("numbers", [{"level": 10}, {"minimum_bytes": -1}, {"maximum_bytes": 0}])
    def test_refuses_numbers_out_of_range(self, numbers: dict[str, int]) -> None:
        with pytest.raises(ValueError, match=next(iter(numbers))):
            ZlibCodec(**numbers)


class TestAesGcm:
    def test_hides_the_text_and_never_writes_it_twice_alike(self) -> None:
        codec = aes()
        first, second = codec.encode(b"secret"), codec.encode(b"secret")

        assert b"secret" not in first
        assert first != second
        assert codec.decode(first) == codec.decode(second) == b"secret"

    def test_reads_older_payloads_after_a_rotation(self) -> None:
        before = aes().encode(b"x")
        rotated = aes("new", old=OLD, new=NEW)

        assert rotated.decode(before) == b"x"

        with pytest.raises(PayloadCodecError, match="the key 'new'"):
            aes().decode(rotated.encode(b"x"))

    def test_refuses_a_change_of_any_byte(self) -> None:
        codec, data = aes(), aes().encode(b"secret")

        for index in range(len(data)):
            changed = bytearray(data)
            changed[index] ^= 1

            with pytest.raises(PayloadCodecError):
                codec.decode(bytes(changed))

    def test_refuses_what_is_cut_off(self) -> None:
        codec, data = aes(), aes().encode(b"secret")

        for length in range(len(data)):
            with pytest.raises(PayloadCodecError):
                codec.decode(data[:length])

    def test_refuses_another_key_of_the_same_id(self) -> None:
        with pytest.raises(PayloadCodecError, match="another key"):
            aes(old=NEW).decode(aes().encode(b"x"))

    @pytest.mark.parametrize(
        ("keys", "current", "complaint"),
        [
            ({"a": b"x" * 31}, "a", "31 bytes"),
            ({"a": OLD}, "b", "current is 'b'"),
            ({"": OLD}, "", "no id"),
            ({"k" * 256: OLD}, "k" * 256, "no id"),
        ],
    )
    def test_refuses_keys_that_cannot_work(self, keys: dict[str, bytes], current: str, complaint: str) -> None:
        with pytest.raises(ValueError, match=complaint):
            AesGcmCodec(keys, current=current)

    def test_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)

        with pytest.raises(ImportError, match=r"durabletask-client\[encryption\]"):
            AesGcmCodec({"a": OLD}, current="a")

"""What TLS trusts; a file that is named and is none is an error."""

import ssl

import pytest
import trustme

from bench.errors import UsageError
from bench.load.route import read_credentials
from bench.load.trust import trusting
from bench.runs.target import read_target


@pytest.fixture
def ca(tmp_path, monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return path


def known(context):
    return len(context.get_ca_certs())


def test_a_file_is_trusted_beside_the_usual(ca):
    assert known(trusting(str(ca))) == known(trusting()) + 1
    assert trusting(str(ca)).verify_mode is ssl.CERT_REQUIRED
    assert trusting(str(ca)).check_hostname


def test_the_variable_takes_the_place_of_the_usual_and_a_file_is_added(ca, tmp_path, monkeypatch):
    trustme.CA().cert_pem.write_to_path(tmp_path / "more.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    assert known(trusting()) == 1
    assert known(trusting(str(tmp_path / "more.pem"))) == 2


BAD = {
    "not there": (lambda place: place / "none.pem", "cannot be read .No such file"),
    "a folder": (lambda place: place, "cannot be read .Is a directory"),
    "no PEM": (lambda place: written(place, b"hello"), "holds no certificate"),
    "empty": (lambda place: written(place, b""), "holds no certificate"),
    "DER": (lambda place: written(place, b"\x30\x82\x01\x0a\x02\x82"), "holds no certificate"),
    "cut short": (lambda place: written(place, b"-----BEGIN CERTIFICATE-----\nMIIB"), "holds no"),
}  # fmt: skip


def written(place, data):
    (place / "bad.pem").write_bytes(data)
    return place / "bad.pem"


@pytest.mark.parametrize(("make", "words"), BAD.values(), ids=BAD)
def test_a_file_that_is_none_is_an_error_before_anything_starts(make, words, ca, monkeypatch):
    bad = make(ca.parent)
    for scheme in ("ws", "wss"):  # what is named is looked at
        with pytest.raises(UsageError, match=f"^--ca .*: {words}.*PEM"):
            read_credentials(read_target(f"{scheme}://voice.invalid/", "openai", ca=bad))
    monkeypatch.setenv("SSL_CERT_FILE", str(bad))
    with pytest.raises(UsageError, match=f"^SSL_CERT_FILE=.*: {words}"):
        read_credentials(read_target("wss://voice.invalid/", "openai"))
    read_credentials(read_target("ws://voice.invalid/", "openai"))  # where TLS is of no concern


def test_a_folder_of_certificates_that_is_not_there(ca, monkeypatch):
    monkeypatch.setenv("SSL_CERT_DIR", str(ca.parent / "none"))
    with pytest.raises(UsageError, match=r"^SSL_CERT_DIR=.*no such folder"):
        trusting()
    monkeypatch.setenv("SSL_CERT_DIR", f"{ca.parent / 'none'}:{ca.parent}")
    trusting()

import ssl
import subprocess

import pytest
from certificates import certificate

from lichen.deploy.tls import tls_context
from lichen.errors import FoundWrong, SystemFailed


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


def test_a_certificate_with_its_key_speaks_tls_of_today(pair):
    assert tls_context(*pair).minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_key_of_another_certificate_is_refused(pair, tmp_path):
    _, other = certificate(tmp_path, "other")
    with pytest.raises(FoundWrong) as refused:
        tls_context(pair[0], other)
    assert str(refused.value) == (
        "LCH-1903: the certificate and its key do not go together\n"
        f"  at {pair[0]}\n"
        "  why: the key in other.key is another certificate's\n"
        "  fix: give PEM files: --tls-cert with the server's certificate first, --tls-key with its private key, "
        "without a passphrase"
    )


@pytest.mark.parametrize("text", ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(pair, tmp_path, text):
    (tmp_path / "no.pem").write_text(text)
    with pytest.raises(FoundWrong, match="do not go together"):
        tls_context(tmp_path / "no.pem", pair[1])
    with pytest.raises(FoundWrong, match="do not go together"):
        tls_context(pair[0], tmp_path / "no.pem")


def test_a_key_with_a_passphrase_is_refused_and_never_asked_for(pair, tmp_path):
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", pair[1], "-out", locked, "-passout", "pass:hunter22"],
        check=True,
        capture_output=True,
    )
    with pytest.raises(FoundWrong) as refused:
        tls_context(pair[0], locked)
    assert refused.value.why == "the key has a passphrase"


def test_a_file_that_is_not_there_is_told(pair, tmp_path):
    with pytest.raises(SystemFailed) as failed:
        tls_context(tmp_path / "none.pem", pair[1])
    assert str(failed.value) == (
        f"LCH-1902: a file for TLS cannot be read\n  at {tmp_path / 'none.pem'}\n"
        "  why: No such file or directory\n  fix: name a PEM file that this user may read"
    )


@pytest.mark.parametrize(
    ("times", "why"),
    [
        (("-not_before", "20200101000000Z", "-not_after", "20200201000000Z"), "it has expired"),
        (("-not_before", "29990101000000Z", "-not_after", "29990201000000Z"), "it is not valid yet"),
    ],
)
def test_a_certificate_out_of_its_time_is_refused(tmp_path, times, why):
    key, request, cert = tmp_path / "k.key", tmp_path / "r.csr", tmp_path / "c.pem"
    new = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*new, "-keyout", key, "-out", request, "-subj", "/CN=localhost"], check=True, capture_output=True)
    (tmp_path / "index").touch()
    (tmp_path / "ca.cnf").write_text(
        "[ca]\ndefault_ca=one\n[one]\n"
        f"database={tmp_path}/index\nserial={tmp_path}/serial\nnew_certs_dir={tmp_path}\ndefault_md=sha256\n"
        "policy=any\nrand_serial=yes\n[any]\ncommonName=supplied\n"
    )
    sign = ["openssl", "ca", "-batch", "-selfsign", "-config", tmp_path / "ca.cnf", "-keyfile", key]
    dates = ["-startdate", times[1], "-enddate", times[3]]
    subprocess.run([*sign, "-in", request, "-out", cert, "-notext", *dates], check=True, capture_output=True)
    with pytest.raises(FoundWrong) as refused:
        tls_context(cert, key)
    assert (refused.value.code, refused.value.what, refused.value.why) == (
        "LCH-1904",
        "the certificate is of no use",
        why,
    )

import json
from pathlib import Path

import pytest

from lichen.deploy.reach import Reach, certificate_and_key
from lichen.errors import WrongUsage


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.9"])
def test_loopback_needs_nothing(host):
    reach = Reach(host)
    assert reach.check() is None
    assert not reach.needs_token
    assert reach.hosts == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "models.example.com", ""])
def test_beyond_it_tls_or_a_proxy_is_needed(host):
    with pytest.raises(WrongUsage) as refused:
        Reach(host).check()
    assert str(refused.value) == (
        f"LCH-1840: `{host}` is not a loopback address, and nothing keeps what is sent there from being read\n"
        "  fix: say --tls-cert and --tls-key; or, where a proxy in front of it speaks TLS, --behind-proxy"
    )
    assert Reach(host, behind_proxy=True).check() is None


@pytest.mark.parametrize(
    ("reach", "why"),
    [
        (Reach("0.0.0.0", behind_proxy=True), "`0.0.0.0` is reached from other machines"),
        (Reach(behind_proxy=True), "it is reached through a proxy, or by other names than this machine's"),
        (Reach(allow_hosts=("a.example",)), "it is reached through a proxy, or by other names than this machine's"),
        (Reach(require_token=True), "--require-token says that each request must bring one"),
    ],
)
def test_whatever_is_reached_from_elsewhere_needs_a_token(reach, why):
    assert reach.needs_token
    assert str(reach.refuse_without_token()) == (
        "LCH-1901: there is no valid token for predictions, so nobody could ask\n"
        f"  why: {why}\n  fix: make one: lichen token new NAME --scope predict"
    )


def test_the_names_by_which_it_is_asked():
    assert Reach("10.0.0.7", allow_hosts=("m.example",)).hosts == ("10.0.0.7", "m.example")
    assert Reach("fd00::7").hosts == ("[fd00::7]",)
    assert Reach("0.0.0.0", allow_hosts=("m.example",)).hosts == ("m.example",)
    assert Reach("").hosts == Reach("::").hosts == ()


@pytest.mark.parametrize("name", ["", "*", "https://a.example", "a.example:8000", "a/b", ".example", "a b"])
def test_what_is_no_hosts_name(name):
    with pytest.raises(WrongUsage) as refused:
        Reach(allow_hosts=(name,)).check()
    assert str(refused.value) == (
        f"LCH-1905: --allow-host: `{name}` is no host's name\n"
        "  fix: write it as clients do, without a scheme or a port: models.example.com"
    )


def test_a_certificate_comes_with_its_key():
    assert certificate_and_key(None, None) is None
    assert certificate_and_key("c", "k") == (Path("c"), Path("k"))
    for words, missing in ((("c", None), "key"), ((None, "k"), "cert")):
        with pytest.raises(WrongUsage) as refused:
            certificate_and_key(*words)
        assert str(refused.value) == (
            f"LCH-1906: --tls-{missing} is missing\n  why: TLS needs a certificate and its private key\n"
            "  fix: say both: --tls-cert cert.pem --tls-key key.pem"
        )


def test_a_worker_is_told_the_whole_of_it(tmp_path):
    reach = Reach("0.0.0.0", 1, (tmp_path / "c", tmp_path / "k"), True, ("a.example",), True)
    assert Reach.from_dict(json.loads(json.dumps(reach.as_dict()))) == reach
    assert Reach.from_dict(Reach().as_dict()) == Reach()

import pytest

from lichen.deploy.door import Door, check_body, too_long
from lichen.deploy.limits import Limits
from lichen.deploy.refused import Refused

headers_of = Door().headers_of
HOST = (b"host", b"127.0.0.1:8000")


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:1", b"127.0.0.1:65535", b"[::1]", b"[::1]:80"])
def test_this_machine_comes_in(host):
    assert headers_of([(b"host", host), (b"origin", b"http://" + host), (b"x-other", b"1")])[b"host"] == host


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"example.com",
        b"127.0.0.1.example.com",
        b"localhost.",
        b"localhost@evil",
        b"127.0.0.1:8000,evil",
        b"127.0.0.2",
        b"0.0.0.0",
        b"[::ffff:127.0.0.1]",
        b"127.1",
        b"localhost:99999999",
        b"2130706433",
        b"\xff\xfe",
    ],
)
def test_other_names_do_not(host):
    with pytest.raises(Refused) as refused:
        headers_of([(b"host", host)])
    assert (refused.value.status, refused.value.code) == (403, "LCH-1811")
    assert refused.value.what.startswith("the header `host` is ")
    assert refused.value.fix == "ask localhost, 127.0.0.1 or [::1]: this service answers this machine only"


@pytest.mark.parametrize(
    "origin",
    [b"null", b"http://example.com", b"https://localhost.example.com", b"file://", b"http://http://localhost", b""],
)
def test_pages_of_other_sites_do_not(origin):
    with pytest.raises(Refused) as refused:
        headers_of([HOST, (b"origin", origin)])
    assert (refused.value.status, refused.value.code) == (403, "LCH-1812")
    assert refused.value.fix == "ask from a page of the service's own host: other sites may not"


def test_a_header_given_twice_is_ambiguous():
    with pytest.raises(Refused) as refused:
        headers_of([HOST, HOST])
    assert str(refused.value) == "LCH-1818: the header `host` is given twice\n  fix: give it once"


@pytest.mark.parametrize(
    "kind", [b"application/json", b"Application/JSON; charset=utf-8", b'application/json;charset="UTF-8"']
)
def test_json_is_taken(kind):
    check_body(headers_of([HOST, (b"content-type", kind), (b"content-length", b"1048576")]))


@pytest.mark.parametrize(
    ("header", "value", "status", "text"),
    [
        (
            b"content-type",
            b"text/plain",
            415,
            "LCH-1813: the header `content-type` is 'text/plain'\n  fix: send application/json in UTF-8",
        ),
        (b"content-type", b"application/json; charset=utf-16", 415, "LCH-1813: the header `content-type`"),
        (
            b"content-encoding",
            b"gzip",
            415,
            "LCH-1813: the header `content-encoding` is 'gzip'\n  fix: send the body uncompressed",
        ),
        (
            b"content-length",
            b"1048577",
            413,
            "LCH-1805: the body is longer than 1048576 bytes\n  fix: send fewer rows at a time",
        ),
        (b"content-length", b"9" * 5000, 413, "LCH-1805: the body is longer than 1048576 bytes"),
    ],
)
def test_a_body_is_refused_before_it_is_read(header, value, status, text):
    with pytest.raises(Refused) as refused:
        check_body(headers_of([HOST, (header, value)]))
    assert refused.value.status == status
    assert str(refused.value).startswith(text)


def test_too_long():
    assert too_long(Limits.body_bytes).status == 413

import hashlib
import json

import pytest

from lichen.deploy.token import SCOPES, Keyring, Token, new_token

SECOND = 1_000_000


def bearer(secret, word="Bearer"):
    return f"{word} {secret.reveal()}".encode()


def test_only_a_hash_of_the_secret_is_kept():
    token, secret = new_token("shop", ["read", "predict", "read"], made_us=1, expires_us=None)
    text = secret.reveal()
    chance = text.rpartition("_")[2] if text.count("_") == 2 else text.split("_", 2)[2]
    assert token.scopes == ("predict", "read")
    assert token.hashed == hashlib.sha256(chance.encode()).hexdigest()
    assert chance not in json.dumps(token.as_dict())
    assert token.hashed not in json.dumps(token.shown(2))
    assert Token.from_dict(json.loads(json.dumps(token.as_dict()))) == token
    assert repr(secret) == "Secret(***)"


def test_no_two_are_alike():
    made = {new_token("x", SCOPES, made_us=0, expires_us=None)[1].reveal() for _ in range(1000)}
    assert len(made) == 1000
    assert {len(one) for one in made} == {len("lichen__") + 12 + 43}


def test_it_is_good_until_it_expires_or_is_revoked():
    token, secret = new_token("shop", ["predict"], made_us=0, expires_us=10 * SECOND)
    ring = Keyring([token])
    assert ring.holder(bearer(secret), 10 * SECOND - 1) == token
    assert ring.holder(bearer(secret), 10 * SECOND) is None
    revoked = Token.from_dict({**token.as_dict(), "revoked_us": 5})
    assert Keyring([revoked]).holder(bearer(secret), 1) is None
    assert [revoked.state(1), token.state(1), token.state(10 * SECOND)] == ["revoked", "valid", "expired"]
    assert ring.any_valid("predict", 1)
    assert not ring.any_valid("read", 1)
    assert not ring.any_valid("predict", 10 * SECOND)
    assert not Keyring([revoked]).any_valid("predict", 1)


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
def test_the_word_before_it_is_read_whatever_its_case(word):
    token, secret = new_token("shop", ["predict"], made_us=0, expires_us=None)
    assert Keyring([token]).holder(bearer(secret, word), 1) == token


def test_anything_else_is_nobodys():
    token, secret = new_token("shop", ["predict"], made_us=0, expires_us=None)
    _, other = new_token("other", ["predict"], made_us=0, expires_us=None)
    text = secret.reveal()
    wrong = [
        "",
        "Bearer",
        "Bearer ",
        text,
        f"Basic {text}",
        f"Bearer {text[:-1]}",
        f"Bearer {text}x",
        f"Bearer {text} {text}",
        f"Bearer {other.reveal()}",
        f"Bearer {text[:20]}{other.reveal()[20:]}",
        f"Bearer {text.upper()}",
        f"Bearer {token.hashed}",
        f"Bearer lichen_{token.id}_{'A' * 43}",
    ]
    ring = Keyring([token])
    assert [ring.holder(one.encode(), 1) for one in wrong] == [None] * len(wrong)
    assert Keyring([]).holder(bearer(secret), 1) is None

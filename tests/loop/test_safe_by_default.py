"""A service that other machines can reach: what it refuses, whom it lets in, and what it never tells."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from certificates import certificate
from facts import audit_is_whole
from processes import Nursery, ask, served, until
from small_project import START, SmallProject

from lichen.project import Project
from lichen.run.audit import AUDIT

ROW = {"shop": "north", "asked_at": START.isoformat(), "cents": 1000}
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"]
OPEN = {
    "/health/live": {"live": True},
    "/health/ready": {"ready": True},
    "/ping": {"ready": True},
    "/v2/health/live": {"live": True},
    "/v2/health/ready": {"live": True, "ready": True},
}
"""What anybody may ask, and all that it tells."""


class Beyond:
    """A service that listens to every address, asked over TLS."""

    def __init__(self, root: Path, address: str, cert: Path) -> None:
        self.root, self.port = root, urlsplit(address).port
        context = ssl.create_default_context(cafile=str(cert))
        self.line = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)

    def ask(
        self, method: str, path: str, token: str | None = None, body: Any = None, **headers: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        said = {"authorization": f"Bearer {token}"} if token is not None else {}
        text = None if body is None else json.dumps(body)
        try:
            self.line.request(method, path, text, {**said, **{k.replace("_", "-"): v for k, v in headers.items()}})
            reply = self.line.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        except (OSError, http.client.HTTPException):
            self.line.close()
            raise


def _token(root: Path, nursery: Nursery, *words: str) -> str:
    ended = nursery.lichen(root, "token", "new", *words, "--json")
    assert ended.code == 0, ended
    secret: str = ended.facts["secret"]
    return secret


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Path:
    made = SmallProject(tmp_path_factory.mktemp("safe") / "small", seed=53)
    assert nursery.lichen(made.root, "run").code == 0
    return made.root


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tokens(root: Path, nursery: Nursery) -> dict[str, str]:
    found = {scope: _token(root, nursery, f"{scope}-only", "--scope", scope) for scope in ("predict", "read", "admin")}
    found["expired"] = _token(root, nursery, "expired", "--expires", "1ms", *_every_scope())
    found["revoked"] = _token(root, nursery, "revoked", *_every_scope())
    assert nursery.lichen(root, "token", "revoke", "revoked").code == 0
    return found


def _code(told: bytes) -> str:
    """The code of a refusal, in whichever protocol it is told."""
    error = json.loads(told)["error"]
    return str(error)[:8] if isinstance(error, str) else str(error["code"])


def _every_scope() -> list[str]:
    return ["--scope", "predict", "--scope", "read", "--scope", "admin"]


@pytest.fixture(scope="module")
def beyond(root: Path, tls: tuple[Path, Path], tokens: dict[str, str]) -> Iterator[Beyond]:
    words = ["--host", "0.0.0.0", "--tls-cert", str(tls[0]), "--tls-key", str(tls[1])]
    with served(root, *words) as (_, told):
        assert told["address"].startswith("https://0.0.0.0:")
        made = Beyond(root, told["address"], tls[0])
        yield made
        made.line.close()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--host", "0.0.0.0"], "LCH-1840"),
        (["--host", "0.0.0.0", "--tls-cert", "cert"], "LCH-1906"),
        (["--host", "0.0.0.0", "--tls-cert", "cert", "--tls-key", "key"], "LCH-1901"),
        (["--host", "0.0.0.0", "--behind-proxy"], "LCH-1901"),
        (["--behind-proxy"], "LCH-1901"),
        (["--allow-host", "models.test"], "LCH-1901"),
        (["--require-token"], "LCH-1901"),
        (["--host", "0.0.0.0", "--tls-cert", "cert", "--tls-key", "cert"], "LCH-1903"),
        (["--host", "0.0.0.0", "--tls-cert", "none.pem", "--tls-key", "key"], "LCH-1902"),
    ],
)
def test_what_is_not_safe_does_not_start(
    words: list[str], code: str, tmp_path: Path, nursery: Nursery, tls: tuple[Path, Path]
) -> None:
    (tmp_path / "lichen.yaml").write_text("name: p\n")
    made = SmallProject(tmp_path / "small", seed=54)
    if code == "LCH-1901":  # what needs no release is refused without one
        assert nursery.lichen(made.root, "run").code == 0
    files = {"cert": str(tls[0]), "key": str(tls[1])}
    ended = nursery.lichen(made.root, "serve", "--port", "0", "--json", *(files.get(word, word) for word in words))
    assert ended.error["code"] == code, ended
    assert ended.code in (1, 2, 3)


def test_every_route_and_method_without_a_right_token_is_refused(beyond: Beyond, tokens: dict[str, str]) -> None:
    status, _, body = beyond.ask("GET", "/openapi.json", tokens["read"])
    assert status == 200
    scopes = {
        path.format(name="buys", version="x"): "predict" if "post" in does else "read"
        for path, does in json.loads(body)["paths"].items()
        if path not in OPEN
    }
    assert scopes["/predict"] == "predict"
    scopes["/admin/rollback"] = "admin"
    scopes |= {"/nowhere": "none", "/predict/": "none", "/": "none", "/static/x": "none", "//predict": "none"}
    asked = 0
    for path, scope in scopes.items():
        wrong = {None, "", "x", "lichen_000000000000_" + "A" * 43, tokens["predict"][:-1], tokens["predict"] + "x"}
        wrong |= {tokens["expired"], tokens["revoked"]}
        for method in METHODS:
            for token in wrong:
                status, headers, told = beyond.ask(method, path, token, ROW if method == "POST" else None)
                assert status == 401, (method, path, token, told)
                assert headers["www-authenticate"] == "Bearer"
                assert method == "HEAD" or _code(told) in ("LCH-1915", "LCH-1907")
            for other in {"predict", "read", "admin"} - {scope} if scope != "none" else ():
                status, _, told = beyond.ask(method, path, tokens[other], ROW if method == "POST" else None)
                assert status == 403, (method, path, other, told)
                assert method == "HEAD" or _code(told) == "LCH-1908"
            asked += len(wrong) + 2
    print(f"\n{asked} requests over {len(scopes)} addresses and {len(METHODS)} methods: all refused")


def test_the_right_token_is_let_in(beyond: Beyond, tokens: dict[str, str]) -> None:
    status, _, body = beyond.ask("POST", "/predict", tokens["predict"], ROW)
    assert (status, "score" in json.loads(body)) == (200, True)
    assert beyond.ask("GET", "/metrics", tokens["read"])[0] == 200
    assert beyond.ask("PUT", "/predict", tokens["predict"])[0] == 405
    assert beyond.ask("GET", "/nowhere", tokens["read"])[0] == 404


def test_health_says_no_more_than_that_to_anybody(beyond: Beyond, tokens: dict[str, str]) -> None:
    for path, told in OPEN.items():
        for token in (None, "x", tokens["expired"], tokens["predict"]):
            status, _, body = beyond.ask("GET", path, token)
            assert (status, json.loads(body)) == (200, told)
        for method in METHODS[1:]:
            assert beyond.ask(method, path)[0] == 405
    assert "model_version" in json.loads(beyond.ask("GET", "/health/ready", tokens["read"])[2])


@pytest.mark.parametrize("name", ["models.test", "evil.example", "10.0.0.1", "localhost.evil.example"])
def test_it_is_asked_by_its_own_names_only(name: str, beyond: Beyond, tokens: dict[str, str]) -> None:
    for path in ("/predict", "/health/live", "/nowhere"):
        status, _, body = beyond.ask("GET", path, tokens["read"], host=name)
        assert (status, json.loads(body)["error"]["code"]) == (403, "LCH-1811")
        status, _, body = beyond.ask("GET", path, tokens["read"], origin=f"https://{name}")
        assert (status, json.loads(body)["error"]["code"]) == (403, "LCH-1812")


def test_what_a_proxy_is_said_to_have_seen_changes_nothing(beyond: Beyond, tokens: dict[str, str]) -> None:
    forged = {"x_forwarded_for": "127.0.0.1", "x_forwarded_host": "localhost", "x_forwarded_proto": "https"}
    assert beyond.ask("POST", "/predict", None, ROW, **forged)[0] == 401
    assert beyond.ask("POST", "/predict", tokens["predict"], ROW, host="evil.example", **forged)[0] == 403


def test_plain_http_and_old_tls_get_nowhere(beyond: Beyond) -> None:
    line = http.client.HTTPConnection("127.0.0.1", beyond.port, timeout=20)
    line.request("GET", "/health/live")
    with pytest.raises((OSError, http.client.HTTPException)):
        line.getresponse()
    line.close()
    old = ["openssl", "s_client", "-connect", f"127.0.0.1:{beyond.port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
    ended = subprocess.run(old, input=b"", capture_output=True, timeout=20, check=False)
    assert b"Cipher is (NONE)" in ended.stdout + ended.stderr


def test_tokens_come_and_go_while_it_runs(beyond: Beyond, nursery: Nursery) -> None:
    root = beyond.root
    secret = _token(root, nursery, "rotated", "--scope", "predict")
    until(lambda: beyond.ask("POST", "/predict", secret, ROW)[0] == 200, seconds=5)
    assert nursery.lichen(root, "token", "revoke", "rotated").code == 0
    until(lambda: beyond.ask("POST", "/predict", secret, ROW)[0] == 401, seconds=5)
    again = _token(root, nursery, "rotated", "--scope", "predict", "--expires", "3s")
    until(lambda: beyond.ask("POST", "/predict", again, ROW)[0] == 200, seconds=3)
    time.sleep(3)
    assert beyond.ask("POST", "/predict", again, ROW)[0] == 401


def test_no_secret_is_kept_or_listed(root: Path, tokens: dict[str, str], nursery: Nursery, beyond: Beyond) -> None:
    for token in tokens.values():
        beyond.ask("POST", "/predict", token, {**ROW, "prediction_id": "kept"})
    listed = nursery.lichen(root, "token", "list")
    assert [line.split()[1] for line in listed.out.splitlines()[1:6]] == [
        "predict-only",
        "read-only",
        "admin-only",
        "expired",
        "revoked",
    ]
    said = [listed.out, nursery.lichen(root, "token", "list", "--json").out]
    files = [path.read_bytes() for path in (root / ".lichen").rglob("*") if path.is_file()]
    for token in tokens.values():
        chance = token.split("_", 2)[2]
        assert [text for text in said if chance in text] == []
        assert [file for file in files if chance.encode() in file] == []


def _plainly(
    address: str, method: str, path: str, token: str | None, body: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    """What a service on loopback answers over plain HTTP."""
    said = {"authorization": f"Bearer {token}"} if token is not None else {}
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)) as line:
        line.request(method, path, None if body is None else json.dumps(body), said)
        reply = line.getresponse()
        return reply.status, json.loads(reply.read())


def test_an_admin_rolls_back_over_http_and_nobody_else(tmp_path: Path, nursery: Nursery) -> None:
    small = SmallProject(tmp_path / "small", seed=58)
    root = small.root
    assert nursery.lichen(root, "run").code == 0
    small.edit("models/buys.yaml", "seed: 7", "seed: 7\nparams: {C: 0.1}")
    assert nursery.lichen(root, "run").code == 0
    admin = _token(root, nursery, "ops", "--scope", "admin", "--scope", "predict", "--scope", "read")
    predict = _token(root, nursery, "shop", "--scope", "predict")
    with served(root, "--require-token") as (server, told):
        address = told["address"]
        assert _plainly(address, "POST", "/admin/rollback", None, {})[0] == 401
        assert _plainly(address, "POST", "/admin/rollback", predict, {})[0] == 403
        status, reply = _plainly(address, "POST", "/admin/rollback", admin, {"to": 99})
        assert (status, reply["error"]["code"]) == (409, "LCH-1048")
        assert _plainly(address, "POST", "/admin/rollback", admin, {"to": "x"})[1]["error"]["code"] == "LCH-1920"
        assert _plainly(address, "GET", "/openapi.json", admin)[1]["paths"]["/admin/rollback"]
        status, reply = _plainly(address, "POST", "/admin/rollback", admin, {"to": 1})
        assert (status, reply["release"], reply["of"]["release"]) == (200, 3, 1)
        until(lambda: _plainly(address, "POST", "/predict", predict, ROW)[1]["release"] == 3, seconds=10)
        server.terminate()
        assert server.wait(30) == 0
    with served(root) as (server, told):
        address = told["address"]
        status, reply = _plainly(address, "POST", "/admin/rollback", None, {})
        assert (status, reply["error"]["code"]) == (403, "LCH-1919")
        server.terminate()
        assert server.wait(30) == 0
    with Project(root) as project:
        assert project.releases.numbered(3).facts["asked_by"] == "ops"
    audit_is_whole(root)


def test_every_act_stands_in_the_audit(tmp_path: Path, nursery: Nursery) -> None:
    root = SmallProject(tmp_path / "small", seed=55).root
    assert nursery.lichen(root, "run").code == 0
    _token(root, nursery, "a", "--scope", "read", "--scope", "predict")
    assert nursery.lichen(root, "token", "revoke", "a").code == 0
    with served(root) as (server, told):
        assert told["token"] is False
        assert ask(told["address"], ROW)[0] == 200
        server.terminate()
        assert server.wait(30) == 0
    with Project(root) as project:
        entries = [entry for _, entry in project.workshop.state.entries(AUDIT)]
    acts = [entry["act"] for entry in entries]
    assert acts == ["release", "token_made", "token_revoked", "service_started", "service_stopped"]
    assert entries[1]["scopes"] == ["predict", "read"]
    assert {entry["who"] for entry in entries[1:]} == {entries[0]["facts"]["user"]}
    assert entries[3]["address"] == told["address"]
    audit_is_whole(root)


@pytest.mark.parametrize("file", ["manifest.json", "model"])
def test_a_model_that_was_tampered_with_is_not_served(file: str, tmp_path: Path, nursery: Nursery) -> None:
    root = SmallProject(tmp_path / "small", seed=56).root
    assert nursery.lichen(root, "run").code == 0
    (artifact,) = (root / ".lichen/artifacts").iterdir()
    path = artifact / file if file == "manifest.json" else next(p for p in (artifact / file).rglob("*") if p.is_file())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    ended = nursery.lichen(root, "serve", "--port", "0", "--json")
    assert (ended.code, ended.error["code"]) == (3, "LCH-2920")
    assert ended.error["what"] == "the model's files are not the ones that were trained"


def test_every_worker_keeps_the_same_door(tmp_path: Path, nursery: Nursery, tls: tuple[Path, Path]) -> None:
    root = SmallProject(tmp_path / "small", seed=57).root
    assert nursery.lichen(root, "run").code == 0
    secret = _token(root, nursery, "shop", "--scope", "predict")
    words = ["--host", "0.0.0.0", "--tls-cert", str(tls[0]), "--tls-key", str(tls[1]), "--workers", "2"]
    with served(root, *words) as (server, told):
        made = Beyond(root, told["address"], tls[0])
        for _ in range(8):
            for token, status in ((None, 401), (secret, 200)):
                made.line.close()
                assert made.ask("POST", "/predict", token, ROW)[0] == status
        made.line.close()
        server.terminate()
        assert server.wait(30) == 0
    audit_is_whole(root)

"""What environment variables hold stands in no file of the state and in nothing a command says, whatever goes wrong."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Nursery

GOOD = "id,at,n\n1,2024-01-01,5\nx,2024-01-02,6\n3,2024-01-03,999\n4,not a day,1\n"
CONTRACT = "contract: {columns: {id: {type: bigint}, at: {type: date}, n: {type: bigint, range: [0, 100]}}}\n"

SOURCES = {
    "path": "path: ${C0}/${C1}.csv\n",
    "pattern": "path: ${C2}/${C3}-*.csv\n",
    "folder_above": "path: ../${C4}/*.csv\n",
    "url": "path: memory://${C5}/${C6}.csv\n",
    "url_pattern": "path: memory://${C7}/*.csv\n",
    "scheme": "path: ${C8}://user:${C9}@host/a.csv\n",
    "host": "path: sftp://user:${C10}@${C11}/a.csv\n",
    "file_url": "path: file://${C12}/${C13}.csv\n",
    "package": "path: package://${C14}/${C15}\n",
    "no_package": "path: package://numpy/${C16}/*.csv\n",
    "outside": "path: package://numpy/${C17}/../x\n",
    "format": "path: ${C0}/${C1}.csv\nformat: ${C18}\n",
    "no_format": "path: ${C0}/${C19}\n",
    "encoding": "path: ${C0}/${C1}.csv\nencoding: ${C20}\n",
    "quote": "path: ${C0}/${C1}.csv\nquote: ${C21}\n",
    "delimiter": "path: ${C0}/${C1}.csv\ndelimiter: ${C22}\n",
    "null": "path: ${C0}/${C1}.csv\nnull: ['${C23}', '${C24}', NA]\n",
    "days": "path: ${C0}/${C1}.csv\ndate_format: '%Y ${C25}'\n",
    "instants": "path: ${C0}/${C1}.csv\ntimestamp_format: '%Q${C26}'\n",
    "decimal": "path: ${C0}/${C1}.csv\ndecimal: ${C27}\n",
    "skip": "path: ${C0}/${C1}.csv\nskip: ${C28}\n",
    "header": "path: ${C0}/${C1}.csv\nheader: ${C29}\n",
    "unknown": "path: ${C0}/${C1}.csv\nnuul: ${C30}\n",
    "torn": "path: ${C31}/${C32}.csv.gz\n",
    "latin": "path: ${C33}/latin.csv\n",
    "missing": "path: ${C36}/${C34}.csv\n",
    "no_folder": "path: ${C35}/a.csv\n",
    "a_folder": "path: ${C36}\n",
    "nothing": "path: ${C0}/${C37}-[0-9]?.csv\n",
    "no_column": "path: ${C0}/${C1}.csv\ncursor: seen\n",
    "wrong_key": "path: ${C0}/${C1}.csv\nlateness: ${C38}\n",
    "wrong_contract": "path: ${C0}/${C1}.csv\ntime: ${C39}\n",
    "connector": "connector: ${C40}\npath: a.csv\n",
    "description": "path: ${C0}/${C1}.csv\ndescription: ${C41}\n",
    "known": "path: ${C0}/${C1}.csv\nknown: ${C42} +\n",
}
PROJECT = {
    "lake": "lake: ${C43}/lake\n",
    "taken": "lake: ${C44}/taken\n",
    "state": "state: ${C45}/state.db\n",
    "not_a_state": "state: ${C46}/latin.csv\n",
    "online": "online: ${C47}/taken\n",
    "server": "online: redis://user:${C48}@${C49}:1/0\n",
    "scheme_of_online": "online: ${C48}://host/0\n",
    "memory": "memory: ${C48}\n",
    "publish": "publish: ${C49}\n",
    "engine": "engine: ${C49}\n",
}
CANARIES = {f"C{number}": f"canary{number:02}value" for number in range(50)}
FOLDERS = (0, 2, 4, 12, 31, 33, 36, 43, 44, 45, 46, 47)
NAMES = {
    0: ["canary01value.csv", "canary19value"],
    2: ["canary03value-1.csv", "canary03value-2.csv"],
    4: ["a.csv"],
    12: ["canary13value.csv"],
}
"""The files in the folders, where a value names them too."""


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Fifty values that tell when they are seen; those of folders lead to one with data."""
    made = dict(CANARIES)
    for number in FOLDERS:
        folder = tmp_path / "data" / CANARIES[f"C{number}"]
        folder.mkdir(parents=True)
        if number != 4:
            made[f"C{number}"] = str(folder)
        for name in NAMES.get(number, ()):
            (folder / name).write_text(GOOD)
        (folder / "latin.csv").write_bytes("id,at,n\n1,2024-01-01,é\n".encode("latin-1"))
        (folder / "taken").write_text("a file")
        if number == 31:
            (folder / f"{CANARIES['C32']}.csv.gz").write_bytes(gzip.compress(GOOD.encode())[:-9])
    return made


def _said(nursery: Nursery, root: Path, variables: dict[str, str]) -> Iterator[str]:
    for words in (["check"], ["plan"], ["run", "--debug"], ["run", "--json"], ["status"], ["history"]):
        ended = nursery.lichen(root, *words, variables=variables)
        yield ended.out
        yield ended.err
    for table in ("FROM quarantine", "FROM s"):
        yield nursery.lichen(root, "query", "--json", table, variables=variables).out


def _seen(texts: Iterator[str] | list[str]) -> list[str]:
    found = []
    for text in texts:
        found += [line[:200] for line in text.splitlines() if "canary" in line]
    return found


@pytest.mark.parametrize("case", [*SOURCES, *PROJECT])
def test_no_value_of_a_variable_is_seen(case: str, tmp_path: Path, nursery: Nursery, variables: dict[str, str]) -> None:
    root = tmp_path / "data" / "project"
    for name, text in {
        "lichen.yaml": f"name: p\n{PROJECT.get(case, '')}",
        "sources/s.yaml": SOURCES.get(case, SOURCES["path"]) + CONTRACT,
        "tables/t.sql": "SELECT n FROM s\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    said = list(_said(nursery, root, variables))
    assert _seen(said) == []
    kept = [path for path in (root / ".lichen").rglob("*") if path.is_file()]
    assert [path for path in kept if b"canary" in path.read_bytes()] == []
    assert [path for path in kept if "canary" in path.name] == []

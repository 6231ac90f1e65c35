from __future__ import annotations

import time
from pathlib import Path
from threading import Event

import pytest
from interrupted import interrupted

from lichen.ground.beside import side_by_side, stopped_by


def test_answers_come_in_the_order_of_the_questions() -> None:
    def later(number: int) -> int:
        time.sleep(0.02 * (3 - number))
        return number

    assert list(side_by_side(later, range(4), 2)) == [0, 1, 2, 3]


def test_where_one_fails_the_others_are_stopped_and_none_begins() -> None:
    stopped, begun, both = Event(), [], Event()

    def work(name: str) -> None:
        begun.append(name)
        if name == "fails":
            assert both.wait(5)
            raise ValueError(name)
        with stopped_by(stopped.set):
            both.set()
            assert stopped.wait(5)

    with pytest.raises(ValueError, match="fails"):
        list(side_by_side(work, ["fails", "waits", "never"], 2))
    assert begun == ["fails", "waits"]
    assert stopped.is_set()


def test_outside_of_such_work_nothing_is_stopped() -> None:
    with stopped_by(lambda: pytest.fail("nobody asked for that")):
        assert list(side_by_side(len, ["a", "bc"], 1)) == [1, 2]


def test_ctrl_c_stops_statements_that_run_side_by_side(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\nfrom arro3.core import Table\nfrom lichen.backends.duckdb import DuckDBEngine\n"
        "from lichen.ground.beside import side_by_side\n"
        "engine = DuckDBEngine(scratch=pathlib.Path(sys.argv[1]))\n"
        "select = 'SELECT sum(md5_number(range::varchar)) AS s FROM range(9000000000)'\n"
        "print('ready', flush=True)\n"
        "list(side_by_side(lambda _: Table.from_arrow(engine.query(select, {})), range(3), 2))\n"
    )
    assert "KeyboardInterrupt" in interrupted(code, str(tmp_path))

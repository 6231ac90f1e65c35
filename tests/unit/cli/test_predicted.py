from lichen.cli.predicted import counting, show
from lichen.run.filed import Filed, Rejected


def test_the_first_refused_rows_are_told(capsys, tmp_path):
    done = Filed(answered=2, rejected=[Rejected(n, "cents", "LCH-1803", "it is wrong") for n in range(1, 13)])
    show(done, tmp_path / "out.csv", None, limit=None, as_json=False)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"2 rows answered in {tmp_path / 'out.csv'}"
    assert said[1] == "12 rows refused"
    assert said[2] == "  row 1: LCH-1803 it is wrong"
    assert len(said) == 13
    assert said[-1] == "  ... --rejects FILE writes all"


def test_or_written(capsys, tmp_path):
    done = Filed(answered=0, rejected=[Rejected(1, None, "LCH-1884", "it is wrong")])
    show(done, None, tmp_path / "r.csv", limit=None, as_json=False)
    assert capsys.readouterr().err.splitlines() == ["0 rows answered", f"1 row refused, told in {tmp_path / 'r.csv'}"]
    assert "it is wrong" in (tmp_path / "r.csv").read_text()


def test_nothing_counts_where_nobody_watches():
    assert counting() is None

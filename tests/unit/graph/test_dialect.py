from __future__ import annotations

import subprocess
import sys


def test_what_the_library_warns_of_does_not_reach_a_terminal_by_itself():
    asked = (
        "import sqlglot; from lichen.graph.dialect import DIALECT; "
        "sqlglot.parse('EXPLAIN SELECT 1', dialect=DIALECT); sqlglot.transpile('soundex(a)', write=DIALECT)"
    )
    ended = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")

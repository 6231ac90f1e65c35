"""Read a project and plan it, lineage and all, once, in a process of its own; tells the CPU that each took."""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from lichen.project import Project

# What `plan` imports when it is first asked is not counted.
for room in ("duckdb", "lichen.run.inspect", "lichen.run.planning"):
    import_module(room)

with Project(Path(sys.argv[1])) as project:
    marks = [time.process_time()]
    for part in ("spec", "graph"):
        getattr(project, part)
        marks.append(time.process_time())
    plan = project.plan()
    marks.append(time.process_time())
    lineage = project.lineage()  # what the plan found it with: not counted again
assert len(plan.steps) == len(project.graph.assets)
assert not lineage.opaque
parts = (after - before for before, after in pairwise(marks))
told = dict(zip(("read", "parse", "plan"), parts, strict=True))
made = sum(len(names) for asset, names in lineage.columns.items() if asset.startswith("table."))
print(json.dumps({"whole": marks[-1] - marks[0], **told, "columns": made, "edges": len(lineage.edges)}))

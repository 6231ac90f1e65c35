"""Public conformance suites, one for each port: a backend that passes its suite works.

Subclass a suite in your tests and say how to make your backend; pytest does the rest:

    class TestMyStateStore(StateStoreSuite):
        def make(self, folder: Path) -> StateStore:
            return MyStateStore(folder / "state")

`make` is called several times with one folder, in this process and in others, and must then give stores that share
their content. Some tests start processes of their own and kill them at the named failpoints of the backend.
"""

import pytest

pytest.register_assert_rewrite(
    "lichen.testing.online_store", "lichen.testing.state_store", "lichen.testing.table_store"
)

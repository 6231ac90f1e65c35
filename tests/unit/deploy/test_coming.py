import asyncio

import pytest

from lichen.deploy.coming import first_of


def test_what_is_there_already_is_taken_at_once():
    async def receive():
        return {"body": b"x"}

    async def run():
        return await first_of(receive, 0.0), asyncio.all_tasks()

    message, tasks = asyncio.run(run())
    assert (message, len(tasks)) == ({"body": b"x"}, 1)


def test_what_comes_later_is_waited_for():
    async def run():
        came = asyncio.Event()

        async def receive():
            await came.wait()
            await asyncio.sleep(0)
            return {"body": b"x"}

        asyncio.get_running_loop().call_later(0.01, came.set)
        return await first_of(receive, 5.0)

    assert asyncio.run(run()) == {"body": b"x"}


def test_what_never_comes_is_let_go_of():
    ended = []

    async def run():
        async def receive():
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append(True)

        with pytest.raises(TimeoutError):
            await first_of(receive, 0.01)

    asyncio.run(run())
    assert ended == [True]

import asyncio

from lichen.deploy.wire import _Joined


class Transport:
    def __init__(self):
        self.written, self.closed = [], False

    def write(self, data):
        self.written.append(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


def test_two_pieces_leave_as_one():
    transport = Transport()

    async def run():
        joined = _Joined(transport, asyncio.get_running_loop())
        joined.write(b"head")
        assert transport.written == []
        joined.write(b"body")
        assert transport.written == [b"headbody"]
        joined.write(b"alone")
        await asyncio.sleep(0)
        assert transport.written == [b"headbody", b"alone"]
        joined.write(b"last")
        joined.close()
        assert (transport.written[2:], joined.is_closing()) == ([b"last"], True)

    asyncio.run(run())

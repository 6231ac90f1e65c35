import json

from lichen.deploy.refused import Refused
from lichen.deploy.reply import Reply, told, told_plainly

WRONG = Refused(422, "LCH-1803", "`distance` is 'far'", fix="it must be a number", field="distance", row=3)


def test_headers_of_a_reply():
    assert Reply(200, b"{}", more=((b"allow", b"GET"),)).headers() == [
        (b"content-type", b"application/json"),
        (b"content-length", b"2"),
        (b"x-content-type-options", b"nosniff"),
        (b"allow", b"GET"),
    ]


def test_a_refusal_in_the_services_own_words():
    reply = told(WRONG, "ab")
    assert (reply.status, json.loads(reply.body)["error"]) == (
        422,
        {
            "code": "LCH-1803",
            "message": "`distance` is 'far'; it must be a number",
            "id": "ab",
            "field": "distance",
            "row": 3,
        },
    )


def test_a_refusal_in_the_words_of_the_inference_protocol():
    reply = told_plainly(WRONG, "ab")
    assert reply.status == 400
    assert json.loads(reply.body) == {"error": "LCH-1803: `distance` is 'far' (row 3); it must be a number [id ab]"}


def test_a_busy_service_says_when_to_ask_again():
    busy = Refused(429, "LCH-1814", "the service is busy", fix="ask again in a second")
    assert (b"retry-after", b"1") in told(busy).headers()
    assert (b"retry-after", b"1") in told_plainly(busy).headers()

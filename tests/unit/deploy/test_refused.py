from lichen.deploy.refused import UNSAID, Refused, shown, traced, unknown_field, wrong_value


def test_an_unknown_field_is_named_with_its_neighbours():
    refused = unknown_field("distence", ["distance", "carrier"])
    assert isinstance(refused, Refused)
    assert str(refused) == "LCH-1802: 'distence' is not a field of this service\n  fix: did you mean `distance`?"
    assert (refused.status, refused.field) == (422, "distence")


def test_a_wrong_value_is_shown_with_what_is_right():
    refused = wrong_value("distance", "far", "a number")
    assert str(refused) == "LCH-1803: `distance` is 'far'\n  fix: it must be a number"


def test_what_a_client_sent_is_shown_short():
    assert shown({"a": 1}) == "a JSON object"
    assert shown([1]) == "a JSON array"
    assert len(shown("x" * 10_000)) < 70
    assert "\n" not in shown("a\nb")


def test_a_failure_in_a_log_holds_no_value_and_no_folder():
    try:
        int("4111 1111 1111 1111")
    except ValueError as failure:
        text = traced(failure)
    assert text.startswith("ValueError at test_refused.py:")
    assert "4111" not in text
    assert "/" not in text


def test_personal_data_is_not_repeated():
    refused = wrong_value("birth", UNSAID, "a date, as in 2013-12-01")
    assert str(refused) == (
        "LCH-1803: `birth` is not right; it is personal data, and is not repeated\n"
        "  fix: it must be a date, as in 2013-12-01"
    )

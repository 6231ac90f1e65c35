from lichen.deploy.route import Route, Routes


async def reply(headers, receive):
    raise NotImplementedError


ROUTES = Routes(
    [
        Route("GET", "/v2", "read", reply),
        Route("GET", "/v2/models/{name}", "read", reply),
        Route("POST", "/v2/models/{name}/versions/{version}/infer", "predict", reply),
    ]
)


def test_an_address_is_found_with_the_parts_it_names():
    route, named = ROUTES.at("/v2/models/late/versions/a1/infer")
    assert (route.scope, named) == ("predict", {"name": "late", "version": "a1"})
    assert ROUTES.at("/v2")[0] is ROUTES.all[0]


def test_no_other_address_is():
    for path in ("", "/", "/v2/", "/v2/models", "/v2/models/", "/v2/models/a/b", "/V2", "//v2", "/v2/models//", "v2"):
        assert ROUTES.at(path) == (None, {}), path


def test_what_is_refused_is_told():
    refused = ROUTES.refusal(None, "GET")
    assert (refused.status, refused.code) == (404, "LCH-1809")
    assert "/v2/models/{name}" in refused.fix
    refused = ROUTES.refusal(ROUTES.all[0], "PUT")
    assert (refused.status, refused.code, refused.fix) == (405, "LCH-1810", "use GET")

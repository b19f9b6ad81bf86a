"""The http check against a real nginx, healthy and sick."""

from collections.abc import Iterator
from typing import Any

import pytest
from context import LocalContext
from local_servers import nginx, open_sockets, until

from checks import http

pytestmark = pytest.mark.usefixtures("either_speaker")

SERVERS = """
gzip on; gzip_types text/plain; gzip_min_length 1;
server {
  listen 127.0.0.1:PORT; server_name shop.example; default_type text/plain;
  root FOLDER;
  location = /health { default_type application/json;
    return 200 '{"status":"UP","queue":{"length":7,"names":["a","b"]},"a.b":1,"ratio":"0.5","ok":true,"big":1e999}'; }
  location = /broken { default_type application/json; return 500 '{"status":"DOWN","queue":{"length":99}}'; }
  location = /latin { charset iso-8859-1; try_files /latin.txt =404; }
  location = /long { try_files /long.txt =404; }
  location = /host { return 200 "host=$http_host"; }
  location = /echo { return 200 "$request_method team=$http_x_team auth=$http_authorization agent=$http_user_agent
cookie=$http_cookie encoding=$http_accept_encoding body=$content_length"; }
  location = /cookie { add_header Set-Cookie "a=b"; return 302 /echo; }
  location = /moved { return 301 http://127.0.0.1:PORT/health; }
  location = /elsewhere { return 307 http://localhost:PORT/echo; }
  location = /post { return 303 /echo; }
  location = /loop { return 302 /loop; }
  location = /mail { return 302 mailto:root@example; }
  location = /strange { return 302 "http://[::1:/"; }
  location = /unmodified { return 304; }
  location = /nothing { return 204; }
  location = /private { auth_basic private; auth_basic_user_file FOLDER/users; try_files /long.txt =404; }
}
server { listen 127.0.0.1:PORT; server_name other.example; return 200 "the other"; }
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    (folder / "users").write_text("anna:{PLAIN}p@ss word\n")
    (folder / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (folder / "long.txt").write_text("x" * 300_000 + "end")
    with nginx(folder, lambda port: SERVERS.replace("PORT", str(port)).replace("FOLDER", str(folder))) as port:
        yield f"http://127.0.0.1:{port}"


async def look(url: str, timeout: float = 5.0, **options: Any) -> dict[str, Any]:
    readings = await http.check(http.Options(url=url, **options), LocalContext(timeout=timeout))
    assert [reading.subject for reading in readings] == [""]
    return dict(readings[0].samples)


async def test_a_healthy_answer_is_up_with_every_stage_measured(site: str) -> None:
    samples = await look(f"{site}/health")
    assert samples["up"] == 1.0
    assert isinstance(samples["up"], float)
    assert (samples["error"], samples["detail"], samples["status"]) == ("", "", 200.0)
    assert samples["dns_seconds"] == 0.0  # of an address
    stages = [samples[name] for name in ("connect_seconds", "first_byte_seconds")]
    assert all(stage > 0 for stage in stages)
    assert sum(stages) <= samples["latency_seconds"] < 5  # on a busy host, and aiohttp may be imported only now
    assert (samples["redirects"], samples["truncated"]) == (0.0, False)
    assert samples["body_bytes"] == 98
    assert "tls_seconds" not in samples


async def test_every_sample_it_yields_is_promised(site: str) -> None:
    options = http.Options(url=f"{site}/health", json_samples={"queue": "queue.length"})
    readings = await http.check(options, LocalContext())
    promised = {spec.name for spec in (*http.SAMPLES, *http.samples(options))}
    assert set(readings[0].samples) <= promised
    assert "queue" in readings[0].samples


async def test_a_failing_status_is_down_and_still_measured(site: str) -> None:
    samples = await look(f"{site}/broken", json_samples={"queue": "queue.length"})
    assert (samples["up"], samples["error"], samples["status"]) == (0.0, "status", 500.0)
    assert samples["detail"] == "the status is 500, expected is 200-399"
    assert samples["latency_seconds"] > 0
    assert samples["queue"] == 99.0


@pytest.mark.parametrize(
    ("path", "expected", "up"),
    [("/broken", [500], 1), ("/broken", ["200-299", "500-599"], 1), ("/health", [201, 204], 0), ("/nothing", [204], 1)],
)
async def test_the_operator_says_which_status_is_right(site: str, path: str, expected: list[Any], up: int) -> None:
    assert (await look(f"{site}{path}", expect_status=expected))["up"] == up


async def test_an_answer_that_is_not_modified_is_up_by_default(site: str) -> None:
    assert (await look(f"{site}/unmodified"))["up"] == 1.0


@pytest.mark.parametrize(
    ("path", "options", "error"),
    [
        ("/health", {"expect_body": '"status":"UP"'}, ""),
        ("/health", {"expect_body": "DOWN"}, "body"),
        ("/health", {"expect_regex": r'"length":\s*\d+'}, ""),
        ("/health", {"expect_regex": r"^length"}, "body"),
        ("/health", {"expect_body": "UP", "expect_regex": "nowhere"}, "body"),
        ("/latin", {"expect_body": "Grüße"}, ""),
        ("/health", {"expect_json": {"status": "UP", "queue.length": 7, "queue.names.1": "b", "ok": True}}, ""),
        ("/health", {"expect_json": {r"a\.b": 1}}, ""),
        ("/health", {"expect_json": {"a.b": 1}}, "json"),
        ("/health", {"expect_json": {"status": "DOWN"}}, "json"),
        ("/health", {"expect_json": {"ok": 1}}, "json"),
        ("/health", {"expect_json": {r"a\.b": True}}, "json"),
        ("/health", {"expect_json": {"queue.names.2": "c"}}, "json"),
        ("/health", {"expect_json": {"missing": None}}, "json"),
        ("/latin", {"expect_json": {"status": "UP"}}, "json"),
    ],
)
async def test_the_body_is_judged(site: str, path: str, options: dict[str, Any], error: str) -> None:
    samples = await look(f"{site}{path}", **options)
    assert samples["error"] == error
    assert samples["up"] == (0.0 if error else 1.0)


async def test_a_wrong_status_is_said_before_a_wrong_body(site: str) -> None:
    assert (await look(f"{site}/broken", expect_body="fine"))["error"] == "status"


async def test_values_of_a_json_answer_become_samples_of_their_own_type(site: str) -> None:
    wanted = {
        "queue_length": "queue.length",
        "as_bytes": {"path": "queue.length", "unit": "bytes"},
        "state": {"path": "status", "unit": "string"},
        "is_ok": {"path": "ok", "unit": "boolean"},
        "no_number": "ratio",
        "no_number_either": "ok",
        "not_there": "queue.size",
        "no_text": {"path": "queue.length", "unit": "string"},
        "no_truth": {"path": r"a\.b", "unit": "boolean"},
        "endless": "big",
    }
    samples = await look(f"{site}/health", json_samples=wanted)
    assert {name: samples[name] for name in wanted if name in samples} == {
        "queue_length": 7.0,
        "as_bytes": 7.0,
        "state": "UP",
        "is_ok": True,
    }
    assert samples["up"] == 1.0


def test_json_samples_carry_their_unit_into_conditions() -> None:
    options = http.Options(url="http://a.example", json_samples={"used": {"path": "disk.used", "unit": "bytes"}})
    assert [(spec.name, spec.dimension.value) for spec in http.samples(options)] == [("used", "bytes")]


async def test_json_samples_of_an_answer_without_json_are_missing_and_no_fault(site: str) -> None:
    samples = await look(f"{site}/host", json_samples={"queue": "queue.length"})
    assert samples["up"] == 1.0
    assert "queue" not in samples


async def test_method_headers_and_body_are_sent_as_written(site: str) -> None:
    sent = {"method": "PUT", "headers": {"X-Team": "shop", "user-agent": "ours"}, "body": "four"}
    wanted = "PUT team=shop auth= agent=ours\ncookie= encoding=identity body=4"
    assert (await look(f"{site}/echo", expect_body=wanted, **sent))["up"] == 1.0


async def test_the_host_option_chooses_the_virtual_host(site: str) -> None:
    assert (await look(f"{site}/", host="other.example", expect_body="the other"))["up"] == 1.0
    assert (await look(f"{site}/host", host="shop.example:8080", expect_body="host=shop.example:8080"))["up"] == 1.0


async def test_basic_authentication_opens_the_door_and_only_with_the_right_password(site: str) -> None:
    assert (await look(f"{site}/private"))["status"] == 401.0
    assert (await look(f"{site}/private", basic={"user": "anna", "password": "p@ss word"}))["status"] == 200.0
    wrong = await look(f"{site}/private", basic={"user": "anna", "password": "guess"})
    assert (wrong["up"], wrong["status"]) == (0.0, 401.0)


async def test_a_bearer_token_is_sent(site: str) -> None:
    assert (await look(f"{site}/echo", bearer="t0ken", expect_body="auth=Bearer t0ken"))["up"] == 1.0


async def test_redirects_are_followed_and_counted(site: str) -> None:
    samples = await look(f"{site}/moved", expect_json={"status": "UP"})
    assert (samples["up"], samples["status"], samples["redirects"]) == (1.0, 200.0, 1.0)


async def test_redirects_can_be_left_alone(site: str) -> None:
    samples = await look(f"{site}/moved", follow_redirects=False, expect_status=[301])
    assert (samples["up"], samples["status"], samples["redirects"]) == (1.0, 301.0, 0.0)


async def test_a_redirect_loop_ends_as_down(site: str) -> None:
    samples = await look(f"{site}/loop")
    assert (samples["up"], samples["error"], samples["redirects"]) == (0.0, "redirects", 10.0)


@pytest.mark.parametrize("path", ["/mail", "/strange"])
async def test_a_redirect_to_what_is_no_url_of_http_is_down(site: str, path: str) -> None:
    samples = await look(f"{site}{path}")
    assert (samples["up"], samples["error"]) == (0.0, "redirects")


async def test_credentials_and_headers_stay_with_the_origin_they_were_written_for(site: str) -> None:
    sent = {"basic": {"user": "anna", "password": "p@ss word"}, "headers": {"X-Team": "shop"}}
    assert (await look(f"{site}/elsewhere", expect_body="GET team= auth= ", **sent))["up"] == 1.0
    assert (await look(f"{site}/post", expect_body="team=shop auth=Basic ", **sent))["up"] == 1.0


async def test_a_body_is_not_carried_to_another_origin(site: str) -> None:
    samples = await look(f"{site}/elsewhere", method="POST", body="secret")
    assert (samples["up"], samples["error"]) == (0.0, "redirects")


async def test_see_other_turns_a_post_into_a_get_without_a_body(site: str) -> None:
    assert (await look(f"{site}/post", method="POST", body="four", expect_regex=r"^GET (.|\n)* body=$"))["up"] == 1.0


async def test_no_cookies_are_kept(site: str) -> None:
    samples = await look(f"{site}/cookie", expect_regex="cookie= ")
    assert (samples["up"], samples["redirects"]) == (1.0, 1.0)


async def test_a_long_body_is_cut_and_it_is_said(site: str) -> None:
    samples = await look(f"{site}/long", body_limit="1000B")
    assert (samples["up"], samples["body_bytes"], samples["truncated"]) == (1.0, 1000.0, True)
    whole = await look(f"{site}/long", expect_regex="xend$")
    assert (whole["up"], whole["body_bytes"], whole["truncated"]) == (1.0, 300_003.0, False)
    exact = await look(f"{site}/long", body_limit="300003B")
    assert exact["truncated"] is False


async def test_what_lies_behind_the_limit_is_not_found(site: str) -> None:
    samples = await look(f"{site}/long", body_limit="1000B", expect_body="end")
    assert samples["error"] == "body"
    assert "the part of the body that was read" in samples["detail"]
    assert (await look(f"{site}/long", body_limit="10B", expect_json={"a": 1}))["error"] == "json"


async def test_a_compressed_body_is_read_decompressed(site: str) -> None:
    samples = await look(f"{site}/long", headers={"Accept-Encoding": "gzip"}, expect_regex="xend$")
    assert (samples["up"], samples["body_bytes"]) == (1.0, 300_003.0)


async def test_the_proxy_of_the_environment_is_not_used(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert (await look(f"{site}/health"))["up"] == 1.0


async def test_a_run_leaves_no_socket_open(site: str) -> None:
    before = open_sockets()
    for path in ("/health", "/broken", "/loop", "/long"):
        await look(f"{site}{path}", body_limit="1000B")
    await until(lambda: open_sockets() <= before)

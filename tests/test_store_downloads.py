"""The store against a web server that fails: a clear message or the right file, never a wrong one."""

import random
import time

import pytest
from served import PROXIES, Server, authority, proxy, says, whole
from weight_cards import PAYLOAD, https, write_card

from checkpoints import fetch, store
from pipeline.errors import MissingError

CUTS = sorted(random.Random(1).sample(range(1, len(PAYLOAD)), 4))
OTHER = PAYLOAD[:10_000] + PAYLOAD[:9_999:-1]  # begins alike, ends otherwise, of the same length


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """A server, one whose certificate has expired, and the file of the authority of both."""
    made, file = authority(tmp_path_factory.mktemp("authority"))
    running = Server(made), Server(made, expired=True)
    yield *running, file
    for server in running:
        server.close()


@pytest.fixture
def server(servers, cards):
    servers[0].asked.clear()
    return servers[0]


@pytest.fixture
def cards(tmp_path, monkeypatch, servers):
    """A folder for cards, an empty store, an authority that is trusted, and some patience: the machine may be busy."""
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path / "store"))
    monkeypatch.setenv("SSL_CERT_FILE", str(servers[2]))
    for name in ("VIDEOPOSE_OFFLINE", *PROXIES):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"STALL_S": 2.0, "SLOWEST": 5_000, "PAUSE_S": 0.0}.items():
        monkeypatch.setattr(fetch, name, value)
    (tmp_path / "cards").mkdir()
    return tmp_path / "cards"


def whole_files():
    """What in the store could be taken for a file."""
    return [path.name for path in store.folder().iterdir() if not path.name.startswith(".")]


def slow(request):
    whole(PAYLOAD, gap=lambda: time.sleep(0.1))(request)  # 50 kB a second


def trickle(request):
    request.send_response(200)
    request.send_header("Content-Length", str(len(PAYLOAD)))
    request.end_headers()
    for byte in PAYLOAD[:200]:
        request.wfile.write(bytes([byte]))
        time.sleep(0.02)


def hanging(ended, after):
    """Nothing at all, or nothing any more after some bytes."""

    def answer(request):
        if after:
            request.send_response(200)
            request.send_header("Content-Length", str(len(PAYLOAD)))
            request.end_headers()
            request.wfile.write(PAYLOAD[:after])
            request.wfile.flush()
        ended.wait(20)

    return answer


def replaced():
    """A server that has another file after it broke off, and gives no sign of it."""
    first, then = whole(OTHER, tag=None, cut=[15_000]), whole(PAYLOAD, tag=None)
    answers = [first]
    return lambda request: (answers.pop() if answers else then)(request)


FAILURES = {
    "cut": (lambda s: whole(PAYLOAD, cut=[CUTS[0]] * 9, ranges=False), "broke off after"),
    "wrong length": (lambda s: whole(PAYLOAD[:-5]), f"has {len(PAYLOAD) - 5} bytes, its card says {len(PAYLOAD)}"),
    "too long": (lambda s: whole(PAYLOAD + b"more"), f"has {len(PAYLOAD) + 4} bytes"),
    "wrong hash": (lambda s: whole(OTHER), r"small\.onnx has sha256 \w+\.\.\., its card says"),
    "404": (lambda s: says(404), "the server says 404 Not Found"),
    "403": (lambda s: says(403), "the server says 403 Forbidden"),
    "500": (lambda s: says(500), "the server says 500 Internal Server Error"),
    "slow": (lambda s: trickle, "too slow"),
    "hanging": (lambda s: hanging(s.ended, 0), "nothing came for 2 s"),
    "hanging on its way": (lambda s: hanging(s.ended, 9_000), "nothing came for 2 s"),
    "redirect": (lambda s: says(302, Location=s.url("good", "127.0.0.1")), r"127\.0\.0\.1 is not a host that the card"),
    "redirect to http": (lambda s: says(302, Location="http://localhost/good"), "redirected to what is not https"),
    "redirect to a file": (lambda s: says(302, Location="file:///etc/passwd"), "file"),
    "empty": (lambda s: whole(b""), "the file there is empty"),
    "web page": (lambda s: whole(b"<html>Log in first</html>", kind="text/html"), "a web page came"),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("known", [True, False])
def test_a_failure_is_told_and_nothing_is_left_that_looks_whole(server, cards, name, known):
    if not known and name in ("wrong length", "too long", "wrong hash"):
        pytest.skip("nobody could know")
    answer, told = FAILURES[name]
    facts = {} if known else {"bytes": 0, "sha256": ""}
    write_card(cards, https(server.serves("bad", answer(server))), **facts)
    with pytest.raises(MissingError, match=told) as caught:
        store.find("small", cards)
    text = str(caught.value)
    assert caught.value.exit_code == 4 and server.url("bad") in text and str(store.folder()) in text
    assert whole_files() == [] and store.local("small", cards) is None


@pytest.mark.parametrize("name", FAILURES)
def test_the_next_mirror_gives_the_file(server, cards, name, caplog):
    answer, _ = FAILURES[name]
    mirrors = [server.serves("bad", answer(server)), server.serves("good", whole(PAYLOAD))]
    write_card(cards, *map(https, mirrors))
    assert store.find("small", cards).read_bytes() == PAYLOAD
    assert [path.name for path in store.folder().iterdir()] == ["small.onnx"]
    assert server.url("bad") in caplog.text


def test_an_expired_certificate_is_told(servers, server, cards):
    expired = servers[1].serves("old", whole(PAYLOAD))
    write_card(cards, https(expired))
    with pytest.raises(MissingError, match="certificate is not accepted: certificate has expired"):
        store.find("small", cards)
    assert whole_files() == [] and servers[1].asked == []
    write_card(cards, https(expired), https(server.serves("good", whole(PAYLOAD))))
    assert store.find("small", cards).read_bytes() == PAYLOAD


def test_an_unknown_authority_is_told(server, cards, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    write_card(cards, https(server.serves("good", whole(PAYLOAD))))
    with pytest.raises(MissingError, match="certificate is not accepted"):
        store.find("small", cards)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("at", CUTS)
def test_a_broken_connection_is_taken_up_again(server, cards, at, known):
    write_card(cards, https(server.serves("file", whole(PAYLOAD, cut=[at]))), **({} if known else {"sha256": ""}))
    assert store.find("small", cards).read_bytes() == PAYLOAD
    assert server.asked == [("file", None), ("file", f"bytes={at}-")]


def test_a_connection_that_breaks_many_times_goes_on_in_the_next_call(server, cards):
    cuts = list(range(3_000, 31_000, 3_000))  # ten of them, and a call tries five times
    write_card(cards, https(server.serves("file", whole(PAYLOAD, cut=cuts))))
    with pytest.raises(MissingError, match="the next try goes on from there"):
        store.find("small", cards)
    assert whole_files() == [] and [path.name for path in store.folder().iterdir() if path.suffix == ".part"]
    with pytest.raises(MissingError, match="goes on from there"):
        store.find("small", cards)
    assert store.find("small", cards).read_bytes() == PAYLOAD
    assert server.asked[5][1] == "bytes=15000-" and [path.name for path in store.folder().iterdir()] == ["small.onnx"]


@pytest.mark.parametrize("known", [True, False])
def test_a_slow_server_that_goes_on_is_waited_for(server, cards, known, monkeypatch):
    """For longer than a server is waited for that sends nothing."""
    monkeypatch.setattr(fetch, "STALL_S", 0.6)
    write_card(cards, https(server.serves("file", slow)))
    assert store.find("small", cards).read_bytes() == PAYLOAD


# ---- another file in its place ---------------------------------------------------------------------------------------


def test_a_file_replaced_between_its_parts_comes_from_the_start(server, cards):
    write_card(cards, https(server.serves("file", replaced())))
    assert store.find("small", cards).read_bytes() == PAYLOAD
    assert [span for _, span in server.asked] == [None, "bytes=15000-", None]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("honest", [True, False])
def test_a_replaced_file_with_another_tag_comes_from_the_start(server, cards, known, honest):
    """Also from a server that gives the rest of it all the same."""
    first, then = whole(OTHER, tag='"1"', cut=[15_000]), whole(PAYLOAD, tag='"2"')

    def answer(request):
        if len(server.asked) > 1 and not honest:
            del request.headers["If-Range"]
        (first if len(server.asked) == 1 else then)(request)

    write_card(cards, https(server.serves("file", answer)), **({} if known else {"sha256": ""}))
    assert store.find("small", cards).read_bytes() == PAYLOAD
    assert [span for _, span in server.asked] == [None, "bytes=15000-", *([] if honest else [None])]


def test_a_part_of_a_file_that_nobody_knows_is_not_gone_on_with_blindly(server, cards):
    """Without a tag, a date or a hash, two halves of two files could not be told apart."""
    write_card(cards, https(server.serves("file", replaced())), bytes=0, sha256="")
    assert store.find("small", cards).read_bytes() == PAYLOAD
    assert [span for _, span in server.asked] == [None, None]


def test_a_file_replaced_after_it_was_pinned_is_refused(server, cards, caplog):
    write_card(cards, https(server.serves("file", whole(PAYLOAD))), bytes=0, sha256="")
    kept = store.find("small", cards)
    assert "was not known beforehand; pinned now" in caplog.text
    kept.unlink()
    server.serves("file", whole(OTHER, tag='"2"'))
    with pytest.raises(MissingError, match=r"was pinned \(to accept another, remove .*small\.onnx\.sha256\)"):
        store.find("small", cards)
    assert whole_files() == ["small.onnx.sha256"]


def test_a_part_of_an_older_file_does_not_end_in_a_mixture(server, cards):
    """What was fetched yesterday belongs to another file than what the server has today, and it cannot tell."""
    yesterday = server.serves("file", whole(OTHER, tag=None, cut=[15_000, 0]))
    write_card(cards, https(yesterday))
    with pytest.raises(MissingError, match="broke off"):
        store.find("small", cards)
    server.serves("file", whole(PAYLOAD, tag=None))
    assert store.find("small", cards).read_bytes() == PAYLOAD


def test_a_part_longer_than_the_file_is_thrown_away(server, cards):
    server.serves("file", whole(PAYLOAD + b"longer", cut=[len(PAYLOAD) + 3, 0], tag=None))
    write_card(cards, https(server.url("file")), bytes=0)
    with pytest.raises(MissingError, match="broke off"):
        store.find("small", cards)
    server.serves("file", whole(PAYLOAD, tag=None))
    assert store.find("small", cards).read_bytes() == PAYLOAD


# ---- where it may come from ------------------------------------------------------------------------------------------


def test_a_redirect_to_a_host_that_the_card_names_is_followed(server, cards):
    server.serves("good", whole(PAYLOAD))
    moved = server.serves("moved", says(302, Location=server.url("good", "127.0.0.1")))
    write_card(cards, https(moved, hosts=["127.0.0.1"]))
    assert store.find("small", cards).read_bytes() == PAYLOAD


@pytest.mark.parametrize(
    ("host", "fits"), [("cdn.example.org", True), ("example.org", False), ("badexample.org", False)]
)
def test_hosts_below_a_name(host, fits):
    if fits:
        fetch._check(f"https://{host}/x", ["*.example.org"])
    else:
        with pytest.raises(fetch.FetchError, match="is not a host that the card names"):
            fetch._check(f"https://{host}/x", ["*.example.org"])


def test_a_proxy_is_used_and_named_without_its_password(server, cards, monkeypatch, caplog):
    caplog.set_level("INFO", "videopose")
    write_card(cards, https(server.serves("good", whole(PAYLOAD))))
    with proxy() as (place, asked):
        monkeypatch.setenv("https_proxy", f"http://me:secret@{place}")
        assert store.find("small", cards).read_bytes() == PAYLOAD
    assert asked == [server.url("").removeprefix("https://").rstrip("/")]
    assert f"through the proxy {place}" in caplog.text and "secret" not in caplog.text


def test_a_dead_proxy_is_told_and_no_proxy_goes_past_it(server, cards, monkeypatch):
    write_card(cards, https(server.serves("good", whole(PAYLOAD))))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(MissingError, match=r"no server answers there \(through the proxy 127\.0\.0\.1:9\)"):
        store.find("small", cards)
    monkeypatch.setenv("no_proxy", "localhost")
    assert store.find("small", cards).read_bytes() == PAYLOAD


def test_a_server_that_is_not_there(cards):
    write_card(cards, https("https://localhost:9/x"), https("https://no.such.host.invalid/x"))
    with pytest.raises(MissingError, match=r"localhost:9/x: no server answers there; https://no\.such.*: no such host"):
        store.find("small", cards)


def of_no_length(payload):
    def answer(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(payload)

    return answer


def test_length_and_hash_unknown_is_refused(server, cards):
    write_card(cards, https(server.serves("file", of_no_length(PAYLOAD))), bytes=0, sha256="")
    with pytest.raises(MissingError, match="nobody could tell whether it is whole"):
        store.find("small", cards)
    write_card(cards, https(server.url("file")))
    assert store.find("small", cards).read_bytes() == PAYLOAD


def test_a_stream_without_an_end_is_left_off(server, cards):
    sent = []

    def endless(request):
        request.send_response(200)
        request.end_headers()
        while len(sent) < 1000:
            request.wfile.write(PAYLOAD)
            sent.append(len(PAYLOAD))

    write_card(cards, https(server.serves("file", endless)))
    with pytest.raises(MissingError, match=f"more than the {len(PAYLOAD)} bytes came"):
        store.find("small", cards)
    assert list(store.folder().iterdir()) == [] and len(sent) < 1000


def test_more_than_is_allowed_is_not_taken(server, cards, monkeypatch):
    monkeypatch.setattr(fetch, "LIMIT", 30_000)
    write_card(cards, https(server.serves("file", whole(PAYLOAD))), bytes=0)
    with pytest.raises(MissingError, match="more than the 30000 that are allowed"):
        store.find("small", cards)


def test_progress_is_told(server, cards, monkeypatch, caplog):
    caplog.set_level("INFO", "videopose")
    clock = iter(range(0, 10_000, 6))
    monkeypatch.setattr(fetch, "time", type("Clock", (), {"monotonic": staticmethod(lambda: next(clock))}))
    monkeypatch.setattr(fetch, "SLOWEST", 0)
    write_card(cards, https(server.serves("file", whole(PAYLOAD))))
    store.find("small", cards)
    assert "fetching https://localhost" in caplog.text and "of 0.0 MB" in caplog.text

"""What a kubectl user reads when the host refuses."""

from __future__ import annotations

import orjson
import pytest

from syncer.kubelet.answers import explain, plain, shown, with_virtual_names
from syncer.kubelet.routes import HostRequest, PodLocation

LOCATION = PodLocation(host_namespace="team", host_name="web-x-shop-x-alpha", containers=frozenset({"app"}))


def request(route="exec"):
    return HostRequest(
        route=route, method="POST", target="/", headers=(), namespace="shop", pod="web", location=LOCATION
    )


def status(message, code):
    return orjson.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code})


@pytest.mark.parametrize(
    ("host", "virtual"),
    [
        ('pods "web-x-shop-x-alpha" not found', 'pods "web" not found'),
        ("pod web-x-shop-x-alpha_team is gone.", "pod web_shop is gone."),
        ("see web-x-shop-x-alpha.", "see web."),
        ("pod team/web-x-shop-x-alpha.", "pod shop/web."),
        ("user system:serviceaccount:team:vc-alpha", "user system:serviceaccount:shop:vc-alpha"),
        (
            "steam team-a a-team web-x-shop-x-alphabet team.example",
            "steam team-a a-team web-x-shop-x-alphabet team.example",
        ),
    ],
)
def test_host_names_become_virtual_ones_where_they_stand_alone(host, virtual):
    assert with_virtual_names(host, request()) == virtual


def test_a_status_is_told_by_its_message():
    assert explain(request(), 404, status('pods "web-x-shop-x-alpha" not found', 404)) == (404, 'pods "web" not found')


def test_an_answer_that_is_no_status_is_told_as_it_is():
    assert explain(request(), 500, b"pod does not exist\n") == (500, "pod does not exist")


@pytest.mark.parametrize("code", [404, 422])
def test_logs_use_a_status_whose_text_the_api_server_shows(code):
    assert explain(request("containerLogs"), code, status("no", code)) == (400, "no")
    assert shown("containerLogs", code) == 400


def test_other_statuses_stay():
    assert shown("exec", 404) == 404
    assert shown("containerLogs", 403) == 403


def test_a_refused_token_is_not_the_users_fault():
    code, text = explain(request(), 401, status("Unauthorized", 401))
    assert code == 502
    assert "syncer's credentials" in text


def test_a_host_policy_is_named_as_such():
    assert explain(request(), 403, status("exec is off", 403)) == (403, "the host cluster refused: exec is off")


def test_a_redirect_is_not_followed_nor_passed_on():
    assert explain(request(), 302, b"") == (502, "the host API server gave an answer that cannot be used: 302")


def test_an_empty_answer_still_says_something():
    assert explain(request(), 500, b"") == (500, "no reason given")


def test_a_text_is_framed_by_its_length_in_bytes():
    answer = plain(404, "nö", headers=[("Retry-After", "3")])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert b"Content-Length: 3" in head
    assert b"Retry-After: 3" in head
    assert body.decode() == "nö"

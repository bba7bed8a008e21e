"""Which patches are not sent again."""

from __future__ import annotations

from typing import Any

from syncer.engine.futile import Futile
from syncer.names import Key
from syncer.plan.actions import Attempt, Later, Patch, Side

KEY = Key("pods", "shop", "web")


def patch(body: dict[str, Any], **more: Any) -> Patch:
    return Patch(side=Side.VIRTUAL, resource="pods", namespace="shop", name="web", uid="1", body=body, **more)


def test_what_is_wanted_again_of_what_was_sent_is_not_sent_until_an_object_changes() -> None:
    versions = ["1", "1"]
    futile = Futile(lambda _: (versions[0], versions[1]))
    dropped = patch({"status": {"resources": {}}})
    futile.learn(KEY, [patch({"status": {"resources": {}, "podIP": "10.1.2.3"}}), Later(seconds=1)], [dropped])

    assert futile.without(KEY, [dropped, Later(seconds=1)]) == [Later(seconds=1)]
    versions[1] = "2"
    assert futile.without(KEY, [dropped]) == [dropped]


def test_news_that_came_while_a_patch_was_sent_is_not_in_vain() -> None:
    futile = Futile(lambda _: ("1", "1"))
    for news in (
        patch({"status": {"podIP": "10.1.2.4"}}),
        patch({"status": {"podIP": "10.1.2.3", "phase": "Running"}}),
        patch({"status": {"podIP": "10.1.2.3"}}, subresource="status"),
    ):
        futile.learn(KEY, [patch({"status": {"podIP": "10.1.2.3"}})], [news])
        assert futile.without(KEY, [news]) == [news]


def test_what_was_refused_is_not_tried_again() -> None:
    versions = ["1", "1"]
    futile = Futile(lambda _: (versions[0], versions[1]))
    refused = Attempt(action=patch({"spec": {}}), otherwise=())
    futile.learn(KEY, [refused], [refused])
    assert futile.without(KEY, [refused]) == []
    versions[:] = "", ""
    assert futile.without(KEY, [refused]) == [refused]

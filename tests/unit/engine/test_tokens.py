"""Tokens come from the virtual API server, are bound to their pod, and lie in one Secret that knows when they are due."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from syncer.engine.index import Index
from syncer.engine.tokens import TokenIssuer
from syncer.names import KIND, TOKEN, UID, Key, Object, identify, token_secret_name
from syncer.plan.tokens import REFRESH_AT
from tests.unit.builders import CLUSTER, OWNER, SPACE, context, key, virtual
from tests.unit.engine.fakes import FakeServer, failing

KEY = Key(TOKEN, SPACE, "web")
NAME = token_secret_name("web", SPACE, CLUSTER)


def source(path: str = "token", **fields: Any) -> Object:
    return {"serviceAccountToken": {"path": path, **fields}}


class Issuing:
    """An issuer, both its servers, and a clock."""

    def __init__(self, *sources: Object, **spec: Any) -> None:
        self.host, self.virtual, self.now = FakeServer("host"), FakeServer("virtual"), 0.0
        self.pods = Index(lambda obj: key("pods", obj["metadata"]["name"]), lambda *_: None)
        volumes = [{"name": "v", "projected": {"sources": list(sources)}}]
        self.pods.changed(virtual("pods", spec={"containers": [], "volumes": volumes, **spec}))
        self.issuer = TokenIssuer(host=self.host, virtual=self.virtual, context=context(), now=lambda: self.now)  # type: ignore[arg-type]

    async def secret(self) -> Object:
        written = await self.issuer.issue(KEY, self.pods)
        assert written is not None
        return written

    def asked(self, account: str = "default") -> list[Object]:
        return [body["spec"] for body in self.virtual.bodies(f"create serviceaccounts/{account}/token")]


async def test_a_token_is_asked_for_with_its_audience_life_and_pod():
    it = Issuing(source(audience="vault", expirationSeconds=600))
    await it.secret()
    assert it.asked() == [
        {
            "audiences": ["vault"],
            "expirationSeconds": 600,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "virtual-web"},
        }
    ]


async def test_a_token_without_an_audience_is_for_the_api_server_itself():
    it = Issuing(source())
    await it.secret()
    assert it.asked()[0]["audiences"] == []


async def test_a_token_is_that_of_the_pods_own_service_account():
    it = Issuing(source(), serviceAccountName="builder")
    await it.secret()
    assert len(it.asked("builder")) == 1


async def test_all_tokens_of_a_pod_lie_in_one_secret_that_is_marked_as_such():
    it = Issuing(source("one"), source("two", audience="vault"))
    secret = await it.secret()
    assert [base64.b64decode(value) for value in secret["data"].values()] == [b"token-of-default"] * 2
    metadata = secret["metadata"]
    assert metadata["name"] == NAME
    assert metadata["labels"][KIND] == TOKEN
    assert metadata["annotations"][UID] == "virtual-web"
    assert metadata["ownerReferences"] == [OWNER]
    assert identify(secret, TOKEN, CLUSTER) == KEY
    assert it.host.said == [f"create secrets/{NAME}"]


@pytest.mark.parametrize(("now", "due"), [(0.0, "2880"), (3600.0, "3610"), (4000.0, "4010")])
async def test_tokens_are_due_when_four_fifths_of_their_life_are_over_but_never_at_once(now, due):
    it = Issuing(source())
    it.now = now
    assert (await it.secret())["metadata"]["annotations"][REFRESH_AT] == due


async def test_a_second_issue_writes_over_the_first():
    it = Issuing(source())
    first = await it.secret()
    it.now = 100.0
    second = await it.secret()
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert second["metadata"]["annotations"][REFRESH_AT] > first["metadata"]["annotations"][REFRESH_AT]
    assert it.host.said == [f"create secrets/{NAME}", f"create secrets/{NAME}", f"patch secrets/{NAME}"]


async def test_nothing_is_written_unless_every_token_came():
    it = Issuing(source("one"), source("two"))
    it.virtual.refuse("create", "serviceaccounts", failing(503))
    with pytest.raises(Exception, match="down"):
        await it.secret()
    assert it.host.said == []


async def test_a_pod_that_is_gone_needs_no_tokens():
    it = Issuing(source())
    assert await it.issuer.issue(Key(TOKEN, SPACE, "gone"), it.pods) is None
    assert it.virtual.said == []


async def test_a_pod_without_tokens_gets_no_secret():
    it = Issuing()
    assert await it.issuer.issue(KEY, it.pods) is None
    assert it.host.said == []

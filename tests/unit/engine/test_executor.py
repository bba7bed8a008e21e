"""Each action becomes the right request, and each refusal what it means."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from syncer.engine.executor import NameTaken
from syncer.kube.errors import Conflict, Forbidden, Invalid
from syncer.names import UID, Key, Object
from syncer.plan.actions import Attempt, Bind, Create, Delete, First, Later, Patch, Side, Together, Warn
from syncer.rules.generic import to_host
from tests.unit.builders import HOST_NAMESPACE, SPACE, context, key, rule, there, virtual
from tests.unit.engine.fakes import forbidden, invalid
from tests.unit.engine.harness import Harness, engine_of

KEY = key("configmaps")
ROW = rule("configmaps")


def body(uid: str = "u", name: str = "web") -> Object:
    mine = virtual("configmaps", name, data={"a": "b"}, metadata={"uid": uid})
    return to_host(ROW, key("configmaps", name), mine, context())


def create(made: Object | None = None) -> Create:
    return Create(side=Side.HOST, resource="configmaps", body=made or body())


def patch(uid: str, **fields: Any) -> Patch:
    given = {"body": {"data": {"a": "c"}}, **fields}
    return Patch(side=Side.HOST, resource="configmaps", namespace=HOST_NAMESPACE, name=there(), uid=uid, **given)


def held() -> Object:
    """One that lingers when it is deleted."""
    made = body()
    made["metadata"]["finalizers"] = ["example.com/hold"]
    return made


def delete_of(it: Harness) -> Delete:
    """The deletion of the host object that is there."""
    uid = it.theirs("configmaps")["metadata"]["uid"]
    return Delete(side=Side.HOST, resource="configmaps", namespace=HOST_NAMESPACE, name=there(), uid=uid)


async def run(it: Harness, action: Any, name: Key = KEY) -> None:
    await it.engine._executor.run(name, action)


async def test_what_was_written_is_known_before_the_watch_tells():
    async with engine_of() as it:
        await run(it, create())
        assert it.world.host["configmaps"].get(KEY)["data"] == {"a": "b"}
        await run(it, patch(it.theirs("configmaps")["metadata"]["uid"]))
        assert it.world.host["configmaps"].get(KEY)["data"] == {"a": "c"}


async def test_an_object_of_ours_that_is_there_already_counts_as_created():
    """The answer to an earlier create was lost."""
    async with engine_of() as it:
        it.host.put("configmaps", body())
        await run(it, create())
        assert KEY in it.world.host["configmaps"]


async def test_a_stranger_under_our_name_is_not_taken_for_ours():
    async with engine_of() as it:
        it.host.put("configmaps", {"metadata": {"name": there(), "namespace": HOST_NAMESPACE}})
        with pytest.raises(NameTaken, match=there()):
            await run(it, create())
        assert len(it.world.host["configmaps"]) == 0


async def test_an_object_that_is_ours_but_of_another_virtual_object_is_not_taken_either():
    """Two names whose hashes agree can be searched for by a patient tenant."""
    async with engine_of() as it:
        it.host.put("configmaps", body())
        with pytest.raises(NameTaken):
            await run(it, create(body()), key("configmaps", "other"))


async def test_the_object_of_a_predecessor_has_to_go_first():
    async with engine_of() as it:
        it.host.put("configmaps", body("old"))
        with pytest.raises(Conflict, match="an earlier ConfigMap web"):
            await run(it, create(body("new")))


async def test_a_service_that_was_made_during_admission_is_taken_over():
    async with engine_of() as it:
        from syncer.rules.services import to_host as service_to_host

        made = service_to_host(rule("services"), key("services"), virtual("services", spec={"ports": []}), context())
        assert UID not in made["metadata"]["annotations"]
        it.host.put("services", made)
        await run(it, Create(side=Side.HOST, resource="services", body=made), key("services"))
        assert key("services") in it.world.host["services"]


async def test_a_virtual_object_that_is_there_already_is_accepted_as_it_is():
    async with engine_of() as it:
        it.virtual.put("nodes", {"metadata": {"name": "n"}, "spec": {"mine": True}})
        await run(it, Create(side=Side.VIRTUAL, resource="nodes", body={"metadata": {"name": "n"}}))
        assert it.world.virtual["nodes"].get(Key("nodes", "", "n"))["spec"] == {"mine": True}


async def test_a_patch_meets_only_the_object_that_was_planned_for():
    async with engine_of() as it:
        it.host.put("configmaps", body())
        with pytest.raises(Conflict):
            await run(it, patch("another"))
        (sent,) = it.host.bodies(f"patch configmaps/{there()}")
        assert sent == {"data": {"a": "c"}, "metadata": {"uid": "another"}}


async def test_a_patch_of_metadata_keeps_its_own_fields_beside_the_uid():
    async with engine_of() as it:
        it.host.put("configmaps", body())
        uid = it.theirs("configmaps")["metadata"]["uid"]
        await run(it, patch(uid, body={"metadata": {"labels": {"a": "b"}}}))
        assert it.theirs("configmaps")["metadata"]["labels"]["a"] == "b"


@pytest.mark.parametrize(("strategic", "content_type"), [(True, "strategic"), (False, "merge")])
async def test_lists_are_merged_by_key_where_the_plan_says_so(strategic, content_type):
    async with engine_of() as it:
        it.host.put("configmaps", body())
        await run(it, patch(it.theirs("configmaps")["metadata"]["uid"], strategic=strategic, subresource="status"))
        call = it.host.calls[-1]
        assert call.options["content_type"] == content_type
        assert call.subresource == "status"


async def test_deleting_what_is_gone_is_done():
    async with engine_of() as it:
        await run(it, Delete(side=Side.HOST, resource="configmaps", namespace=HOST_NAMESPACE, name="gone", uid="u"))


async def test_what_was_deleted_is_known_to_be_gone_before_the_watch_tells():
    async with engine_of() as it:
        await run(it, create())
        await run(it, delete_of(it))
        assert KEY not in it.world.host["configmaps"]


async def test_what_lingers_after_its_deletion_is_there_until_the_watch_tells():
    async with engine_of() as it:
        await run(it, create(held()))
        await run(it, delete_of(it))
        assert "deletionTimestamp" in it.world.host["configmaps"].get(KEY)["metadata"]


async def test_a_pod_that_a_delete_shows_for_the_last_time_is_there_until_the_watch_tells():
    """Servers leave out its version: it has none any more."""
    async with engine_of() as it:
        await run(it, create(held()))
        delete = it.host.delete

        async def shown_for_the_last_time(*arguments: Any, **options: Any) -> Object | None:
            answer = await delete(*arguments, **options)
            assert answer is not None
            metadata = {name: value for name, value in answer["metadata"].items() if name != "resourceVersion"}
            return {**answer, "metadata": metadata}

        it.host.delete = shown_for_the_last_time  # type: ignore[method-assign]
        await run(it, delete_of(it))
        assert KEY in it.world.host["configmaps"]


async def test_a_delete_meets_only_the_object_that_was_planned_for_with_its_grace():
    async with engine_of() as it:
        it.host.put("configmaps", body())
        with pytest.raises(Conflict):
            await run(
                it,
                Delete(side=Side.HOST, resource="configmaps", namespace=HOST_NAMESPACE, name=there(), uid="x", grace=7),
            )
        assert it.host.calls[-1].options == {"grace": 7, "uid": "x"}


async def test_a_second_choice_is_taken_when_the_first_is_invalid_and_the_key_is_looked_at_again():
    async with engine_of() as it:
        it.host.refuse("create", "configmaps", invalid())
        second = create({**body(), "data": {"second": "choice"}})
        await run(it, Attempt(action=create(), otherwise=(second,)))
        assert it.theirs("configmaps")["data"] == {"second": "choice"}
        assert it.queue.is_pending(KEY)


async def test_a_first_choice_that_is_accepted_needs_no_second():
    async with engine_of() as it:
        await run(it, Attempt(action=create(), otherwise=(create({**body(), "data": {}}),)))
        assert it.host.said == [f"create configmaps/{there()}"]
        assert not it.queue.is_pending(KEY)


async def test_a_first_choice_may_be_worth_a_second_try():
    async with engine_of() as it:
        it.host.refuse("create", "configmaps", invalid())
        await run(it, Attempt(action=create(), otherwise=(create({**body(), "data": {}}),), again=0.5))
        assert it.theirs("configmaps")["data"] == {"a": "b"}
        assert not it.queue.is_pending(KEY)


async def test_a_first_choice_refused_twice_gives_way_to_the_second():
    async with engine_of() as it:
        it.host.refuse("create", "configmaps", invalid(), times=2)
        second = create({**body(), "data": {"second": "choice"}})
        await run(it, Attempt(action=create(), otherwise=(second,), again=0.5))
        assert it.theirs("configmaps")["data"] == {"second": "choice"}


async def test_no_second_choice_makes_up_for_a_missing_right():
    async with engine_of() as it:
        it.host.refuse("create", "configmaps", forbidden())
        with pytest.raises(Forbidden):
            await run(it, Attempt(action=create(), otherwise=(create(),)))


async def test_what_an_attempt_may_be_forbidden_is_told_in_the_tenants_names_and_no_failure():
    async with engine_of() as it:
        it.virtual.put("configmaps", virtual("configmaps", data={}))
        it.start()
        await it.settle()
        it.host.refuse("create", "configmaps", forbidden(f"{there()} is too large"))
        warning = Warn(key=KEY, reason="SyncError", message="refused")
        await run(it, Attempt(action=create(), otherwise=(warning,), forbidden=True))
        assert it.warnings() == ["refused: web is too large"]


async def test_a_second_choice_that_is_invalid_too_is_a_failure():
    async with engine_of() as it:
        it.host.refuse("create", "configmaps", invalid(), times=2)
        with pytest.raises(Invalid):
            await run(it, Attempt(action=create(), otherwise=(create(),)))


async def test_actions_together_are_all_sent_though_one_fails():
    async with engine_of() as it:
        it.host.refuse("create", "configmaps", forbidden(), times=1)
        with pytest.raises(Forbidden):
            await run(it, Together(actions=(create(), create(body(name="other")))))
        await asyncio.sleep(1)
        assert it.theirs("configmaps", "other")


async def test_what_comes_first_is_brought_up_before_going_on():
    async with engine_of() as it:
        it.virtual.put("secrets", {"metadata": {"name": "s", "namespace": SPACE}, "type": "Opaque"})
        it.virtual.put(
            "pods",
            {
                "metadata": {"name": "p", "namespace": SPACE},
                "spec": {"containers": [], "imagePullSecrets": [{"name": "s"}]},
            },
        )
        it.virtual.tell()
        await run(it, First(keys=(key("secrets", "s"),)))
        assert it.theirs("secrets", "s")


async def test_a_binding_says_where_and_makes_the_node_first():
    async with engine_of() as it:
        it.virtual.put("pods", {"metadata": {"name": "web", "namespace": SPACE, "uid": "u"}, "spec": {}})
        await run(it, Bind(key=key("pods"), uid="u", node="node-1"))
        assert it.virtual.said == ["create nodes/node-1", "create pods/web/binding"]
        (binding,) = it.virtual.bodies("create pods/web/binding")
        assert binding["target"]["name"] == "node-1"
        assert binding["metadata"]["uid"] == "u"
        assert it.world.bound_to(key("pods"), "u") == "node-1"


async def test_a_binding_to_a_known_node_is_one_request():
    async with engine_of() as it:
        it.virtual.put("nodes", {"metadata": {"name": "node-1"}})
        it.virtual.put("pods", {"metadata": {"name": "web", "namespace": SPACE, "uid": "u"}, "spec": {}})
        it.virtual.tell()
        await run(it, Bind(key=key("pods"), uid="u", node="node-1"))
        assert it.virtual.said == ["create pods/web/binding"]


async def test_later_is_later():
    async with engine_of() as it:
        await run(it, Later(seconds=5))
        assert it.queue._timers[KEY].when() == 5


async def test_a_warning_about_an_object_that_is_gone_is_kept_to_oneself():
    async with engine_of() as it:
        await run(it, Warn(key=KEY, reason="SyncError", message="no"))
        assert it.virtual.said == []


async def test_contents_of_secrets_never_reach_the_log(caplog):
    async with engine_of() as it:
        with caplog.at_level("DEBUG"):
            await run(it, create({**body(), "data": {"password": "hunter2"}}))
        assert all("hunter2" not in str(vars(record)) for record in caplog.records)

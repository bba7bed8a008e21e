"""An index is equal to its watch, knows its own writes again, and believes nothing old."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.engine.index import Index, is_newer
from syncer.names import Key


class Told:
    """An index of objects named by themselves, with what it told of changes."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.last: dict[Key, object] = {}
        self.index = Index(
            lambda obj: key(obj["metadata"]["name"]) if obj["metadata"]["name"] != "foreign" else None, self._changed
        )

    def _changed(self, changed, obj, last, own):
        what = "gone" if obj is None else obj["metadata"]["resourceVersion"]
        self.said.append(f"{changed.name} {what}{' own' if own else ''}")
        if last is not None:
            self.last[changed] = last

    def news(self) -> list[str]:
        said, self.said = self.said, []
        return said


def key(name: str) -> Key:
    return Key("pods", "shop", name)


def pod(name: str = "a", version: object = 1, uid: str = "u", **fields):
    return {"metadata": {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version)}, **fields}


@pytest.fixture
def told():
    return Told()


def filled(told, *pods):
    told.index.begin()
    for obj in pods:
        told.index.put(obj)
    told.index.end()
    told.news()
    return told.index


@pytest.mark.parametrize(
    ("version", "than", "newer"),
    [
        ("2", "1", True),
        ("1", "1", False),
        ("1", "2", False),
        ("10", "9", True),
        ("1", "", True),
        ("a", "b", True),
        ("a", "a", False),
    ],
)
def test_versions_are_compared_as_numbers_and_others_by_being_different(version, than, newer):
    assert is_newer(version, than) is newer


def test_an_index_is_synced_once_its_first_list_is_complete(told):
    told.index.begin()
    told.index.put(pod())
    assert not told.index.synced.is_set()
    told.index.end()
    assert told.index.synced.is_set()


def test_an_object_comes_back_as_it_was_given_without_managed_fields(told):
    given_ = pod(status={"text": "☃ \x00", "n": 1.5, "none": None, "list": [{}]})
    given_["metadata"]["managedFields"] = [{"manager": "x"}]
    told.index.changed(given_)
    found = told.index.get(key("a"))
    assert found == pod(status={"text": "☃ \x00", "n": 1.5, "none": None, "list": [{}]})


def test_a_copy_can_be_changed_without_changing_the_index(told):
    told.index.changed(pod(spec={"a": 1}))
    told.index.get(key("a"))["spec"]["a"] = 2
    assert told.index.get(key("a"))["spec"] == {"a": 1}


def test_an_unknown_key_has_nothing(told):
    assert told.index.get(key("z")) is None
    assert told.index.version(key("z")) == ""
    assert key("z") not in told.index


def test_news_of_an_object_is_told_once(told):
    told.index.changed(pod(version=2))
    told.index.changed(pod(version=2))
    assert told.news() == ["a 2"]


def test_the_echo_of_our_own_write_is_dropped(told):
    told.index.written(pod(version=2))
    told.index.changed(pod(version=2))
    assert told.news() == ["a 2 own"]


def test_an_event_older_than_our_own_write_is_dropped(told):
    index = filled(told, pod(version=1))
    index.written(pod(version=5, spec={"new": True}))
    index.changed(pod(version=3, spec={"new": False}))
    assert told.news() == ["a 5 own"]
    assert index.get(key("a"))["spec"] == {"new": True}


def test_an_answer_older_than_what_the_watch_has_told_is_dropped(told):
    index = filled(told, pod(version=1))
    index.changed(pod(version=7))
    index.written(pod(version=5))
    assert told.news() == ["a 7"]


def test_an_answer_that_comes_after_the_watch_told_of_the_objects_end_brings_nothing_back(told):
    index = filled(told)
    index.changed(pod(version=5))
    index.deleted(pod(version=6))
    index.written(pod(version=5))
    assert key("a") not in index
    assert told.news() == ["a 5", "a gone"]


def test_a_gone_object_is_told_with_its_last_state(told):
    index = filled(told, pod(version=1))
    index.deleted(pod(version=2, status={"phase": "Failed"}))
    assert told.news() == ["a gone"]
    assert told.last[key("a")]["status"] == {"phase": "Failed"}


def test_an_object_that_a_list_does_not_name_is_gone(told):
    index = filled(told, pod("a"), pod("b", status={"phase": "Running"}))
    index.begin()
    index.put(pod("a"))
    index.end()
    assert told.news() == ["b gone"]
    assert told.last[key("b")]["status"] == {"phase": "Running"}


def test_a_list_is_the_truth_also_when_it_is_older(told):
    index = filled(told, pod(version=9, spec={"restored": False}))
    index.begin()
    index.put(pod(version=4, spec={"restored": True}))
    index.end()
    assert told.news() == ["a 4"]
    assert index.get(key("a"))["spec"] == {"restored": True}


def test_what_a_list_repeats_is_no_news(told):
    index = filled(told, pod())
    index.begin()
    index.put(pod())
    index.end()
    assert told.news() == []


@pytest.mark.parametrize("how", ["changed", "written"])
def test_an_object_that_appears_during_a_listing_stays(told, how):
    index = filled(told)
    index.begin()
    getattr(index, how)(pod(version=5))
    index.end()
    assert key("a") in index


def test_an_object_deleted_during_a_listing_goes_once(told):
    index = filled(told, pod())
    index.begin()
    index.put(pod())
    index.deleted(pod(version=2))
    index.end()
    assert told.news() == ["a gone"]


def test_a_listing_that_broke_off_is_void(told):
    index = filled(told, pod("a"), pod("b"))
    index.begin()
    index.put(pod("a"))
    index.begin()
    index.put(pod("b"))
    index.end()
    assert told.news() == ["a gone"]


def test_the_late_end_of_a_predecessor_does_not_remove_its_successor(told):
    index = filled(told, pod(uid="old", version=1))
    index.written(pod(uid="new", version=5))
    index.deleted(pod(uid="old", version=4))
    assert told.news() == ["a 5 own"]
    assert key("a") in index


def test_the_end_of_an_unknown_object_is_no_news(told):
    told.index.deleted(pod())
    assert told.news() == []


def test_an_object_that_is_not_ours_is_not_kept(told):
    index = filled(told, pod("foreign"))
    index.changed(pod("foreign", version=2))
    index.written(pod("foreign", version=3))
    index.deleted(pod("foreign", version=4))
    assert len(index) == 0
    assert told.news() == []


def test_an_object_can_be_found_by_its_own_name_while_it_is_there(told):
    index = filled(told, pod())
    assert index.find("a") == key("a")
    index.deleted(pod(version=2))
    assert index.find("a") is None


def test_keys_can_be_walked_while_the_index_changes(told):
    index = filled(told, pod("a"), pod("b"))
    for number, _ in enumerate(index):
        index.changed(pod(f"c{number}"))
    assert len(index) == 4


def test_a_bookmark_proves_that_a_late_answer_is_of_the_past(told):
    index = filled(told)
    index.bookmark("10")
    index.written(pod(version=8))
    assert key("a") not in index


STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "drop", "relist", "answer"]), st.sampled_from("abc")), min_size=1, max_size=25
)


@given(STEPS)
def test_after_any_history_the_index_holds_what_the_server_holds(steps):
    server, index = {}, Told().index
    index.begin()
    index.end()
    for version, (what, name) in enumerate(steps):
        if what == "set":
            uid = server[name]["metadata"]["uid"] if name in server else f"u{version}"
            server[name] = pod(name, version, uid)
            index.changed(pod(name, version, uid))
        elif what == "answer":
            uid = server[name]["metadata"]["uid"] if name in server else f"u{version}"
            server[name] = pod(name, version, uid)
            index.written(pod(name, version, uid))
            index.changed(pod(name, version, uid))
        elif what == "drop" and name in server:
            index.deleted(pod(name, version, server.pop(name)["metadata"]["uid"]))
        elif what == "relist":
            index.begin()
            for obj in server.values():
                index.put(obj)
            index.end()
    assert {k.name: index.version(k) for k in index} == {
        name: obj["metadata"]["resourceVersion"] for name, obj in server.items()
    }


def test_what_our_own_delete_ended_is_gone_at_once_and_the_watchs_word_of_it_is_no_news(told):
    index = filled(told, pod("a", 1))
    index.removed("a", uid="u")
    index.deleted(pod("a", 2))
    assert told.news() == ["a gone"]


def test_an_object_that_took_the_place_of_the_deleted_one_stays(told):
    index = filled(told, pod("a", 3, uid="new"))
    index.removed("a", uid="u")
    assert key("a") in index
    assert told.news() == []

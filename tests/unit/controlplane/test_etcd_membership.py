"""What a member of the release's own etcd does before its etcd starts, case by case."""

from __future__ import annotations

import itertools

import pytest

from syncer.controlplane.etcd_membership import Do, Member, View, Word, decide, seats, seats_of, service_of
from syncer.values import Cluster

SERVICE = "vc-etcd-headless.team.svc"
ALL = seats("vc-etcd-0", 3, SERVICE)
FIRST, SECOND, THIRD = ALL


def member(seat, *, started=True):
    return Member(id=f"id-{seat.name}", peer=seat.peer, started=started)


def decided(own, view, *, data=False, seats=ALL):
    return decide(own, [seat for seat in seats if seat is not own], view, data=data)


def words(**said):
    return View(words={name.replace("_", "-"): word for name, word in said.items()})


KNOWN = [member(seat) for seat in ALL]


def test_each_pod_has_names_of_its_own_and_comes_first_among_its_seats():
    own, *others = seats("vc-etcd-2", 3, SERVICE)
    assert own.peer == "https://vc-etcd-2.vc-etcd-headless.team.svc:2380"
    assert own.client == "https://vc-etcd-2.vc-etcd-headless.team.svc:2379"
    assert [other.name for other in others] == ["vc-etcd-0", "vc-etcd-1"]


def test_the_seats_of_a_cluster_are_those_of_its_pods():
    cluster = Cluster(
        name="vc", namespace="team", domain="d", service="vc", owner={}, workload_service_account="w", etcd_members=3
    )
    assert service_of(cluster) == SERVICE
    assert seats_of(cluster) == ALL


def test_a_single_member_forms_a_cluster_of_its_own():
    assert decided(FIRST, View(), seats=[FIRST]).do is Do.FORM


@pytest.mark.parametrize(("second", "third"), [*itertools.product([Word.EMPTY, Word.NEW], repeat=2)])
def test_members_that_all_hold_nothing_form_a_cluster(second, third):
    decision = decided(FIRST, words(vc_etcd_1=second, vc_etcd_2=third))
    assert decision.do is Do.FORM
    assert decision.cluster == {seat.name: seat.peer for seat in ALL}


@pytest.mark.parametrize(
    "view", [View(), words(vc_etcd_1=Word.EMPTY), words(vc_etcd_1=Word.EMPTY, vc_etcd_2=Word.OTHER)]
)
def test_a_member_without_data_waits_as_long_as_another_one_may_hold_some(view):
    decision = decided(FIRST, view)
    assert decision.do is Do.WAIT
    assert "vc-etcd-2 may hold data" in decision.why


def test_a_member_with_data_goes_on_although_nobody_answers():
    assert decided(FIRST, View(), data=True).do is Do.RESUME


def test_a_member_that_was_removed_does_not_go_on_with_its_data_while_the_majority_is_away_for_a_moment():
    view = View(told=[member(FIRST), member(SECOND, started=False)])
    assert decided(THIRD, view, data=True).do is Do.WAIT


def test_a_member_with_data_that_the_cluster_knows_goes_on():
    assert decided(SECOND, View(members=KNOWN), data=True).do is Do.RESUME


def test_the_data_of_a_member_that_was_taken_out_are_set_aside():
    assert decided(SECOND, View(members=[member(FIRST), member(THIRD)]), data=True).do is Do.SET_ASIDE


def test_a_member_that_has_lost_its_data_leaves_comes_back_and_starts_with_the_others():
    decision = decided(SECOND, View(members=KNOWN))
    assert (decision.do, decision.member) == (Do.REMOVE, member(SECOND))

    assert decided(SECOND, View(members=[member(FIRST), member(THIRD)])).do is Do.ADD

    decision = decided(SECOND, View(members=[member(FIRST), member(THIRD), member(SECOND, started=False)]))
    assert decision.do is Do.JOIN
    assert decision.cluster == {seat.name: seat.peer for seat in ALL}


def test_of_two_that_the_cluster_does_not_know_the_first_one_is_added_first():
    waiting = {"vc-etcd-1": Word.EMPTY, "vc-etcd-2": Word.EMPTY}
    alone = [member(FIRST)]
    assert decided(SECOND, View(members=alone, words=waiting)).do is Do.ADD
    assert decided(THIRD, View(members=alone, words=waiting)).do is Do.WAIT
    assert decided(THIRD, View(members=alone, words={"vc-etcd-1": Word.OTHER})).do is Do.ADD
    assert decided(THIRD, View(members=[*alone, member(SECOND)], words=waiting)).do is Do.ADD


def test_of_two_that_have_been_added_the_first_one_starts_first():
    members = [member(FIRST), member(SECOND, started=False), member(THIRD, started=False)]
    assert decided(SECOND, View(members=members)).do is Do.JOIN
    assert decided(THIRD, View(members=members)).do is Do.WAIT


@pytest.mark.parametrize("known", [[THIRD], []], ids=["that has lost its data", "that is new"])
def test_a_member_waits_until_another_one_that_was_added_has_started(known):
    members = [member(FIRST), member(SECOND, started=False), *(member(seat) for seat in known)]
    assert decided(THIRD, View(members=members)).do is Do.WAIT


def test_the_second_member_ever_starts_although_the_first_one_has_no_majority_without_it():
    decision = decided(SECOND, View(told=[member(FIRST), member(SECOND, started=False)]))
    assert decision.do is Do.JOIN
    assert decision.cluster == {FIRST.name: FIRST.peer, SECOND.name: SECOND.peer}


@pytest.mark.parametrize(
    "told",
    [
        [member(FIRST), member(SECOND)],
        [member(FIRST), member(SECOND, started=False), member(THIRD)],
        [member(FIRST), member(THIRD, started=False)],
    ],
    ids=["it was at work", "there are more", "it is another one"],
)
def test_what_a_member_without_a_majority_tells_is_good_for_nothing_else(told):
    assert decided(SECOND, View(told=told)).do is Do.WAIT


@pytest.mark.parametrize(
    ("members", "told", "data"),
    [
        *itertools.product(
            [None, [], KNOWN, KNOWN[:2], [member(FIRST), *(member(seat, started=False) for seat in ALL[1:])]],
            [None, KNOWN, KNOWN[:2]],
            [True, False],
        )
    ],
)
def test_whoever_may_have_promised_something_neither_forms_a_cluster_nor_starts_without_data(members, told, data):
    for own in ALL:
        decision = decided(own, View(members=members, told=told), data=data)
        assert decision.do is not Do.FORM
        known = next((one for one in members or () if one.peer == own.peer), None)
        if known and known.started and not data:
            assert decision.do in (Do.REMOVE, Do.WAIT)

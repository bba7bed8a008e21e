"""Several pods of the control plane."""

from __future__ import annotations

import pytest

from tests.chart.rendering import Object, Refused, put, render

AVAILABILITY = "controlPlane.statefulSet.highAvailability"
BUDGET = "controlPlane.advanced.podDisruptionBudget"


def replicas(count: int = 3, **more: object) -> Object:
    """Values for so many pods on an external database, and more by path with `__` for dots."""
    values: Object = {}
    put(values, "controlPlane.backingStore.database.external", {"enabled": True, "connector": "database"})
    put(values, f"{AVAILABILITY}.replicas", count)
    for path, value in more.items():
        put(values, path.replace("__", "."), value)
    return values


def test_one_syncer_of_several_leads_on_the_terms_of_the_values():
    terms = {"leaseDuration": 60, "renewDeadline": 40, "retryPeriod": 15}
    assert render(replicas()).config["leadership"] == {"leaseDuration": 9, "renewDeadline": 6, "retryPeriod": 1}
    assert (
        render(replicas(controlPlane__statefulSet__highAvailability={"replicas": 2, **terms})).config["leadership"]
        == terms
    )


def test_a_single_syncer_knows_nothing_of_leaders():
    assert "leadership" not in render().config
    assert "--leader-elect=false" in render().container("controller-manager")["command"]


@pytest.mark.parametrize("container", ["controller-manager", "scheduler"])
def test_what_works_in_one_of_several_pods_is_elected_on_the_same_terms(container):
    values = replicas(controlPlane__distro__k8s__scheduler__enabled=True, sync__fromHost__nodes__enabled=True)
    command = render(values).container(container)["command"]
    assert [flag.removeprefix("--leader-elect") for flag in command if flag.startswith("--leader-elect")] == [
        "=true",
        "-lease-duration=9s",
        "-renew-deadline=6s",
        "-retry-period=1s",
    ]


def test_one_of_several_gives_its_lease_back_and_answers_on_until_others_are_asked():
    rendered = render(replicas())
    assert "SIGTERM" in rendered.container("syncer")["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert "--shutdown-delay-duration=3s" in rendered.container("apiserver")["command"]
    alone = render()
    assert "lifecycle" not in alone.container("syncer")
    assert not [flag for flag in alone.container("apiserver")["command"] if flag.startswith("--shutdown-delay")]


def test_a_database_behind_several_pods_is_asked_for_consistent_lists():
    def told(values: Object) -> list[str]:
        return [flag for flag in render(values).container("store")["command"] if "emulated" in flag]

    assert told(replicas(2)) == ["--emulated-etcd-version=3.5.12"]
    assert told(replicas(1)) == []
    assert told({}) == []


def test_several_need_no_more_rights_on_the_host():
    assert render(replicas()).get("Role", "vc-alpha") == render(replicas(1)).get("Role", "vc-alpha")


def test_several_rather_not_share_a_node():
    (term,) = render(replicas()).pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    labels = render(replicas()).get("StatefulSet")["spec"]["selector"]["matchLabels"]
    assert term["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == labels


def test_an_affinity_of_the_users_stands_alone():
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}
    rendered = render(replicas(controlPlane__statefulSet__scheduling__affinity=affinity))
    assert rendered.pod["affinity"] == affinity


@pytest.mark.parametrize(
    ("budget", "wanted"),
    [
        ({}, {"minAvailable": 1}),
        ({"minAvailable": 0}, {"minAvailable": 0}),
        ({"minAvailable": "50%"}, {"minAvailable": "50%"}),
        ({"maxUnavailable": 1}, {"maxUnavailable": 1}),
        ({"maxUnavailable": 0}, {"maxUnavailable": 0}),
        (
            {"unhealthyPodEvictionPolicy": "AlwaysAllow"},
            {"minAvailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        ),
    ],
)
def test_a_budget_keeps_pods_from_eviction(budget, wanted):
    rendered = render(replicas(controlPlane__advanced__podDisruptionBudget={"enabled": True, **budget}))
    spec = rendered.get("PodDisruptionBudget")["spec"]
    assert spec.pop("selector") == rendered.get("StatefulSet")["spec"]["selector"]
    assert spec == wanted


def test_there_is_no_budget_unless_asked_for():
    assert render(replicas()).of("PodDisruptionBudget") == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (replicas(controlPlane__backingStore={"database": {"embedded": {"enabled": True}}}), "serves one pod"),
        (replicas(controlPlane__backingStore={"etcd": {"embedded": {"enabled": True}}}), "serves one pod"),
        (replicas(**{f"{AVAILABILITY}.renewDeadline": 9}), "leaseDuration > renewDeadline > 1.2 times retryPeriod"),
        (replicas(**{f"{AVAILABILITY}.retryPeriod": 5}), "leaseDuration > renewDeadline > 1.2 times retryPeriod"),
        (replicas(**{BUDGET: {"enabled": True, "minAvailable": 1, "maxUnavailable": 1}}), "unset one"),
    ],
)
def test_what_cannot_work_is_refused_with_its_remedy(values, said):
    with pytest.raises(Refused, match=said):
        render(values)

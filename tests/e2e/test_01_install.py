"""What an installation with default values looks like."""

from __future__ import annotations

from tests.e2e.tenancy import Release, eventually, helm


def test_the_control_plane_is_ready_within_seconds(release: Release) -> None:
    print(f"\nhelm install to ready: {release.seconds_to_ready:.1f} s")

    assert release.seconds_to_ready < 60


def test_the_tenant_is_admin_of_a_real_cluster(release: Release) -> None:
    assert "yes" in release.tenant("auth", "can-i", "*", "*", "--all-namespaces")
    assert "gitVersion" in release.tenant("get", "--raw", "/version")


def test_the_name_server_of_the_virtual_cluster_runs(release: Release) -> None:
    release.tenant("--namespace", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=60s")


def test_the_kubernetes_service_has_the_address_of_the_control_plane(release: Release) -> None:
    here = release.tenant.get("service", "kubernetes", "--namespace", "default")
    there = release.host.get("service", release.name, "--namespace", release.namespace)

    assert here["spec"]["clusterIP"] == there["spec"]["clusterIP"]


def test_nothing_cluster_wide_was_installed(release: Release) -> None:
    roles = release.host.names("clusterroles", "--selector", f"app.kubernetes.io/instance={release.name}")

    assert roles == set()


def test_the_tenant_sees_the_nodes_that_run_its_pods(release: Release) -> None:
    names = eventually(lambda: release.tenant.names("nodes"))

    assert names <= release.host.names("nodes")


def test_helm_test_sends_a_pod_through(release: Release) -> None:
    assert "Phase:          Succeeded" in helm("test", release.name, "--namespace", release.namespace)
    assert release.tenant.names("pods", "--namespace", "default") == set()

"""The examples, installed by what they are for: `kubectl apply` of an overlay, and server-side apply as Argo CD does it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab import catalogue
from tests.chart import examples
from tests.e2e.objects import Object
from tests.e2e.tenancy import Kubectl, Release, eventually, host_kubectl, pod, remove, shell, tenant_kubeconfig

pytestmark = pytest.mark.long
APPLY = {"kustomize": ("apply",), "argocd": ("apply", "--server-side", "--field-manager=argocd-controller")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """An example on the lab: its objects as applied, how, and the release that they are."""

    objects: list[Object]
    how: tuple[str, ...]
    release: Release


@pytest.fixture(scope="module", params=examples.NAMES)
def applied(lab: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    """Each example, ready."""
    folder, host = tmp_path_factory.mktemp(request.param), host_kubectl()
    own_image = {"controlPlane": {"statefulSet": {"image": catalogue.SYNCER}}}
    objects = examples.objects(request.param, folder, values=own_image)
    namespace = next(item["metadata"]["name"] for item in objects if item["kind"] == "Namespace")
    how, began = APPLY[request.param], time.monotonic()
    try:
        host(*how, "-f", "-", stdin=listed(objects))
        host("--namespace", namespace, "rollout", "status", "statefulset/vc", "--timeout=120s", timeout=150)
        tenant = Kubectl(kubeconfig=tenant_kubeconfig(host, "vc", namespace, folder), prefix=host.prefix)
        eventually(lambda: tenant("get", "--raw", "/readyz"))
        seconds = time.monotonic() - began
        release = Release(name="vc", namespace=namespace, host=host, tenant=tenant, seconds_to_ready=seconds)
        yield Applied(objects=objects, how=how, release=release)
    finally:
        remove(host, "vc", namespace)


def listed(objects: list[Object]) -> str:
    """Objects as one document, the namespace first."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": sorted(objects, key=is_inside)})


def is_inside(item: Object) -> bool:
    """Whether it needs the namespace."""
    return item["kind"] != "Namespace"


def test_an_example_runs_a_pod_of_the_tenant(applied: Applied) -> None:
    with applied.release.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as space:
        kubectl = applied.release.tenant.within(space)
        kubectl.apply(pod("one", shell("exec sleep infinity")), namespace=space)
        kubectl.ready("one")


def test_applied_again_it_differs_in_nothing(applied: Applied) -> None:
    options = [option for option in applied.how[1:] if option]
    result = applied.release.host.run("diff", *options, "-f", "-", stdin=listed(applied.objects))

    assert (result.returncode, result.stdout.decode()) == (0, ""), result.stderr.decode()

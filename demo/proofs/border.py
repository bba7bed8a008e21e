"""What the host sees: translated objects and nothing else of the tenant's."""

from __future__ import annotations

from demo.kubectl import eventually
from demo.proofs import Proof, Scene, expect
from demo.release import identity

CROSSING = {"ConfigMap", "EndpointSlice", "Endpoints", "PersistentVolumeClaim", "Pod", "Secret", "Service"}
"""Kinds of tenant objects on the host; Endpoints are the host's own shadow of Services."""


def kinds(scene: Scene) -> str:
    """Nothing in the host namespace but the release, what was there before, and kinds that cross the border."""
    objects = scene.release.objects()
    strangers = [
        identity(obj) for obj in objects if not scene.release.is_ours(obj) and identity(obj) not in scene.before
    ]
    expect(strangers, [], what="the list of objects that nobody knows")
    tenants = [obj for obj in objects if scene.release.is_tenants(obj)]
    expect({obj["kind"] for obj in tenants} - CROSSING, set(), what="the set of further kinds")
    return (
        f"{len(tenants)} objects of {len({obj['kind'] for obj in tenants})} kinds; no Deployment, no Role, no account"
    )


def names(scene: Scene) -> str:
    """Every tenant's object has a translated name that ends in the release's, or is cut and hashed."""

    def running() -> set[str]:
        pods = scene.tenant.items("pods", "--all-namespaces")
        return {f"{pod['metadata']['name']}-x-{pod['metadata']['namespace']}-x-{scene.release.name}" for pod in pods}

    def on_host() -> set[str]:
        pods = scene.release.host.kubectl.items("pods", "--namespace", scene.release.namespace)
        return {pod["metadata"]["name"] for pod in pods if scene.release.is_tenants(pod)}

    # A job that has just ended or a pod that is just going may be seen on one side first.
    eventually(lambda: running() == on_host(), what="the same pods on both sides", patience=30)
    return "such as " + min(on_host(), key=len)


def unused(scene: Scene) -> str:
    """ConfigMaps and Secrets that no pod uses stay in the virtual cluster."""
    objects = [obj for obj in scene.release.objects() if scene.release.is_tenants(obj)]
    virtual = [obj["metadata"].get("annotations", {}).get("sublet.dev/name") for obj in objects]
    expect("unused" in virtual, False, what="whether an unused object is on the host")
    expect({"settings", "password"} <= set(virtual), True, what="whether the used ones are on the host")
    return "settings and password crossed, unused did not"


PROOFS = (
    Proof(claim="The host namespace holds only what crosses the border", show=kinds),
    Proof(claim="Pods on the host carry translated names", show=names),
    Proof(claim="Unused ConfigMaps and Secrets stay inside", show=unused),
)

"""Services and names: a virtual Service is reached from virtual pods as on any cluster."""

from __future__ import annotations

from demo.kubectl import labels
from demo.proofs import SPACE, Proof, Scene, expect
from demo.release import MANAGED_BY


def service(scene: Scene) -> str:
    """A pod fetches a Service by its short and its full name; both replicas answer."""
    scene.rolled_out("deployment/web")
    scene.wait("--for=condition=Ready", "pod/client")
    pods = {item["metadata"]["name"] for item in scene.get("pods", "--selector=app=web")["items"]}
    answers = set()
    for name in (f"web.{SPACE}", f"web.{SPACE}.svc.cluster.local"):
        fetch = f"for i in 1 2 3 4 5 6 7 8 9 10; do wget -qO- -T 5 http://{name}/hostname; echo; done"
        scene.eventually_shell(
            "client", f"wget -qO- -T 5 http://{name}/hostname >/dev/null && echo reached", says="reached"
        )
        answers |= set(scene.shell("client", fetch).split())
    expect(answers, pods, what="the set of pods that answered")
    return f"{len(answers)} replicas answered at http://web.{SPACE} and by FQDN"


def address(scene: Scene) -> str:
    """The virtual Service and its host Service carry one ClusterIP."""
    here = scene.get("service", "web")["spec"]["clusterIP"]
    found = scene.release.host.kubectl.items("services", "--namespace", scene.release.namespace)
    (there,) = (
        item["spec"]["clusterIP"]
        for item in found
        if labels(item).get(MANAGED_BY) == scene.release.name
        and item["metadata"]["annotations"]["sublet.dev/name"] == "web"
    )
    expect(here, there, what="the virtual ClusterIP")
    return f"{here} on both sides"


PROOFS = (
    Proof(claim="A Deployment behind a Service, fetched by name from another pod", show=service),
    Proof(claim="The Service has one ClusterIP in both clusters", show=address),
)

"""Services and names: a virtual Service is reached from virtual pods as on any cluster."""

from __future__ import annotations

from demo.kubectl import eventually
from demo.proofs import SPACE, Proof, Scene, expect


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
    """A new virtual Service has the ClusterIP of its host Service from the start: a watch sees it added, and never deleted."""
    with scene.tenant.started("--namespace", SPACE, "get", "services", "--watch", "--output-watch-events") as watch:
        watch.hear("web")
        scene.kubectl("create", "service", "clusterip", "fresh", "--tcp=80:8080")
        here = scene.get("service", "fresh")["spec"]["clusterIP"]
        there = eventually(lambda: _host_address(scene, "fresh"), what="the host Service of fresh")
        expect(here, there, what="the virtual ClusterIP")
        scene.kubectl("create", "service", "clusterip", "later", "--tcp=80:8080")
        seen = watch.hear("later")
    expect([line.split()[0] for line in seen.splitlines() if "fresh" in line], ["ADDED"], what="what a watch saw of it")
    expect(scene.get("service", "fresh")["spec"]["clusterIP"], there, what="the ClusterIP a moment later")
    return f"{here} on both sides; a watch saw it added and nothing else"


def _host_address(scene: Scene, name: str) -> str:
    """ClusterIP of the host Service that stands for a Service of `shop`."""
    host = scene.release.host.kubectl
    found = host.get("service", f"{name}-x-{SPACE}-x-{scene.release.name}", "--namespace", scene.release.namespace)
    address: str = found["spec"]["clusterIP"]
    return address


PROOFS = (
    Proof(claim="A Deployment behind a Service, fetched by name from another pod", show=service),
    Proof(claim="A Service has one ClusterIP in both clusters, from the start", show=address),
)

"""Kubernetes' own controllers run in the virtual cluster and do what they do anywhere."""

from __future__ import annotations

from demo.kubectl import eventually
from demo.proofs import Proof, Scene, expect


def rollout(scene: Scene) -> str:
    """A Deployment is scaled and rolled over."""
    scene.kubectl("scale", "deployment/web", "--replicas=3")
    scene.rolled_out("deployment/web")
    expect(scene.get("deployment", "web")["status"]["readyReplicas"], 3, what="the number of ready replicas")
    scene.kubectl("set", "env", "deployment/web", "RELEASE=next")
    scene.rolled_out("deployment/web")
    scene.kubectl("scale", "deployment/web", "--replicas=2")
    return "scaled to 3, rolled over, scaled to 2"


def jobs(scene: Scene) -> str:
    """A CronJob's Job completes."""
    scene.kubectl("create", "job", "now", "--from=cronjob/hourly")
    scene.wait("--for=condition=Complete", "job/now")
    eventually(lambda: "the work is done" in scene.kubectl("logs", "job/now"), what="the job's log")
    return "a Job made from a CronJob completed"


def daemons(scene: Scene) -> str:
    """A DaemonSet runs on every node that the virtual cluster has."""
    nodes = {node["metadata"]["name"] for node in scene.tenant.items("nodes")}

    def places() -> set[str]:
        pods = scene.get("pods", "--selector=app=everywhere")["items"]
        return {pod["spec"].get("nodeName", "") for pod in pods if pod["status"]["phase"] == "Running"}

    eventually(lambda: places() == nodes, what=f"a pod on each of {sorted(nodes)}")
    return f"on {', '.join(sorted(nodes))}"


PROOFS = (
    Proof(claim="Scale and rollout of a Deployment", show=rollout),
    Proof(claim="Job and CronJob", show=jobs),
    Proof(claim="DaemonSet", show=daemons),
)

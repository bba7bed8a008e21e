"""Stateful workloads: stable names, and data that outlives pods."""

from __future__ import annotations

from demo.kubectl import eventually
from demo.proofs import SPACE, Proof, Scene, expect


def names(scene: Scene) -> str:
    """Each replica of a StatefulSet answers under its own name, at its own address."""
    scene.rolled_out("statefulset/db")
    for pod in ("db-0", "db-1"):
        scene.shell(pod, f"echo I am {pod} > /data/note")
        scene.eventually_shell("client", f"wget -qO- -T 5 http://{pod}.db.{SPACE}:8080/note", says=f"I am {pod}")
        full = f"{pod}.db.{SPACE}.svc.cluster.local"
        expect(scene.shell(pod, "hostname -f"), full, what=f"the full name that {pod} has for itself")
    return f"db-0.db.{SPACE} and db-1.db.{SPACE} answer"


def data(scene: Scene) -> str:
    """Every replica has a bound claim, and finds its data again after its pod was deleted."""
    claims = scene.get("persistentvolumeclaims")["items"]
    expect({claim["status"]["phase"] for claim in claims}, {"Bound"}, what="the phase of the claims")
    old = scene.get("pod", "db-0")["metadata"]["uid"]
    scene.kubectl("delete", "pod", "db-0")
    eventually(lambda: scene.get("pod", "db-0")["metadata"]["uid"] != old, what="pod db-0 is made again")
    scene.rolled_out("statefulset/db")
    expect(scene.shell("db-0", "cat /data/note"), "I am db-0", what="the data of db-0")
    scene.eventually_shell("client", f"wget -qO- -T 5 http://db-0.db.{SPACE}:8080/note", says="I am db-0")
    return f"{len(claims)} claims bound; db-0 was deleted and found its data again"


PROOFS = (
    Proof(claim="A StatefulSet's pods are reached by their own names", show=names),
    Proof(claim="A volume per replica; data survives the pod", show=data),
)

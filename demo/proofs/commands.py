"""kubectl's ways into running containers."""

from __future__ import annotations

import hashlib
import random
import tempfile
import urllib.request
from pathlib import Path

from demo.kubectl import eventually
from demo.proofs import SPACE, Proof, Scene, expect, expect_in

_SPACE = ("--namespace", SPACE)


def logs(scene: Scene) -> str:
    """Logs now, as they come, and of a container that has ended."""
    scene.wait("--for=condition=Ready", "pod/client")
    eventually(lambda: "it is" in scene.kubectl("logs", "client", "--tail=5"), what="the first lines of the log")
    with scene.tenant.started(*_SPACE, "logs", "client", "--follow", "--since=1s") as log:
        log.hear("it is")
        seen = len(log.heard.splitlines())
        eventually(lambda: len(log.hear("it is").splitlines()) >= seen, what="a log that goes on")
    eventually(lambda: _restarts(scene, "crashing") > 0, what="pod crashing is started again")
    eventually(lambda: "last words" in scene.kubectl("logs", "crashing", "--previous"), what="the log of the last run")
    return "logs, logs --follow, logs --previous"


def execute(scene: Scene) -> str:
    """exec passes standard input, output, exit code, and a terminal with its size."""
    text = "".join(random.choices("abcdefghij\n", k=300_000))
    digest = hashlib.sha256(text.encode()).hexdigest()
    expect(scene.kubectl("exec", "-i", "client", "--", "sha256sum", stdin=text).split()[0], digest, what="the digest")
    ended = scene.tenant.run(*_SPACE, "exec", "client", "--", "sh", "-c", "exit 7")
    expect(ended.returncode, 7, what="the exit code")
    shown = scene.tenant.on_terminal(
        *_SPACE, "exec", "-it", "client", "--", "sh", "-c", "sleep 1; tty; stty size", rows=33, columns=111
    )
    expect_in(["/dev/pts/", "33 111"], shown, what="the terminal")
    return "300 kB through stdin, exit code 7, a terminal of 33 x 111"


def attach(scene: Scene) -> str:
    """attach speaks with the main process of a container."""
    with scene.tenant.started(*_SPACE, "attach", "-i", "client") as client:
        client.say("good evening\n")
        client.hear("heard: good evening")
    return "a line said, an answer heard"


def copy(scene: Scene) -> str:
    """cp there and back gives the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        there, back = Path(folder) / "there", Path(folder) / "back"
        there.write_bytes(random.randbytes(1_000_000))
        scene.kubectl("cp", str(there), "client:/tmp/copied")
        scene.kubectl("cp", "client:/tmp/copied", str(back))
        expect(back.read_bytes() == there.read_bytes(), True, what="whether 1 MB came back unchanged")
    return "1 MB there and back"


def forward(scene: Scene) -> str:
    """port-forward to a Service."""
    with scene.tenant.started(*_SPACE, "port-forward", "service/web", ":80") as forwarding:
        port = forwarding.hear(" -> ").split(" -> ")[0].rpartition(":")[2]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/hostname", timeout=10) as answer:
            name = answer.read().decode().strip()
    expect_in(["web-"], name, what="the answer")
    return f"{name} answered on loopback"


def debug(scene: Scene) -> str:
    """debug adds an ephemeral container that shares the pod's network."""
    pod = scene.get("pods", "--selector=app=web")["items"][0]["metadata"]["name"]
    fetch = "wget -qO- http://localhost:8080/hostname"
    scene.kubectl(
        *(
            "debug",
            pod,
            "--image=docker.io/library/busybox:1.37",
            "--container=visitor",
            "--profile=restricted",
            "--quiet",
        ),
        *("--", "sh", "-c", fetch),
    )
    eventually(lambda: scene.kubectl("logs", pod, "--container=visitor").strip() == pod, what="the visitor's log")
    return f"a visitor in {pod} fetched localhost:8080"


def describe(scene: Scene) -> str:
    """describe shows the events that the host's scheduler and kubelet have written."""
    wanted = ["Scheduled", "Pulled", "Started"]
    eventually(lambda: all(word in scene.kubectl("describe", "pod", "identity") for word in wanted), what="the events")
    return ", ".join(wanted)


def _restarts(scene: Scene, pod: str) -> int:
    statuses = scene.get("pod", pod)["status"].get("containerStatuses") or [{"restartCount": 0}]
    return int(statuses[0]["restartCount"])


PROOFS = (
    Proof(claim="kubectl logs", show=logs),
    Proof(claim="kubectl exec", show=execute),
    Proof(claim="kubectl attach", show=attach),
    Proof(claim="kubectl cp", show=copy),
    Proof(claim="kubectl port-forward", show=forward),
    Proof(claim="kubectl debug", show=debug),
    Proof(claim="kubectl describe shows the host's events", show=describe),
)

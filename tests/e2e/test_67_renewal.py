"""Certificates that live for a quarter of an hour, renewed three times under tenants at work: nothing restarts, no request fails twice.

It takes forty minutes, since what was written for certificates of a year looks at them every five minutes.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.e2e.certified import Tenant, certificates, fetch_kubeconfig, identities, insistently, shown
from tests.e2e.tenancy import (
    Kubectl,
    Release,
    becomes,
    eventually,
    install,
    pod,
    restricted,
    shell,
    uninstall,
    web,
)

LIFE = 1020.0
"""Seconds. A third of it has to be more than the five minutes after which Go clients look at their files again."""
RENEWALS = 3
VALUES = {
    "controlPlane": {
        "coredns": {"embedded": True},
        "distro": {"k8s": {"scheduler": {"enabled": True}}},
        "statefulSet": {
            "env": [{"name": "SUBLET_CERTIFICATE_SECONDS", "value": str(int(LIFE))}],
            # A busy machine is no reason to end what this test watches.
            "probes": {"livenessProbe": {"failureThreshold": 30}},
        },
    },
    "sync": {"fromHost": {"nodes": {"enabled": True}}},
}
SERVERS = {8443: "apiserver.crt", 10250: "syncer.crt", 9443: "syncer.crt"}
"""Ports of the control plane's pod, and what they show."""

pytestmark = [pytest.mark.renewal, pytest.mark.timeout(4000)]


@pytest.fixture(scope="module")
def short_lived(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    folder = tmp_path_factory.mktemp("renewal")
    values = folder / "values.yaml"
    values.write_text(json.dumps(VALUES))
    installed = install("vc", f"renew-{uuid.uuid4().hex[:6]}", folder, "--values", str(values))
    yield installed
    uninstall(installed)


class Stream(threading.Thread):
    """A command that goes on, and its lines; when it ends it is given again, and `ended` has its last line."""

    def __init__(self, release: Release, kubectl: Kubectl, *arguments: str) -> None:
        super().__init__(name=arguments[0], daemon=True)
        self._release, self._kubectl, self._arguments = release, kubectl, arguments
        self._stopped = False
        self._process = self._begin()
        self.lines: list[str] = []
        self.ended: list[str] = []
        self.start()

    def run(self) -> None:
        while True:
            with self._process as process:
                assert process.stdout is not None
                for line in process.stdout:
                    self.lines.append(line.decode().strip())
            if self._stopped:
                return
            self.ended.append(f"{time.strftime('%T')} {self.lines[-1]}")
            fetch_kubeconfig(self._release)
            self._process = self._begin()

    def stop(self) -> None:
        self._stopped = True
        self._process.terminate()
        self.join()

    def _begin(self) -> subprocess.Popen[bytes]:
        return self._kubectl.start(*self._arguments, stdin=subprocess.DEVNULL)


def test_three_renewals_under_tenants_at_work_restart_nothing_and_fail_no_request_twice(short_lived: Release) -> None:
    release = short_lived
    with release.tenant_namespace("busy") as space:
        kubectl = release.tenant.within(space)
        deploy(kubectl)
        before = identities(release)
        version = kubectl.get("configmaps")["metadata"]["resourceVersion"]
        question = f"watch=1&timeoutSeconds=7200&resourceVersion={version}"
        watch = Stream(release, kubectl, "get", "--raw", f"/api/v1/namespaces/{space}/configmaps?{question}")
        session = Stream(release, kubectl, "exec", "shell", "--", "sh", "-c", "while sleep 2; do echo tick; done")
        tenant = Tenant(release, kubectl)
        tenant.start()
        generations = [certificates(release)]
        try:
            for number in range(RENEWALS):
                generations.append(renewed(release, generations[-1]))
                say(f"renewal {number + 1} is in the Secret", tenant)
                for port, file in SERVERS.items():
                    becomes(generations[-1][file], lambda port=port: shown(release, port), patience=120)
                say("all servers show it", tenant)
                exercise(release, kubectl, number)
            time.sleep(LIFE / 3 + 30)  # the generation before the last has expired: who held on to it is found out now
            exercise(release, kubectl, RENEWALS)
        finally:
            tenant.stop()
        say("done", tenant)

        assert tenant.failed == []
        assert len(tenant.made) > 100 * RENEWALS
        becomes(set(), lambda: set(tenant.made) - seen(watch))
        print(f"the session in a pod ended {len(session.ended)} times: {session.ended}")
        assert watch.ended == []
        # The API server closes its connections to kubelets when its certificate for them is another.
        assert len(session.ended) <= RENEWALS
        ticks = len(session.lines)
        eventually(lambda: len(session.lines) > ticks)
        assert identities(release) == before
        watch.stop()
        session.stop()


def deploy(kubectl: Kubectl) -> None:
    kubectl.apply(
        pod("shell", shell("sleep 100000")),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": restricted(web())},
            },
        },
        namespace=kubectl.namespace,
    )
    kubectl.ready("shell")


def exercise(release: Release, kubectl: Kubectl, number: int) -> None:
    """Asks something of each part: controllers, scheduler, syncer, kubelet API, admission, DNS."""
    release.tenant("get", "--raw", "/readyz")
    insistently(release, kubectl, "scale", "deployment/web", f"--replicas={number % 2 + 2}")
    insistently(release, kubectl, "rollout", "status", "deployment/web", "--timeout=120s")
    insistently(release, kubectl, "expose", "deployment/web", f"--name=web-{number}", "--port=80", "--target-port=8080")
    assert insistently(release, kubectl, "exec", "shell", "--", "echo", "hello") == "hello\n"
    insistently(release, kubectl, "logs", "deployment/web", "--tail=1")
    there = kubectl.get("service", f"web-{number}")["spec"]["clusterIP"]
    on = release.host.get("service", f"web-{number}-x-{kubectl.namespace}-x-vc", "--namespace", release.namespace)
    assert on["spec"]["clusterIP"] == there
    eventually(
        lambda: there in kubectl.execute("shell", f"nslookup web-{number}.{kubectl.namespace}.svc.cluster.local")
    )


def renewed(release: Release, before: dict[str, str]) -> dict[str, str]:
    """The next generation: every leaf is another, no authority is."""
    eventually(lambda: certificates(release) != before, patience=LIFE, every=5)
    after = certificates(release)
    same = {name for name in after if after[name] == before[name]}
    assert same == {"ca.crt", "front-proxy-ca.crt"}
    becomes(after["admin.crt"], lambda: exported(release))
    return after


def exported(release: Release) -> str:
    """The certificate in the kubeconfig that the host has."""
    secret = release.host.get("secret", f"vc-{release.name}", "--namespace", release.namespace)
    return base64.b64decode(secret["data"]["client-certificate"]).decode()


def seen(watch: Stream) -> set[str]:
    """Names of the ConfigMaps that a watch has told of."""
    return {json.loads(line)["object"]["metadata"]["name"] for line in list(watch.lines)}


def say(what: str, tenant: Tenant) -> None:
    """For whoever waits."""
    print(f"{time.strftime('%T')} {what}; {len(tenant.made)} requests, {len(tenant.retried)} repeated", flush=True)

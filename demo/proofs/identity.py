"""What a pod learns about itself: all of it in the tenant's terms, none of it in the host's."""

from __future__ import annotations

import base64
import json

from demo.kubectl import Object
from demo.proofs import SPACE, Proof, Scene, expect, expect_in

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def names(scene: Scene) -> str:
    """Environment, files and host name hold virtual names."""
    scene.wait("--for=condition=Ready", "pod/identity")
    pod = scene.get("pod", "identity")
    env = dict(line.split("=", 1) for line in scene.shell("identity", "env").splitlines() if "=" in line)
    wanted = {
        "POD_NAME": "identity",
        "POD_NAMESPACE": SPACE,
        "POD_UID": pod["metadata"]["uid"],
        "POD_ACCOUNT": "reader",
        "POD_TIER": "demo",
        "POD_NOTE": "kept",
        "GREETING": "hello",
        "PASSWORD": "open sesame",
        "HOSTNAME": "identity",
    }
    expect({name: env.get(name) for name in wanted}, wanted, what="the environment")
    files = {
        f"{_ACCOUNT}/namespace": SPACE,
        "/etc/about/namespace": SPACE,
        "/etc/about/labels": 'app="identity"\ntier="demo"',
        "/etc/settings/greeting": "hello",
        "/etc/password/password": "open sesame",
    }
    for path, content in files.items():
        expect(scene.shell("identity", f"cat {path}"), content, what=f"file {path}")
    return f"{len(wanted)} variables and {len(files)} files"


def token(scene: Scene) -> str:
    """A projected token has the audience and life that the pod asked for, and is bound to the virtual pod."""
    claims = _claims(scene.shell("identity", "cat /etc/vault/token"))
    about = claims["kubernetes.io"]
    expect(claims["sub"], f"system:serviceaccount:{SPACE}:reader", what="the token's subject")
    expect(claims["aud"], ["vault"], what="the token's audience")
    expect((about["namespace"], about["pod"]["name"]), (SPACE, "identity"), what="the pod that the token is bound to")
    expect(claims["exp"] - claims["iat"], 3600, what="the token's life in seconds")
    return "audience vault, one hour, bound to pod identity"


def api(scene: Scene) -> str:
    """A pod calls the virtual API server under its ServiceAccount; RBAC lets it read ConfigMaps and not Secrets."""
    ask = (
        "curl --silent --show-error --output /dev/null --write-out '%{http_code}' "
        f'--cacert {_ACCOUNT}/ca.crt --header "Authorization: Bearer $(cat {_ACCOUNT}/token)" '
        f"https://kubernetes.default.svc/api/v1/namespaces/{SPACE}/"
    )
    seen = {name: scene.shell("identity", ask + name) for name in ("configmaps/settings", "secrets/password")}
    expect(seen, {"configmaps/settings": "200", "secrets/password": "403"}, what="the API server's answers")
    return "ConfigMap 200, Secret 403"


def edit(scene: Scene) -> str:
    """An edited ConfigMap reaches the volume of a running pod."""
    scene.kubectl("patch", "configmap", "settings", "--patch", json.dumps({"data": {"greeting": "good evening"}}))
    # A kubelet looks at a pod's volumes every minute or so, and at once when the pod itself changes.
    scene.kubectl("annotate", "--overwrite", "pod", "identity", "example.com/note=look")
    scene.eventually_shell("identity", "cat /etc/settings/greeting", says="good evening")
    return "the file in the running pod follows the edit"


def _claims(token: str) -> Object:
    expect_in(["."], token, what="the token")
    payload = token.split(".")[1]
    claims: Object = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


PROOFS = (
    Proof(claim="ConfigMap, Secret, downward API, namespace file: the virtual names", show=names),
    Proof(claim="A projected token of the virtual cluster", show=token),
    Proof(claim="A pod calls the virtual API; RBAC decides", show=api),
    Proof(claim="An edit of a ConfigMap reaches the volume", show=edit),
)

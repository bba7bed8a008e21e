"""The pod's own name: hostname, subdomain, and its line in /etc/hosts.

The host pod is called otherwise, so its hostname is set to the virtual pod's. A dotted name is no valid `hostname`: it goes into
`hostnameOverride`, and dashes replace its dots on hosts that do not know that field (before 1.35).

`subdomain` cannot stay, for the host's kubelet would build a name of the host's namespace and domain from it. An init container
therefore copies /etc/hosts with the right FQDN on the lines of the pod's addresses, and all containers mount the copy. It finds these
lines by the hostname, so it needs no address and works with both IP families. `hostnameOverride` cannot do this: it would change what
`hostname` prints, and StatefulSet pods read their ordinal from that. Exactly that is wanted, though, with `setHostnameAsFQDN`,
where the FQDN becomes the override. (On hosts before 1.35, or with an FQDN over 63 characters, such a pod has its short hostname.)
"""

from __future__ import annotations

from syncer.names import MAX_LABEL, PREFIX, Object
from syncer.rules.context import Context
from syncer.rules.pods.references import items

REWRITE = "sublet-rewrite-hosts"
"""Name of the init container."""
VOLUME = "sublet-hosts"
"""Name of the volume with the copy."""
OPT_OUT = PREFIX + "disable-subdomain-rewrite"
"""Annotation on a virtual pod: "true" leaves its /etc/hosts alone."""

_HOSTS = "/etc/hosts"
_DIRECTORY = "/sublet"
_FILE = "hosts"
_ANY_USER = 65532
_ALIASES = "# Entries added by HostAliases"


def step(spec: Object, pod: Object, context: Context) -> Object:
    """The step that sets hostname, drops subdomain and has /etc/hosts rewritten."""
    if spec.get("hostNetwork"):
        # Such a pod has its node's hostname and hosts file; subdomain matters to DNS only, which the virtual cluster answers.
        return {"subdomain": None, "setHostnameAsFQDN": None}
    name = hostname(pod)
    fields: Object = {"hostname": name.replace(".", "-"), "subdomain": None, "setHostnameAsFQDN": None}
    fqdn = _fqdn(name, pod, context)
    override = fqdn if fqdn and spec.get("setHostnameAsFQDN") and len(fqdn) <= MAX_LABEL else name
    if override != fields["hostname"] and not spec.get("hostnameOverride"):
        fields["hostnameOverride"] = override
    if fqdn and _rewrites(spec, pod, context):
        known = {fields["hostname"], fields.get("hostnameOverride", name)}
        fields |= _rewriting(spec, pod, context, script=_script(known, f"{fqdn}\\t{name}"))
    return fields


def hostname(pod: Object) -> str:
    """What `hostname` prints in the pod on a real cluster, when no FQDN is asked for."""
    name: str = pod["spec"].get("hostname") or pod["metadata"]["name"]
    return name if len(name) <= MAX_LABEL else name[:MAX_LABEL].rstrip("-.")


def _fqdn(name: str, pod: Object, context: Context) -> str | None:
    # A hostname override takes the place of the FQDN, as in the kubelet.
    subdomain = pod["spec"].get("subdomain")
    if not subdomain or pod["spec"].get("hostnameOverride"):
        return None
    return f"{name}.{subdomain}.{pod['metadata']['namespace']}.svc.{context.settings.cluster.domain}"


def _rewrites(spec: Object, pod: Object, context: Context) -> bool:
    annotations = pod["metadata"].get("annotations") or {}
    settings = context.settings.pods.rewrite_hosts
    return (
        settings.enabled
        and bool(settings.image)
        and annotations.get(OPT_OUT) != "true"
        and (spec.get("os") or {}).get("name") != "windows"
    )


def _rewriting(spec: Object, pod: Object, context: Context, *, script: str) -> Object:
    return {
        "initContainers": [
            _init_container(spec, pod, context, script=script),
            *map(_mounted, items(spec.get("initContainers"))),
        ],
        "containers": [_mounted(container) for container in items(spec.get("containers"))],
        "volumes": [*items(spec.get("volumes")), {"name": VOLUME, "emptyDir": {}}],
    }


def _script(known: set[str], names: str) -> str:
    """For sed -E: gives the lines `IP<tab>hostname` that the kubelet wrote other names, up to where the pod's own aliases start."""
    hostnames = "|".join(name.replace(".", r"\.") for name in sorted(known))
    return rf"/^{_ALIASES}/,$!s/^([^[:space:]]+)[[:space:]]({hostnames})$/\1\t{names}/"


def _init_container(spec: Object, pod: Object, context: Context, *, script: str) -> Object:
    settings = context.settings.pods.rewrite_hosts
    user = (spec.get("securityContext") or {}).get("runAsUser") or _ANY_USER
    container: Object = {
        "name": REWRITE,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sed", "-E", "-n", "-e", script, "-e", f"w {_DIRECTORY}/{_FILE}", _HOSTS],
        "volumeMounts": [{"name": VOLUME, "mountPath": _DIRECTORY}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    best_effort = (pod.get("status") or {}).get("qosClass") == "BestEffort"
    # Requests would lift a BestEffort pod into another class, and may exceed what was set for the pod as a whole.
    if settings.resources and not best_effort and not spec.get("resources"):
        container["resources"] = dict(settings.resources)
    return container


def _mounted(container: Object) -> Object:
    mounts = items(container.get("volumeMounts"))
    if any(mount.get("mountPath", "").rstrip("/") == _HOSTS for mount in mounts):
        return container
    return {**container, "volumeMounts": [*mounts, {"name": VOLUME, "mountPath": _HOSTS, "subPath": _FILE}]}

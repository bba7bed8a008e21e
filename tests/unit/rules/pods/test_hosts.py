"""Hostname, subdomain and /etc/hosts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from syncer.names import Key
from syncer.rules.pods import to_host
from syncer.rules.pods.hosts import REWRITE, VOLUME
from tests.unit.rules.pods.samples import KEY, container, context, pod, rewriting

FQDN = "web-0.web.shop.svc.cluster.local"
MOUNT = {"name": VOLUME, "mountPath": "/etc/hosts", "subPath": "hosts"}


def named(name, **spec):
    return to_host(Key("pods", "shop", name), pod({"name": name}, **spec), context())["spec"]


def rewritten(**spec):
    return to_host(KEY, pod(subdomain="web", **spec), rewriting())["spec"]


def test_a_pods_hostname_is_its_virtual_name():
    assert to_host(KEY, pod(), context())["spec"]["hostname"] == "web-0"


def test_a_given_hostname_is_kept():
    assert to_host(KEY, pod(hostname="db"), context())["spec"]["hostname"] == "db"


def test_a_long_name_is_cut_as_the_kubelet_does():
    assert named("a" * 61 + "-." + "b" * 20)["hostname"] == "a" * 61


def test_a_dotted_name_is_an_override_with_a_plain_name_for_older_hosts():
    spec = named("web.v2")
    assert (spec["hostname"], spec["hostnameOverride"]) == ("web-v2", "web.v2")


def test_the_authors_own_override_is_kept():
    assert named("web.v2", hostnameOverride="mine")["hostnameOverride"] == "mine"


def test_a_pod_on_the_host_network_has_its_nodes_name():
    spec = to_host(KEY, pod(hostNetwork=True, subdomain="web"), rewriting())["spec"]
    assert not {"hostname", "hostnameOverride", "subdomain", "initContainers"} & spec.keys()


def test_the_subdomain_stays_off_the_host():
    assert "subdomain" not in rewritten()


def test_a_hostname_that_is_to_be_the_fqdn_becomes_an_override():
    spec = rewritten(setHostnameAsFQDN=True)
    assert (spec["hostname"], spec["hostnameOverride"]) == ("web-0", FQDN)
    assert "setHostnameAsFQDN" not in spec


def test_an_fqdn_too_long_for_a_hostname_leaves_the_short_one():
    spec = to_host(KEY, pod(subdomain="w" * 63, setHostnameAsFQDN=True), context())["spec"]
    assert spec["hostname"] == "web-0"
    assert "hostnameOverride" not in spec


def test_hosts_are_rewritten_before_all_else_starts():
    spec = rewritten(initContainers=[container("init")])
    assert [item["name"] for item in spec["initContainers"]] == [REWRITE, "init"]


def test_all_containers_see_the_rewritten_hosts():
    spec = rewritten(initContainers=[container("init")])
    assert MOUNT in spec["containers"][0]["volumeMounts"]
    assert MOUNT in spec["initContainers"][1]["volumeMounts"]
    assert {"name": VOLUME, "emptyDir": {}} in spec["volumes"]


@pytest.mark.parametrize("path", ["/etc/hosts", "/etc/hosts/"])
def test_a_container_with_hosts_of_its_own_keeps_them(path):
    own = [{"name": "mine", "mountPath": path}]
    assert rewritten(containers=[container(volumeMounts=own)])["containers"][0]["volumeMounts"] == own


def test_the_rewriting_container_passes_pod_security_restricted():
    init = rewritten()["initContainers"][0]
    assert init["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@pytest.mark.parametrize(("user", "runs_as"), [(1000, 1000), (0, 65532), (None, 65532)])
def test_the_rewriting_container_runs_as_the_pods_user_unless_that_is_root(user, runs_as):
    init = rewritten(securityContext={"runAsUser": user})["initContainers"][0]
    assert init["securityContext"]["runAsUser"] == runs_as


@pytest.mark.parametrize(("qos", "has_resources"), [("BestEffort", False), ("Burstable", True), ("Guaranteed", True)])
def test_the_rewriting_container_does_not_change_the_pods_quality_of_service(qos, has_resources):
    virtual = pod(status={"qosClass": qos}, subdomain="web")
    init = to_host(KEY, virtual, rewriting())["spec"]["initContainers"][0]
    assert ("resources" in init) is has_resources


def test_the_rewriting_container_stays_within_the_resources_of_the_whole_pod():
    virtual = pod(status={"qosClass": "Burstable"}, subdomain="web", resources={"limits": {"cpu": "1m"}})
    assert "resources" not in to_host(KEY, virtual, rewriting())["spec"]["initContainers"][0]


@pytest.mark.parametrize(
    ("virtual", "rules"),
    [
        (pod(), rewriting()),
        (pod(subdomain="web"), context()),
        (pod({"annotations": {"sublet.dev/disable-subdomain-rewrite": "true"}}, subdomain="web"), rewriting()),
        (pod(subdomain="web", os={"name": "windows"}), rewriting()),
        (pod(subdomain="web", hostnameOverride="mine"), rewriting()),
    ],
    ids=["no subdomain", "disabled", "opted out", "windows", "overridden"],
)
def test_hosts_are_not_rewritten_without_need(virtual, rules):
    assert "initContainers" not in to_host(KEY, virtual, rules)["spec"]


def run(spec, hosts, folder: Path) -> str:
    """What the init container makes of a hosts file."""
    source, target = folder / "etc-hosts", folder / "hosts"
    source.write_text(hosts)
    command = [part.replace("/sublet/hosts", str(target)) for part in spec["initContainers"][0]["command"]]
    subprocess.run([*command[:-1], str(source)], check=True)
    return target.read_text()


HOSTS = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
10.1.2.3\t{name}
fd00::3\t{name}

# Entries added by HostAliases.
192.0.2.7\t{name}
"""


@pytest.mark.parametrize("name", ["web-0", "web.0", "web-0.x", FQDN])
def test_the_pods_lines_get_its_fqdn_in_both_ip_families_and_aliases_stay(name, tmp_path):
    short = "web-0" if name == FQDN else name
    virtual = pod({"name": short}, subdomain="web", setHostnameAsFQDN=name == FQDN)
    spec = to_host(Key("pods", "shop", short), virtual, rewriting())["spec"]
    names = f"{short}.web.shop.svc.cluster.local\t{short}"
    expected = HOSTS.format(name=name)
    expected = expected.replace(f"10.1.2.3\t{name}", f"10.1.2.3\t{names}")
    expected = expected.replace(f"fd00::3\t{name}", f"fd00::3\t{names}")
    assert run(spec, HOSTS.format(name=name), tmp_path) == expected


def test_a_dot_in_a_hostname_matches_itself_only(tmp_path):
    spec = to_host(Key("pods", "shop", "a.b"), pod({"name": "a.b"}, subdomain="web"), rewriting())["spec"]
    assert run(spec, "10.1.2.3\taxb\n", tmp_path) == "10.1.2.3\taxb\n"


def test_host_aliases_are_kept():
    aliases = [{"ip": "192.0.2.1", "hostnames": ["db"]}]
    assert to_host(KEY, pod(hostAliases=aliases), context())["spec"]["hostAliases"] == aliases

"""The network namespaces of the lab: one for the control plane (the hub), one per node, none with a way out.

The hub holds the bridge all nodes hang on and the one link to the machine, which carries nothing but connections between the
machine and the hub itself. Pod ranges are routed, not masqueraded: a pod's address is seen by whoever it talks to.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import layout, shell
from lab.layout import HUB_NAMESPACE, MACHINE_LINK, Node

_NETNS = Path("/run/netns")
_BRIDGE = "nodes"
_UPLINK = "machine"  # the hub's end of the link to the machine
_SETTINGS = {"ip_forward": 1, "conf/all/rp_filter": 0, "conf/default/rp_filter": 0, "conf/all/send_redirects": 0}
_SEAL = f"""
table inet sublet {{
  chain forward {{
    type filter hook forward priority 0; policy accept;
    iifname "{_UPLINK}" drop
    oifname "{_UPLINK}" drop
  }}
}}
"""


def create_hub() -> None:
    """Makes the hub's namespace, its bridge and the link to the machine. Whatever was there is removed first."""
    remove_all()
    _remember_mount()
    _create_namespace(HUB_NAMESPACE)
    _ip_in(HUB_NAMESPACE, "link", "add", _BRIDGE, "type", "bridge")
    _ip_in(HUB_NAMESPACE, "addr", "add", f"{layout.HUB_ADDRESS}/{layout.NODE_PREFIX}", "dev", _BRIDGE)
    _ip_in(HUB_NAMESPACE, "link", "set", _BRIDGE, "up")
    _ip("link", "add", MACHINE_LINK, "type", "veth", "peer", "name", _UPLINK, "netns", HUB_NAMESPACE)
    _ip("addr", "add", f"{layout.MACHINE_ADDRESS}/30", "dev", MACHINE_LINK)
    _ip("link", "set", MACHINE_LINK, "up")
    _ip_in(HUB_NAMESPACE, "addr", "add", f"{layout.API_ADDRESS}/30", "dev", _UPLINK)
    _ip_in(HUB_NAMESPACE, "link", "set", _UPLINK, "up")
    _ip_in(HUB_NAMESPACE, "route", "add", "unreachable", "default")
    shell.run(*inside(HUB_NAMESPACE), "nft", "-f", "-", stdin=_SEAL)


def create_node(node: Node) -> None:
    """Makes a node's namespace, hangs it on the bridge and makes its pods known to the hub."""
    remove_node(node)
    _create_namespace(node.namespace)
    port = node.name
    _ip_in(HUB_NAMESPACE, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", node.namespace)
    _ip_in(HUB_NAMESPACE, "link", "set", port, "master", _BRIDGE, "up")
    _ip_in(node.namespace, "addr", "add", f"{node.address}/{layout.NODE_PREFIX}", "dev", "eth0")
    _ip_in(node.namespace, "link", "set", "eth0", "up")
    # Traffic between pods of two nodes goes through the hub: it alone has to know where each range lives.
    _ip_in(node.namespace, "route", "add", "default", "via", layout.HUB_ADDRESS)
    _ip_in(node.namespace, "route", "add", "unreachable", node.pod_range)
    _ip_in(HUB_NAMESPACE, "route", "add", node.pod_range, "via", node.address)


def remove_node(node: Node) -> None:
    """Removes a node's namespace, its link and the hub's route to its pods."""
    if exists(node.namespace):
        _ip("netns", "del", node.namespace)
    if exists(HUB_NAMESPACE):
        shell.succeeds("ip", "-n", HUB_NAMESPACE, "link", "del", node.name)
        shell.succeeds("ip", "-n", HUB_NAMESPACE, "route", "del", node.pod_range)


def remove_all() -> None:
    """Removes every namespace and link with the lab's names, also those of a lab that crashed."""
    shell.succeeds("ip", "link", "del", MACHINE_LINK)
    for namespace in existing():
        if not shell.succeeds("ip", "netns", "del", namespace):
            (_NETNS / namespace).unlink(missing_ok=True)  # after a reboot only the empty file is left
    marker = _mount_marker()
    if marker.exists() and not any(_NETNS.iterdir()):
        shell.succeeds("umount", str(_NETNS))
        marker.unlink()


def existing() -> list[str]:
    """Names of the lab's namespaces."""
    return sorted(path.name for path in _NETNS.glob(f"{layout.NAMESPACE_PREFIX}*")) if _NETNS.exists() else []


def exists(namespace: str) -> bool:
    """Whether there is a namespace of this name."""
    return (_NETNS / namespace).exists()


def inside(namespace: str) -> tuple[str, ...]:
    """The command prefix that runs something in a namespace. (`ip netns exec` would hide the cgroup tree.)"""
    return ("nsenter", f"--net={layout.namespace_path(namespace)}", "--")


def available() -> bool:
    """Whether this machine has the tools to have made any."""
    return shutil.which("ip") is not None


def _create_namespace(name: str) -> None:
    _ip("netns", "add", name)
    _ip_in(name, "link", "set", "lo", "up")
    writes = [f"echo {value} > /proc/sys/net/ipv4/{setting}" for setting, value in _SETTINGS.items()]
    shell.run(*inside(name), "sh", "-c", " && ".join(writes))


def _remember_mount() -> None:
    """The first `ip netns add` on a machine mounts /run/netns on itself: then `down` takes that mount away again."""
    mounted = any(line.split()[1] == str(_NETNS) for line in Path("/proc/mounts").read_text().splitlines())
    if not mounted:
        _mount_marker().parent.mkdir(parents=True, exist_ok=True)
        _mount_marker().touch()


def _mount_marker() -> Path:
    return layout.RUN / "mounted-netns"


def _ip(*words: str) -> None:
    shell.run("ip", *words)


def _ip_in(namespace: str, *words: str) -> None:
    shell.run("ip", "-n", namespace, *words)

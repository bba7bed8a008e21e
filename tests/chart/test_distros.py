"""K3s and k0s as bodies of the control plane's pod."""

from __future__ import annotations

import base64

import pytest
import yaml

from tests.chart.rendering import CHART, Object, Refused, Rendered, nested, put, render
from tests.chart.test_security import TOKEN_PATH, violations

DISTROS = ("k3s", "k0s")
AT = "controlPlane.distro"
each = pytest.mark.parametrize("distro", DISTROS)


def values(distro: str, **more: object) -> Object:
    """Values that enable a distribution; `more` are paths with `__` for dots."""
    found = nested(f"{AT}.{distro}.enabled", True)
    for path, value in more.items():
        put(found, path.replace("__", "."), value)
    return found


def with_store(distro: str, store: str, **settings: object) -> Object:
    """Values with another store too."""
    found = values(distro)
    put(found, f"controlPlane.backingStore.{store}", {"enabled": True, **settings})
    return found


def flags(rendered: Rendered, distro: str, component: str) -> dict[str, str]:
    """What a component is told, by whatever way the distribution has for it."""
    if distro == "k0s":
        part = {"kube-apiserver": "api", "kube-controller-manager": "controllerManager", "kube-scheduler": "scheduler"}
        found: dict[str, str] = k0s_config(rendered)["spec"][part[component]]["extraArgs"]
        return found
    prefix = f"--{component}-arg="
    given = [item.removeprefix(prefix) for item in rendered.container("k3s")["command"] if item.startswith(prefix)]
    return dict(item.partition("=")[::2] for item in given)  # type: ignore[misc]


def upstream(container: str) -> dict[str, str]:
    """What the same component is told in the default distribution."""
    command = render().container(container)["command"][1:]
    return dict(item.removeprefix("--").partition("=")[::2] for item in command)  # type: ignore[misc]


def k0s_config(rendered: Rendered) -> Object:
    data = rendered.get("Secret", "vc-config-alpha")["data"]["k0s.yaml"]
    config: Object = yaml.safe_load(base64.b64decode(data))
    return config


def refusal(settings: Object) -> str:
    with pytest.raises(Refused) as caught:
        render(settings)
    return str(caught.value)


@each
def test_one_container_takes_the_place_of_api_server_and_controllers(distro):
    pod = render(values(distro)).pod

    assert [item["name"] for item in pod["initContainers"]] == ["pki", "store", "syncer"]
    assert [item["name"] for item in pod["containers"]] == [distro]


@each
def test_its_api_server_is_told_what_the_default_one_is_told(distro):
    expected = upstream("apiserver")
    if distro == "k0s":  # these it has places of its own for
        for flag in ("advertise-address", "etcd-prefix", "etcd-servers", "secure-port"):
            del expected[flag]
    given = flags(render(values(distro)), distro, "kube-apiserver")

    assert {flag: given.get(flag) for flag in expected} == expected


@each
def test_its_controllers_are_told_what_the_default_ones_are_told(distro):
    expected = upstream("controller-manager")
    if distro == "k3s":  # which signs with the same authority, named by purpose
        del expected["cluster-signing-cert-file"], expected["cluster-signing-key-file"]
    given = flags(render(values(distro)), distro, "kube-controller-manager")

    assert {flag: given.get(flag) for flag in expected} == expected


@each
def test_it_issues_certificates_with_our_authority(distro):
    _, _, script, *_ = render(values(distro)).container(distro)["command"]
    assert "/pki/ca.key" in script or "/pki/ca.$kind" in script
    assert script.endswith(f'exec {distro} {"server" if distro == "k3s" else "controller"} "$@"')


@each
def test_it_answers_the_probes_of_an_api_server(distro):
    theirs, ours = render(values(distro)).container(distro), render().container("apiserver")
    for field in ("ports", "startupProbe", "livenessProbe", "readinessProbe"):
        assert theirs[field] == ours[field]


BASELINE = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"}
"""Of the capabilities that Pod Security "baseline" lets a container add."""


@each
def test_it_satisfies_pod_security_restricted_but_k0s_which_wants_to_be_root_and_satisfies_baseline(distro):
    rendered = render(values(distro))
    context = rendered.container(distro)["securityContext"]

    wrong = {"k3s": [], "k0s": ["k0s: runAsNonRoot", "k0s: runAsUser", "k0s: add"]}
    assert violations(rendered.pod) == wrong[distro]
    assert set(context["capabilities"].get("add", [])) <= BASELINE


@each
def test_it_writes_into_volumes_only_and_has_no_host_token(distro):
    container = render(values(distro)).container(distro)

    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert TOKEN_PATH not in {item["mountPath"] for item in container["volumeMounts"]}


@each
def test_copies_of_keys_lie_in_memory(distro):
    volumes = {item["name"]: item for item in render(values(distro)).pod["volumes"]}
    assert volumes["server"]["emptyDir"]["medium"] == "Memory"


@each
def test_every_mounted_volume_is_there_and_every_volume_is_mounted(distro):
    rendered = render(values(distro, controlPlane__statefulSet__persistence__volumeClaim__enabled=False))
    mounted = {
        mount["name"]
        for item in rendered.pod["initContainers"] + rendered.pod["containers"]
        for mount in item["volumeMounts"]
    }
    assert {item["name"] for item in rendered.pod["volumes"]} == mounted


@each
def test_every_store_serves_it_by_the_same_container(distro):
    for settings in (values(distro), with_store(distro, "etcd.embedded")):
        own = dict(settings)
        default = {"controlPlane": {**own["controlPlane"], "distro": {}}}
        assert render(settings).container("store") == render(default).container("store")


def servers(rendered: Rendered, distro: str) -> tuple[str, str | None]:
    """The addresses of the store and the prefix below which objects lie there."""
    if distro == "k0s":
        cluster = k0s_config(rendered)["spec"]["storage"]["etcd"]["externalCluster"]
        return ",".join(cluster["endpoints"]), cluster["etcdPrefix"]
    given = flags(rendered, distro, "kube-apiserver")
    return given["etcd-servers"], given.get("etcd-prefix", "/registry")


@each
def test_objects_lie_where_the_default_distribution_has_them(distro):
    assert servers(render(values(distro)), distro) == ("unix:///run/store/store.sock", "/registry")


@each
def test_an_external_etcd_is_reached_with_its_files(distro):
    files = {"caFile": "/tls/ca", "certFile": "/tls/crt", "keyFile": "/tls/key"}
    endpoint = "https://a:2379,https://b:2379"
    rendered = render(with_store(distro, "etcd.external", endpoint=endpoint, tls=files))
    given = flags(rendered, distro, "kube-apiserver")

    assert servers(rendered, distro) == (endpoint, "/tenant/alpha")
    assert [given[f"etcd-{name}file"] for name in ("ca", "cert", "key")] == ["/tls/ca", "/tls/crt", "/tls/key"]


@each
def test_it_schedules_only_when_asked_to(distro):
    def scheduler_off(settings: Object) -> bool:
        command = render(settings).container(distro)["command"]
        off = {"k3s": lambda item: item == "--disable-scheduler", "k0s": lambda item: "kube-scheduler" in item}
        return any(off[distro](item) for item in command)

    asked = values(distro, controlPlane__advanced__virtualScheduler__enabled=True, sync__fromHost__nodes__enabled=True)
    assert scheduler_off(values(distro))
    assert not scheduler_off(asked)
    assert flags(render(asked), distro, "kube-scheduler")["kubeconfig"] == "/pki/scheduler.conf"


@each
def test_several_replicas_elect_a_leader_among_their_controllers(distro):
    settings = with_store(distro, "database.external", dataSource="postgres://a:b@c/d")
    put(settings, "controlPlane.statefulSet.highAvailability.replicas", 2)
    assert flags(render(settings), distro, "kube-controller-manager")["leader-elect"] == "true"


@each
def test_flags_of_the_users_come_last_so_that_they_win(distro):
    command = render(values(distro, **{f"{AT}.{distro}.extraArgs": ["--own=1"]})).container(distro)["command"]
    assert command[-1] == "--own=1"


def test_the_components_of_k0s_run_as_the_user_to_whom_keys_belong():
    def user(settings: Object) -> str:
        data = render(settings).get("Secret", "vc-config-alpha")["data"]["passwd"]
        (line,) = (line for line in base64.b64decode(data).decode().splitlines() if line.startswith("kube-apiserver:"))
        return line.split(":")[2]

    own = values("k0s", controlPlane__statefulSet__security__podSecurityContext__runAsUser=1001)
    assert (user(values("k0s")), user(own)) == ("65532", "1001")


def test_a_configuration_of_k0s_is_laid_over_ours_and_rolls_the_pod():
    own = "spec: {api: {extraArgs: {v: '4'}}}"
    before, after = render(values("k0s")), render(values("k0s", **{f"{AT}.k0s.config": own}))
    checksums = [
        item.get("StatefulSet")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        for item in (before, after)
    ]

    assert k0s_config(after)["spec"]["api"]["extraArgs"]["v"] == "4"
    assert k0s_config(after)["spec"]["api"]["extraArgs"]["endpoint-reconciler-type"] == "none"
    assert checksums[0] != checksums[1]


@pytest.mark.parametrize(
    ("distro", "image"),
    [("k3s", "docker.io/rancher/k3s:v1.36.2-k3s1"), ("k0s", "docker.io/k0sproject/k0s:v1.36.3-k0s.2")],
)
def test_its_image_is_a_public_one_that_parts_and_mirrors_apply_to(distro, image):
    assert render(values(distro)).container(distro)["image"] == image
    tagged = render(values(distro, **{f"{AT}.{distro}.image.tag": "own"})).container(distro)["image"]
    assert tagged == f"{image.rpartition(':')[0]}:own"
    mirrored = render(values(distro, controlPlane__advanced__defaultImageRegistry="mirror.example"))
    assert mirrored.container(distro)["image"] == image.replace("docker.io", "mirror.example")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"k3s": {"enabled": True}, "k0s": {"enabled": True}}, "k0s and k3s are enabled"),
        ({"k3s": {"enabled": True}, "k8s": {"enabled": True}}, "k3s and k8s are enabled"),
        ({"k3s": {"enabled": True, "image": {"tag": "v1.30.2-k3s1"}}}, f"{AT}.k3s.image is of version v1.30.2-k3s1"),
        ({"k0s": {"enabled": True, "image": {"tag": "v1.35.7-k0s.0"}}}, f"{AT}.k0s.image is of version v1.35.7-k0s.0"),
        ({"k0s": {"enabled": True, "config": "[a"}}, f"{AT}.k0s.config is no YAML"),
        ({"k3s": {"enabled": True, "token": "x"}}, f"{AT}.k3s.token is not supported"),
    ],
)
def test_what_cannot_work_is_refused_with_its_remedy(settings, said):
    assert said in refusal(nested(AT, settings))


@each
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", "v1.35.2"),
        ("env", []),
        ("apiServer.extraArgs", ["--v=4"]),
        ("controllerManager.resources", {"limits": {"memory": "2Gi"}}),
    ],
)
def test_values_of_the_default_distribution_are_refused_beside_it(distro, path, value):
    key = path.partition(".")[0]
    assert f"{AT}.k8s.{key} is for k8s, but {distro} is enabled" in refusal(
        values(distro, **{f"{AT}.k8s.{path}": value})
    )


@each
def test_the_scheduler_of_the_default_distribution_is_refused_with_the_key_for_all(distro):
    told = refusal(values(distro, **{f"{AT}.k8s.scheduler.enabled": True}))
    assert "set controlPlane.advanced.virtualScheduler.enabled instead" in told


@pytest.mark.parametrize(
    ("distro", "tag"), [("k3s", "v1.34.6-k3s1"), ("k0s", "v1.36.3-k0s.1"), ("k0s", "v1.35.8-k0s.0"), ("k3s", "latest")]
)
def test_versions_that_can_work_and_tags_that_are_none_are_let_through(distro, tag):
    assert render(values(distro, **{f"{AT}.{distro}.image.tag": tag}))


def test_the_file_of_defaults_says_what_values_say():
    defaults = yaml.safe_load((CHART / "files" / "k8s.yaml").read_text())
    said = yaml.safe_load((CHART / "values.yaml").read_text())["controlPlane"]["distro"]["k8s"]
    assert defaults | {"enabled": False} == said


@pytest.mark.parametrize(("tag", "version"), [("v1.36.2-k3s1", "v1.36.2-k3s1"), ("latest", "")])
def test_the_syncer_hears_of_the_distribution_and_of_the_version_that_its_image_tells(tag, version):
    cluster = render(values("k3s", **{f"{AT}.k3s.image.tag": tag})).config["cluster"]
    assert (cluster["distro"], cluster["kubernetes"]) == ("k3s", version)

"""What the chart refuses, and that it says why."""

import json

import pytest
import yaml

from tests.chart.rendering import CHART, Object, Refused, nested, put, render

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
UNSUPPORTED = yaml.safe_load((CHART / "files" / "unsupported.yaml").read_text())


def refusal(values: Object, **release: str) -> str:
    with pytest.raises(Refused) as caught:
        render(values, **release)
    return str(caught.value)


def concrete(path: str) -> str:
    """A path of the table with its `*` replaced by a key that the schema knows."""
    known = {
        "sync.toHost": "pods",
        "sync.fromHost": "events",
        "integrations": "istio",
    }
    return path.replace("*", known.get(path.partition(".*")[0], "*"))


def closed_objects(schema: Object, path: str = "") -> list[str]:
    """Paths of the schema's objects that list their properties."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    found = [path] if "properties" in schema else []
    for key, below in schema.get("properties", {}).items():
        found += closed_objects(below, f"{path}.{key}" if path else key)
    return found


def test_the_schema_is_draft_07_and_the_top_level_one_is_the_same_file():
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    link = CHART.parent / "values.schema.json"
    assert link.is_symlink()
    assert link.resolve() == (CHART / "values.schema.json").resolve()


@pytest.mark.parametrize("path", closed_objects(SCHEMA))
def test_an_unknown_key_is_refused_wherever_it_stands(path):
    message = refusal(nested(f"{path}.surprise" if path else "surprise", {"a": 1}))
    assert "surprise" in message
    assert path.replace(".", "/") in message


def test_parent_charts_may_put_anything_under_global():
    assert render({"global": {"anything": [1, {"b": None}]}})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sync.toHost.pods.enabled", "yes"),
        ("sync.toHost.pods.translateImage", {"a": 1}),
        ("sync.toHost.pods.enforceTolerations", ["key=value:Sometimes"]),
        ("sync.metadata.denyLabels", ["a*b"]),
        ("controlPlane.distro.k8s.version", "latest"),
        ("controlPlane.distro.k8s.version", 1.36),
        ("controlPlane.statefulSet.image", {"repository": "x", "tag": 7}),
        ("controlPlane.statefulSet.image", {"digest": "sha256:short"}),
        ("controlPlane.statefulSet.highAvailability.replicas", "1"),
        ("controlPlane.statefulSet.persistence.volumeClaim.retentionPolicy", "Keep"),
        ("controlPlane.statefulSet.probes.startupProbe.periodSeconds", 0),
        ("controlPlane.service.httpsNodePort", 70000),
        ("controlPlane.proxy.extraSANs", "one"),
        ("networking.serviceCIDR", "10.96.0.0"),
        ("exportKubeConfig.server", "http://plain.example.com"),
        ("exportKubeConfig.additionalSecrets", [{"namespace": "other"}]),
        ("rbac.clusterRole.enabled", "sometimes"),
        ("logging.level", "loud"),
    ],
)
def test_a_value_of_the_wrong_form_is_refused_by_its_path(path, value):
    assert path.split(".")[-1] in refusal(nested(path, value))


@pytest.mark.parametrize("row", UNSUPPORTED, ids=lambda row: row["path"])
def test_a_key_of_vcluster_that_is_not_there_is_refused_by_name_with_what_to_do(row):
    path = concrete(row["path"])
    value = next(value for value in ({"enabled": True}, True, False) if value not in row.get("accept", ()))
    if set(row.get("accept", ())) >= {True, False}:
        value = {"enabled": True}
    message = refusal(nested(path, value))
    assert path in message
    assert row["remedy"] in message


def test_all_such_keys_are_refused_at_once():
    message = refusal({"sleep": {"auto": {"afterInactivity": "1h"}}, "platform": {"project": "default"}})
    assert "sleep is not supported" in message
    assert "platform is not supported" in message


@pytest.mark.parametrize(
    "off", [{"enabled": False, "more": {"of": "it"}}, {"enabled": "auto"}, {}, False, "", []], ids=str
)
def test_such_keys_are_let_through_when_they_ask_for_nothing(off):
    values: Object = {}
    for row in UNSUPPORTED:
        put(values, concrete(row["path"]), row.get("accept", [off])[0])
    assert render(values).text == render().text


@pytest.mark.parametrize(
    "row", [row for row in UNSUPPORTED if len(row.get("accept", ())) > 1], ids=lambda row: row["path"]
)
def test_a_key_that_makes_no_difference_is_let_through_either_way(row):
    for value in row["accept"]:
        assert render(nested(row["path"], value)).text == render().text


def test_the_schema_lets_exactly_the_listed_keys_through_to_the_table():
    def not_yet(schema: Object, path: str) -> list[str]:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name == "notYet":
                return [path]
            schema = SCHEMA["definitions"][name]
        return [
            found
            for key, below in schema.get("properties", {}).items()
            for found in not_yet(below, f"{path}.{key}" if path else key)
        ]

    listed = {row["path"] for row in UNSUPPORTED}
    for path in not_yet(SCHEMA, ""):
        parts = path.split(".")
        wild = {".".join([*parts[:2], "*", *parts[3:]]), ".".join([*parts[:-1], "*"]), f"{path}.*"}
        assert path in listed or wild & listed, f"{path} stands in no row of files/unsupported.yaml"
    plain = {path for path in listed if "*" not in path}
    assert plain <= set(not_yet(SCHEMA, ""))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (nested("controlPlane.distro.k8s.version", "v1.30.4"), "set 1.33.0 or newer"),
        (nested("controlPlane.statefulSet.highAvailability.replicas", 3), "set it to 1"),
        (nested("controlPlane.statefulSet.image", "ghcr.io/loft-sh/vcluster-oss:0.37.0"), "unset it"),
        (nested("controlPlane.statefulSet.image.repository", "loft-sh/vcluster-pro"), "unset it"),
        (nested("controlPlane.backingStore.database.embedded.dataSource", "mysql://db"), "begin it with sqlite://"),
        (
            nested("controlPlane.coredns", {"overwriteConfig": "a", "overwriteManifests": "b"}),
            "unset controlPlane.coredns",
        ),
        (nested("controlPlane.advanced.serviceAccount.enabled", False), "controlPlane.advanced.serviceAccount.name"),
        (nested("sync.toHost.pods.enabled", False), "sync.toHost.pods.enabled is false"),
        (nested("sync.toHost.services.enabled", False), "sync.toHost.services.enabled is false"),
        (nested("sync.toHost.secrets", {"enabled": False, "all": True}), "set sync.toHost.secrets.enabled or unset"),
        (nested("sync.fromHost.nodes.selector.labels", {"a": "b"}), "set sync.fromHost.nodes.enabled or unset"),
    ],
)
def test_a_contradiction_is_refused_with_what_to_do(values, said):
    assert said in refusal(values)


@pytest.mark.parametrize("name", ["a" * 53, "1st"])
def test_a_release_name_that_makes_bad_names_is_refused(name):
    assert "choose one" in refusal({}, name=name)


def test_the_longest_release_name_makes_names_that_fit():
    name = "a" * 52
    rendered = render(name=name)
    for service in rendered.of("Service"):
        assert len(service["metadata"]["name"]) <= 63
    assert len(f"{name}-0123456789") <= 63, "the label controller-revision-hash"


@pytest.mark.parametrize("path", ["controlPlane.distro.k8s.scheduler", "controlPlane.advanced.virtualScheduler"])
def test_a_scheduler_without_nodes_is_refused_with_the_remedy(path):
    assert "set sync.fromHost.nodes.enabled" in refusal(nested(f"{path}.enabled", True))

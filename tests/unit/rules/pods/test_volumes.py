"""Volumes name host objects, and tokens come from the pod's token Secret."""

from __future__ import annotations

import pytest

from syncer.names import Key, token_secret_name
from syncer.rules.pods import TokenSpec, carried, to_host, tokens
from tests.unit.rules.pods.samples import KEY, api_access, context, pod, with_volume

SECRET = token_secret_name("web-0", "shop", "alpha")


def host_volume(source):
    return to_host(KEY, with_volume(**source), context())["spec"]["volumes"][0]


def projection(*sources, **fields):
    return {"projected": {"defaultMode": 420, "sources": list(sources), **fields}}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            {"configMap": {"name": "cm", "defaultMode": 420, "optional": True, "items": [{"key": "k", "path": "p"}]}},
            {"name": "cm-x-shop-x-alpha", "defaultMode": 420, "optional": True, "items": [{"key": "k", "path": "p"}]},
        ),
        ({"secret": {"secretName": "s", "optional": False}}, {"secretName": "s-x-shop-x-alpha", "optional": False}),
        (
            {"persistentVolumeClaim": {"claimName": "data", "readOnly": True}},
            {"claimName": "data-x-shop-x-alpha", "readOnly": True},
        ),
        (
            {"csi": {"driver": "d", "nodePublishSecretRef": {"name": "s"}, "volumeAttributes": {"name": "s"}}},
            {
                "driver": "d",
                "nodePublishSecretRef": {"name": "s-x-shop-x-alpha"},
                "volumeAttributes": {"name": "s"},
            },
        ),
        ({"azureFile": {"secretName": "s", "shareName": "x"}}, {"secretName": "s-x-shop-x-alpha", "shareName": "x"}),
        ({"glusterfs": {"endpoints": "e", "path": "p"}}, {"endpoints": "e-x-shop-x-alpha", "path": "p"}),
        *(
            (
                {kind: {"secretRef": {"name": "s"}, "readOnly": True}},
                {"secretRef": {"name": "s-x-shop-x-alpha"}, "readOnly": True},
            )
            for kind in ("cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos")
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_reference_gets_its_host_name(source, expected):
    assert host_volume(source) == {"name": "v", next(iter(source)): expected}


@pytest.mark.parametrize(
    "source",
    [
        {"emptyDir": {"medium": "Memory"}},
        {"hostPath": {"path": "/var/log", "type": ""}},
        {"nfs": {"server": "s", "path": "/"}},
        {"csi": {"driver": "d"}},
        {"iscsi": {"iqn": "i", "secretRef": None}},
        {"image": {"reference": "r", "pullPolicy": "Always"}},
        {"configMap": {}},
        {"downwardAPI": {"defaultMode": 420}},
        projection({"clusterTrustBundle": {"name": "bundle", "path": "p"}}),
        projection({"podCertificate": {"signerName": "s", "keyType": "ED25519"}}),
        projection({"downwardAPI": {}}),
    ],
    ids=str,
)
def test_a_source_without_reference_is_left_alone(source):
    assert host_volume(source) == {"name": "v", **source}


def test_an_ephemeral_volume_becomes_the_claim_that_the_virtual_cluster_makes_for_it():
    template = {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}
    expected = {"name": "v", "persistentVolumeClaim": {"claimName": "web-0-v-x-shop-x-alpha"}}
    assert host_volume({"ephemeral": template}) == expected


def test_projected_config_maps_and_secrets_get_their_host_names():
    source = projection({"configMap": {"name": "cm", "optional": True}}, {"secret": {"name": "s"}})
    assert host_volume(source)["projected"]["sources"] == [
        {"configMap": {"name": "cm-x-shop-x-alpha", "optional": True}},
        {"secret": {"name": "s-x-shop-x-alpha"}},
    ]


def test_the_api_access_volume_reads_token_authority_and_namespace_of_the_virtual_cluster():
    host = to_host(KEY, pod(), context())
    assert host["spec"]["volumes"][0]["projected"] == {
        "defaultMode": 420,
        "sources": [
            {"secret": {"name": SECRET, "items": [{"key": "kube-api-access-x7k2p.0", "path": "token"}]}},
            {
                "configMap": {
                    "name": "kube-root-ca.crt-x-shop-x-alpha",
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                }
            },
            {
                "downwardAPI": {
                    "items": [
                        {
                            "path": "namespace",
                            "fieldRef": {
                                "apiVersion": "v1",
                                "fieldPath": "metadata.annotations['sublet.dev/namespace']",
                            },
                        }
                    ]
                }
            },
        ],
    }


def test_every_token_source_is_asked_for_with_its_audience_and_life():
    vault = {"serviceAccountToken": {"audience": "vault", "expirationSeconds": 600, "path": "vault"}}
    odd = {"serviceAccountToken": {"path": "odd"}}
    assert tokens(pod(volumes=[api_access(), {"name": "v", **projection(vault, odd)}])) == (
        TokenSpec(file="kube-api-access-x7k2p.0", audience=None, expiration_seconds=3607),
        TokenSpec(file="v.0", audience="vault", expiration_seconds=600),
        TokenSpec(file="v.1", audience=None, expiration_seconds=3600),
    )


def test_token_files_of_the_host_pod_are_those_asked_for():
    vault = {"serviceAccountToken": {"audience": "vault", "path": "vault"}}
    virtual = pod(volumes=[api_access(), {"name": "v", **projection({"secret": {"name": "s"}}, vault)}])
    host = to_host(KEY, virtual, context())
    files = [
        item["key"]
        for volume in host["spec"]["volumes"]
        for source in volume["projected"]["sources"]
        if source.get("secret", {}).get("name") == SECRET
        for item in source["secret"]["items"]
    ]
    assert files == [token.file for token in tokens(virtual)]


def test_a_pod_without_token_source_needs_no_token():
    assert tokens(pod(volumes=None)) == ()


def test_a_private_token_file_stays_readable_for_the_containers_user():
    volume = host_volume(projection({"serviceAccountToken": {"path": "t"}}, defaultMode=0o400))
    assert volume["projected"]["sources"][0]["secret"]["items"] == [{"key": "v.0", "path": "t", "mode": 0o444}]


def test_all_used_objects_are_carried():
    virtual = pod(
        volumes=[
            {"name": "a", "configMap": {"name": "v-cm"}},
            {"name": "b", "secret": {"secretName": "v-secret"}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "v-claim"}},
            {"name": "d", "ephemeral": {"volumeClaimTemplate": {}}},
            {"name": "e", **projection({"configMap": {"name": "p-cm"}}, {"secret": {"name": "p-secret"}})},
            {"name": "f", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "csi-secret"}}},
            {"name": "g", "iscsi": {"secretRef": {"name": "iscsi-secret"}}},
            {"name": "h", "glusterfs": {"endpoints": "endpoints"}},
        ],
        containers=[
            {"name": "app", "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "env-cm", "key": "k"}}}]}
        ],
        initContainers=[
            {"name": "i", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "env-secret", "key": "k"}}}]}
        ],
        ephemeralContainers=[
            {"name": "e", "envFrom": [{"configMapRef": {"name": "from-cm"}}, {"secretRef": {"name": "from-secret"}}]}
        ],
        imagePullSecrets=[{"name": "pull"}, {}],
    )
    config_maps = {"v-cm", "p-cm", "env-cm", "from-cm"}
    secrets = {"v-secret", "p-secret", "csi-secret", "iscsi-secret", "env-secret", "from-secret", "pull"}
    assert carried(virtual) == (
        {Key("configmaps", "shop", name) for name in config_maps}
        | {Key("secrets", "shop", name) for name in secrets}
        | {Key("persistentvolumeclaims", "shop", name) for name in ("v-claim", "web-0-d")}
    )


def test_null_lists_are_tolerated():
    virtual = pod()
    virtual["spec"] |= {"volumes": None, "initContainers": None, "imagePullSecrets": None, "tolerations": None}
    virtual["spec"]["containers"][0] |= {"env": None, "envFrom": None, "volumeMounts": None}
    host = to_host(KEY, virtual, context())
    assert (carried(virtual), tokens(virtual)) == (frozenset(), ())
    assert "volumes" not in host["spec"]

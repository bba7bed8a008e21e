"""What the lab creates in its cluster."""

from __future__ import annotations

import json

import yaml

from lab import addons, catalogue, kwok, layout, node


def objects(text: str) -> dict[tuple[str, str], dict]:
    return {(item["kind"], item["metadata"]["name"]): item for item in yaml.safe_load_all(text)}


def test_the_name_server_has_the_address_that_kubelets_tell_their_pods() -> None:
    assert objects(addons.dns())["Service", "kube-dns"]["spec"]["clusterIP"] == layout.DNS_ADDRESS


def test_add_ons_run_images_of_the_catalogue() -> None:
    rendered = objects(addons.dns()) | objects(addons.storage(layout.nodes(2)))
    deployments = [item for (kind, _), item in rendered.items() if kind == "Deployment"]
    images = {deployment["spec"]["template"]["spec"]["containers"][0]["image"] for deployment in deployments}

    assert images <= {image.reference for image in catalogue.SYSTEM}


def test_add_ons_never_run_on_fake_nodes() -> None:
    rule = json.dumps({"key": "type", "operator": "NotIn", "values": ["kwok"]})

    assert rule in addons.dns()
    assert rule in addons.storage(layout.nodes(1))
    assert kwok.node_object(1)["metadata"]["labels"]["type"] == "kwok"


def test_every_node_has_its_own_folder_for_volumes() -> None:
    config = objects(addons.storage(layout.nodes(2)))["ConfigMap", "local-path-config"]["data"]
    paths = {entry["node"]: entry["paths"] for entry in json.loads(config["config.json"])["nodePathMap"]}

    assert paths == {of.name: [str(node.volumes(of))] for of in layout.nodes(2)}
    assert '"$VOL_DIR"' in config["setup"]


def test_there_is_one_default_storage_class() -> None:
    classes = [item for (kind, _), item in objects(addons.storage(layout.nodes(1))).items() if kind == "StorageClass"]

    assert [item["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] for item in classes] == [
        "true"
    ]


def test_fake_nodes_have_different_addresses() -> None:
    addresses = {kwok.node_object(index)["status"]["addresses"][0]["address"] for index in range(1, kwok.MAXIMUM + 1)}

    assert len(addresses) == kwok.MAXIMUM


def test_a_taint_keeps_pods_off_fake_nodes_only_when_asked_for() -> None:
    assert kwok.node_object(1)["spec"]["taints"] == []
    assert kwok.node_object(1, tainted=True)["spec"]["taints"][0]["effect"] == "NoSchedule"

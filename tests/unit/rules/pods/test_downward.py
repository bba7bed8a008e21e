"""The downward API yields virtual values."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.rules.pods import to_host
from syncer.rules.pods.downward import field_paths, format_map, quote, split
from tests.unit.rules.pods.samples import KEY, context, pod, with_env, with_volume


def env(path: str):
    return {"name": "X", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def env_path(virtual):
    """The fieldPath of variable X in the host pod, and the host pod's annotations."""
    host = to_host(KEY, virtual, context())
    variable = next(item for item in host["spec"]["containers"][0]["env"] if item["name"] == "X")
    return variable["valueFrom"]["fieldRef"]["fieldPath"], host["metadata"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-0"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "virtual-uid"),
        ("spec.serviceAccountName", "default"),
    ],
)
def test_a_field_of_the_pods_identity_reads_an_annotation_with_the_virtual_value(path, value):
    host_path, metadata = env_path(with_env(env(path)))
    holder, key = split(host_path)
    assert (holder, metadata["annotations"][key]) == ("metadata.annotations", value)


@pytest.mark.parametrize("path", ["status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs", "spec.nodeName"])
def test_a_field_about_the_node_or_addresses_is_left_alone(path):
    assert env_path(with_env(env(path)))[0] == path


def test_a_copied_label_is_read_as_it_is():
    assert env_path(with_env(env("metadata.labels['app']")))[0] == "metadata.labels['app']"


def test_a_renamed_label_is_read_under_its_host_key():
    virtual = with_env(env("metadata.labels['argocd.argoproj.io/instance']"))
    virtual["metadata"]["labels"] = {"argocd.argoproj.io/instance": "prod"}
    path, metadata = env_path(virtual)
    assert metadata["labels"][split(path)[1]] == "prod"


def test_a_mark_of_ours_cannot_be_read_as_a_label():
    path, metadata = env_path(with_env(env("metadata.labels['sublet.dev/managed-by']")))
    assert split(path)[1] not in metadata["labels"]


def test_a_copied_annotation_is_read_as_it_is():
    assert env_path(with_env(env("metadata.annotations['note']")))[0] == "metadata.annotations['note']"


def test_an_annotation_kept_off_the_host_is_stored_for_the_pod():
    virtual = with_env(env("metadata.annotations['argocd.argoproj.io/tracking-id']"))
    virtual["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "a:b"}
    path, metadata = env_path(virtual)
    assert "argocd.argoproj.io/tracking-id" not in metadata["annotations"]
    assert metadata["annotations"][split(path)[1]] == "a:b"


def test_a_mark_of_ours_cannot_be_read_as_an_annotation():
    path, metadata = env_path(with_env(env("metadata.annotations['sublet.dev/uid']")))
    assert split(path)[1] not in metadata["annotations"]


def test_resource_fields_are_left_alone():
    source = {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}
    host = to_host(KEY, with_env({"name": "X", "valueFrom": source}), context())
    assert {"name": "X", "valueFrom": source} in host["spec"]["containers"][0]["env"]


@pytest.mark.parametrize(
    "source",
    [
        {"downwardAPI": {"defaultMode": 420, "items": []}},
        {"projected": {"sources": [{"downwardAPI": {"items": []}}]}},
    ],
    ids=["volume", "projection"],
)
def test_files_are_rewritten_in_volumes_and_projections(source):
    items = [{"path": "labels", "mode": 256, "fieldRef": {"fieldPath": "metadata.labels"}}]
    holder = source.get("downwardAPI") or source["projected"]["sources"][0]["downwardAPI"]
    holder["items"] = items
    volume = to_host(KEY, with_volume(**source), context())["spec"]["volumes"][0]
    host_items = (volume.get("downwardAPI") or volume["projected"]["sources"][0]["downwardAPI"])["items"]
    assert host_items == [
        {"path": "labels", "mode": 256, "fieldRef": {"fieldPath": "metadata.annotations['sublet.dev/labels']"}}
    ]


def test_the_texts_of_labels_and_annotations_are_the_virtual_ones():
    items = [
        {"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "a", "fieldRef": {"fieldPath": "metadata.annotations"}},
    ]
    virtual = with_volume(downwardAPI={"items": items})
    virtual["metadata"] |= {"labels": {"b": "2", "a": "1"}, "annotations": {"note": 'say "hi"\n'}}
    annotations = to_host(KEY, virtual, context())["metadata"]["annotations"]
    assert annotations["sublet.dev/labels"] == 'a="1"\nb="2"'
    assert annotations["sublet.dev/annotations"] == r'note="say \"hi\"\n"'


def test_a_pod_that_reads_no_texts_does_not_carry_them():
    annotations = to_host(KEY, pod(), context())["metadata"]["annotations"]
    assert not {"sublet.dev/labels", "sublet.dev/annotations", "sublet.dev/service-account"} & annotations.keys()


def test_field_paths_of_init_and_ephemeral_containers_are_found():
    spec = {
        "initContainers": [{"name": "i", "env": [env("metadata.uid")]}],
        "ephemeralContainers": [{"name": "e", "env": [env("metadata.name")]}],
        "containers": None,
    }
    assert field_paths(spec) == {"metadata.uid", "metadata.name"}


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("metadata.labels['app']", ("metadata.labels", "app")),
        ("metadata.labels['a[b]c']", ("metadata.labels", "a[b]c")),
        ("metadata.labels['']", ("metadata.labels", "")),
        ("metadata.labels", ("metadata.labels", "")),
        ("']", ("']", "")),
    ],
)
def test_a_subscript_is_split_as_the_kubelet_does(path, parts):
    assert split(path) == parts


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ("plain text", '"plain text"'),
        ("tab\t line\n", r'"tab\t line\n"'),
        ("\a\b\f\r\v", r'"\a\b\f\r\v"'),
        ("\x00\x1f\x7f", r'"\x00\x1f\x7f"'),
        ('back\\slash "q"', r'"back\\slash \"q\""'),
        ("Grüße 世界 🙂", '"Grüße 世界 🙂"'),
        ("\x80\xa0\xad", r'"\u0080\u00a0\u00ad"'),
        ("\u2028\ufeff\ue000", r'"\u2028\ufeff\ue000"'),
        ("\U000e0001\U0010ffff", r'"\U000e0001\U0010ffff"'),
    ],
)
def test_quoting_is_that_of_go(text, quoted):
    assert quote(text) == quoted


def go_quote(text: str) -> str:
    """strconv.Quote by its documentation: unicode.IsPrint is letters, marks, numbers, punctuation, symbols and the space."""
    short = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
    result = ""
    for character in text:
        code = ord(character)
        if code in short:
            result += "\\" + short[code]
        elif character == " " or unicodedata.category(character)[0] in "LMNPS":
            result += character
        elif code < 128:
            result += f"\\x{code:02x}"
        elif code < 0x10000:
            result += f"\\u{code:04x}"
        else:
            result += f"\\U{code:08x}"
    return f'"{result}"'


@given(st.text())
@example("".join(map(chr, range(0x250))))
def test_quoting_follows_its_model(text):
    assert quote(text) == go_quote(text)


@given(st.dictionaries(st.text(alphabet="abcxyz./-", min_size=1), st.text()))
def test_a_formatted_map_is_one_line_for_each_key_in_order(values):
    lines = format_map(values).splitlines() if values else []
    assert [line.partition("=")[0] for line in lines] == sorted(values)

"""What counts as a broken promise."""

from random import Random

from tests.soak.ledger import Ledger, Seen, broken


def ledger():
    return Ledger(
        pods={"pod-1", "pod-2"}, services={"web"}, config_maps={"settings": 7, "unused": 3}, labels={"pod-1": 5}
    )


def seen(**changes):
    kept = {
        "pods": {"pod-1", "pod-2"},
        "services": {"web"},
        "config_maps": {"settings": "7", "unused": "3"},
        "labels": {"pod-1": ("5", "5"), "pod-2": ("", "")},
    }
    return Seen(**{**kept, **changes})


def test_kept_promises_are_nothing_to_tell():
    assert broken(ledger(), seen(), whose="host") == []


def test_a_lost_pod_and_one_that_should_be_gone_are_told_by_name():
    found = broken(ledger(), seen(pods={"pod-1", "pod-3"}), whose="host")

    assert found == ["pod on the host is lost: pod-2", "pod on the host should be gone: pod-3"]


def test_a_lost_service_is_told():
    assert broken(ledger(), seen(services=set()), whose="host") == ["Service on the host is lost: web"]


def test_an_older_content_is_a_lost_update():
    found = broken(ledger(), seen(config_maps={"settings": "6", "unused": "3"}), whose="host")

    assert found == ["ConfigMap settings on the host says 6, not 7"]


def test_a_config_map_that_no_pod_uses_may_be_missing_on_the_host_only():
    used = seen(config_maps={"settings": "7"})

    assert broken(ledger(), used, whose="host", carried=True) == []
    assert broken(ledger(), used, whose="tenant's side") == ["ConfigMap on the tenant's side is lost: unused"]


def test_a_label_without_its_annotation_is_a_lost_update():
    found = broken(ledger(), seen(labels={"pod-1": ("5", "4")}), whose="host")

    assert found == ["pod pod-1 on the host is labelled ('5', '4'), not 5"]


def test_a_name_that_was_taken_is_promised_to_nobody():
    book = ledger()
    taken = {book.take(book.pods, Random(1)), book.take(book.pods, Random(1))}

    assert taken == {"pod-1", "pod-2"}
    assert book.take(book.pods, Random(1)) is None
    assert book.labels == {}

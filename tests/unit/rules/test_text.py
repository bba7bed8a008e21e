"""Messages of the host in the tenant's words."""

from __future__ import annotations

import time

import pytest

from syncer.names import Key, host_name
from syncer.rules.text import to_virtual_text
from tests.unit.rules.pods.samples import KEY, context

LONG = Key("secrets", "shop", "x" * 70)
CUT = host_name(LONG.name, LONG.namespace, "alpha")


@pytest.mark.parametrize(
    ("host", "virtual"),
    [
        ("", ""),
        ("nothing to translate", "nothing to translate"),
        ('secret "db-x-shop-x-alpha" not found', 'secret "db" not found'),
        ("web-0-x-shop-x-alpha.", "web-0."),
        ("pod tenants/web-0-x-shop-x-alpha failed", "pod shop/web-0 failed"),
        ('object "tenants"/"db-x-shop-x-alpha" not registered', 'object "shop"/"db" not registered'),
        ("pod=web-0-x-shop-x-alpha_tenants(uid)", "pod=web-0_shop(uid)"),
        ('name "web-0-x-shop-x-alpha_tenants_uid_0" is reserved', 'name "web-0_shop_uid_0" is reserved'),
        ("db-x-shop-x-alpha and web.v2-x-shop-x-alpha", "db and web.v2"),
        ("tenants/db-x-data-x-alpha", "data/db"),
        ('forbidden in the namespace "tenants"', 'forbidden in the namespace "shop"'),
        ('namespaces "tenants" not found', 'namespaces "shop" not found'),
        (f'secret "{CUT}" not found', f'secret "{LONG.name}" not found'),
        (f"tenants/{CUT}", f"shop/{LONG.name}"),
    ],
)
def test_host_names_are_translated_back(host, virtual):
    assert to_virtual_text(host, KEY, context(), known=[LONG]) == virtual


@pytest.mark.parametrize(
    "text",
    [
        "the tenants are unhappy",
        'Back-off pulling image "tenants/app:1"',
        "db-x-shop-x-beta",
        "db-x-shop-x-alpha-2",
        "namespace tenants-2",
    ],
)
def test_words_that_only_look_similar_are_left_alone(text):
    assert to_virtual_text(text, KEY, context()) == text


def test_a_message_about_a_cluster_wide_object_keeps_its_sense():
    assert to_virtual_text("tenants/db-x-shop-x-alpha", Key("nodes", "", "node-1"), context()) == "shop/db"


def test_a_text_made_to_be_slow_is_not():
    text = "a" + "-x-a" * 3000
    started = time.process_time()
    for _ in range(20):
        assert to_virtual_text(text, KEY, context()) == text
    assert time.process_time() - started < 1

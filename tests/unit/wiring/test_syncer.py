"""A syncer that has just been made: what it refuses, and what can be asked of it before it runs."""

from __future__ import annotations

import pytest

from syncer.kube.credentials import Credentials
from syncer.values import InvalidValue, parse
from syncer.wiring.servers import Ports
from syncer.wiring.syncer import Syncer
from tests.unit.builders import rows
from tests.unit.kube.doubles import NoCredentials
from tests.unit.test_values import LEAST


def syncer(tmp_path, **document):
    ports = Ports(health=0, kubelet=0, admission=0)
    settings = parse({**LEAST, "rules": list(rows()), **document})
    nobody: Credentials = NoCredentials()
    return Syncer(settings, host=nobody, virtual=nobody, pki=tmp_path, pod_ip="192.0.2.1", ports=ports)


async def test_a_syncer_that_has_just_been_made_is_not_ready(tmp_path):
    assert syncer(tmp_path).unready() == "starting"


async def test_figures_can_be_scraped_from_the_start(tmp_path):
    assert b"sublet_queue_depth" in syncer(tmp_path)._scrape()


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"rules": []}, "sync.toHost.pods.enabled"),
        ({"rules": [{"resource": "pods"}]}, r"rules\[0\] \(pods\)"),
        ({"manifests": "kind: Pod"}, r"controlPlane\.coredns"),
    ],
)
async def test_a_document_that_cannot_work_is_refused_before_anything_starts(tmp_path, change, path):
    with pytest.raises(InvalidValue, match=path):
        syncer(tmp_path, **change)

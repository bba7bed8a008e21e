"""Both servers of the syncer and the certificate that they share."""

from __future__ import annotations

from types import SimpleNamespace

from syncer.engine.metrics import Metrics
from syncer.kubelet.upstream import Upstream
from syncer.plan.actions import Side
from syncer.wiring.servers import Ports, Servers
from tests.integration.certificates import Authority
from tests.unit.kube.doubles import NoCredentials


def test_renewed_files_that_do_not_fit_together_yet_are_told_of_and_end_nothing(tmp_path, caplog):
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("syncer", hosts=("localhost",))
    for name, content in {"syncer.crt": certificate, "syncer.key": key, "ca.crt": authority.certificate}.items():
        (tmp_path / name).write_bytes(content.read_bytes())
    servers = Servers(
        SimpleNamespace(metrics=Metrics(), clients={Side.HOST: None, Side.VIRTUAL: None}),  # type: ignore[arg-type]
        pki=tmp_path,
        authority=(tmp_path / "ca.crt").read_bytes,
        ports=Ports(health=0, kubelet=0, admission=0),
        upstream=Upstream(NoCredentials()),
        spawn=lambda _: None,
    )
    (tmp_path / "syncer.crt").write_text("half a pair")
    servers.reload()
    assert caplog.messages
    assert all("renewed certificates cannot be used" in message for message in caplog.messages)

    caplog.clear()
    (tmp_path / "syncer.crt").write_bytes(certificate.read_bytes())
    servers.reload()
    assert caplog.messages == []

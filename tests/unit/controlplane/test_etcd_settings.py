"""etcd's flags as its settings file."""

from __future__ import annotations

import pytest

from syncer.controlplane.etcd_settings import nanoseconds, settings
from syncer.values import InvalidValue


@pytest.mark.parametrize(
    ("flag", "document"),
    [
        ("--data-dir=/data/etcd", {"data-dir": "/data/etcd"}),
        ("--quota-backend-bytes=8589934592", {"quota-backend-bytes": 8589934592}),
        ("--auto-compaction-retention=5m", {"auto-compaction-retention": "5m"}),
        ("--pre-vote=false", {"pre-vote": False}),
        ("--enable-pprof", {"enable-pprof": True}),
        ("-enable-pprof", {"enable-pprof": True}),
        ("--warning-apply-duration=1m0.5s", {"warning-apply-duration": 60_500_000_000}),
        ("--log-outputs=stdout, stderr", {"log-outputs": ["stdout", "stderr"]}),
        ("--cert-file=/tls/a", {"client-transport-security": {"cert-file": "/tls/a"}}),
        ("--peer-client-cert-auth=true", {"peer-transport-security": {"client-cert-auth": True}}),
        ("--peer-cert-allowed-cn=a,b", {"peer-transport-security": {"allowed-cn": ["a", "b"]}}),
        ("--client-cert-allowed-hostname=a", {"client-transport-security": {"allowed-hostname": ["a"]}}),
        ("--socket-reuse-port", {"socket-options": {"reuse-port": True}}),
        ("--feature-gates=A=true,B=false", {"feature-gates": "A=true,B=false"}),
    ],
)
def test_a_flag_is_a_setting_of_its_kind(flag, document):
    assert settings([flag]) == document


def test_the_last_flag_of_a_name_wins_and_sections_are_shared():
    assert settings(["--log-level=warn", "--cert-file=/a", "--key-file=/b", "--log-level=debug"]) == {
        "log-level": "debug",
        "client-transport-security": {"cert-file": "/a", "key-file": "/b"},
    }


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--quota-bakend-bytes=1", "--quota-bakend-bytes is no flag that can be set here"),
        ("--initial-cluster=a", "--initial-cluster is no flag"),
        ("quota-backend-bytes=1", "is no flag"),
        ("--quota-backend-bytes=8Gi", "--name=value"),
        ("--quota-backend-bytes", "--name=value"),
        ("--pre-vote=yes", "neither true nor false"),
        ("--corrupt-check-time=10", "no time with a unit"),
    ],
)
def test_what_etcd_would_not_understand_is_refused_with_the_path_of_the_value(flag, said):
    with pytest.raises(InvalidValue, match=said) as caught:
        settings([flag])
    assert caught.value.path == "controlPlane.backingStore.etcd.deploy.statefulSet.extraArgs"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("0", 0), ("10s", 10**10), ("1h15m30.5s", 4530500000000), ("100ms", 10**8), (".5s", 5 * 10**8), ("3µs", 3000)],
)
def test_a_time_is_read_as_go_writes_it(text, wanted):
    assert nanoseconds(text) == wanted


@pytest.mark.parametrize("text", ["", "s", "10", "10s5", "10 s", "-1s"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="no time with a unit"):
        nanoseconds(text)

"""The ServiceMonitor, and the credential that it uses."""

from tests.chart.rendering import Object, nested, render

ON = nested("controlPlane.serviceMonitor", {"enabled": True, "labels": {"release": "prometheus"}})


def test_nothing_of_it_is_there_by_default():
    rendered = render()
    assert not rendered.of("ServiceMonitor")
    assert [row["secret"] for row in rendered.config["kubeconfigs"]] == ["vc-alpha"]
    assert [port["name"] for port in rendered.get("Service", "alpha-headless")["spec"]["ports"]] == ["https"]


def test_it_selects_the_headless_service_alone():
    rendered = render(ON)
    wanted = rendered.get("ServiceMonitor", "vc-alpha")["spec"]["selector"]["matchLabels"]
    found = [item for item in rendered.of("Service") if wanted.items() <= item["metadata"]["labels"].items()]
    assert [item["metadata"]["name"] for item in found] == ["alpha-headless"]


def test_every_port_that_it_scrapes_is_one_of_that_service():
    rendered = render(ON)
    ports = {port["name"] for port in rendered.get("Service", "alpha-headless")["spec"]["ports"]}
    assert {item["port"] for item in endpoints()} == ports


def test_the_credential_is_a_token_with_rights_on_metrics_and_not_the_admins_certificate():
    (_, metrics) = render(ON).config["kubeconfigs"]
    assert metrics["secret"] == "vc-metrics-alpha"
    assert metrics["serviceAccount"]["clusterRole"] == "system:monitoring"
    secured = [item for item in endpoints() if item["scheme"] == "https"]
    assert {item["authorization"]["credentials"]["name"] for item in secured} == {"vc-metrics-alpha"}
    assert all("insecureSkipVerify" not in item["tlsConfig"] for item in secured)


def test_the_controller_manager_shows_a_certificate_that_the_authority_has_signed():
    assert "--tls-cert-file=/pki/apiserver.crt" in render(ON).container("controller-manager")["command"]
    assert "--tls-cert-file=/pki/apiserver.crt" not in render().container("controller-manager")["command"]


def endpoints() -> list[Object]:
    monitor = render(ON).get("ServiceMonitor", "vc-alpha")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    found: list[Object] = monitor["spec"]["endpoints"]
    return found

"""A cluster called alpha for which the pki command makes keys, and what can be seen of them afterwards."""

from __future__ import annotations

import base64
import datetime as dt

from cryptography import x509

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
SECRETS = "/api/v1/namespaces/team/secrets"
CERTS = f"{SECRETS}/alpha-certs"


def config(**cluster):
    return {
        "cluster": {
            "name": "alpha",
            "namespace": "team",
            "domain": "cluster.local",
            "service": "alpha",
            "owner": {"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-alpha"},
            "workloadServiceAccount": "vc-workload-alpha",
            "store": "database.embedded",
            "serviceCIDR": "",
            "extraSANs": [],
            **cluster,
        },
        "kubeconfigs": [
            {
                "secret": "vc-alpha",
                "namespace": "team",
                "context": "",
                "server": "https://alpha.team.svc",
                "insecure": False,
                "serviceAccount": None,
            }
        ],
    }


def certificate(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def content(api, key="ca.crt", secret=CERTS):
    return base64.b64decode(api.objects[secret]["data"][key])


def names(path):
    alternatives = certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in alternatives}

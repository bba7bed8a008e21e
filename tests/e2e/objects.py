"""Kubernetes objects that end-to-end tests create, each as small as it can be."""

from __future__ import annotations

from typing import Any

from tests.e2e.tenancy import AGNHOST, BUSYBOX, restricted, shell

Object = dict[str, Any]


def plain(kind: str, name: str, *, api: str = "v1", labels: dict[str, str] | None = None, **fields: Any) -> Object:
    """Any object."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels or {}}, **fields}


def service(name: str, *, app: str | None = None, target: int = 8080, **spec: Any) -> Object:
    """A Service on port 80 in front of the pods labelled `app`; without `app` it has no selector."""
    selector = {"selector": {"app": app}} if app else {}
    ports = [{"name": "http", "port": 80, "targetPort": target}]
    return plain("Service", name, spec={**selector, "ports": ports, **spec})


def workload(kind: str, name: str, *containers: Object, pods: Object | None = None, **spec: Any) -> Object:
    """A Deployment, StatefulSet or DaemonSet; `pods` are fields of its pods' spec."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": restricted(*containers, **(pods or {}))}
    return plain(kind, name, api="apps/v1", spec={"selector": {"matchLabels": labels}, "template": template, **spec})


def job(name: str, *containers: Object, **spec: Any) -> Object:
    """A Job whose pods are not started again in place."""
    template = {"metadata": {"labels": {"app": name}}, "spec": restricted(*containers, restartPolicy="Never")}
    return plain("Job", name, api="batch/v1", spec={"template": template, **spec})


def claim(name: str, **spec: Any) -> Object:
    """A claim for 1 MiB of the default storage class."""
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    return plain("PersistentVolumeClaim", name, spec={**wanted, **spec})


def toolbox(**more: Any) -> Object:
    """A container that waits, in an image with curl, dig and tar."""
    return {"name": "tools", "image": AGNHOST, "args": ["pause"], **more}


def patient(**more: Any) -> Object:
    """A busybox container that does nothing and ends at once when told to."""
    return shell("trap exit TERM; sleep infinity & wait", **more)


def probe(script: str, **more: Any) -> Object:
    """A probe that runs a shell script each second."""
    return {"exec": {"command": ["sh", "-c", script]}, "periodSeconds": 1, **more}


__all__ = ["BUSYBOX", "Object", "claim", "job", "patient", "plain", "probe", "service", "toolbox", "workload"]

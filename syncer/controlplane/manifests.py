"""Applies the chart's YAML documents (CoreDNS) in the virtual cluster by server-side apply."""

from __future__ import annotations

import asyncio
import logging

import orjson
import yaml

from syncer.kube.client import Client
from syncer.kube.errors import ApiError, KubeError
from syncer.kube.resource import Resource
from syncer.names import Object
from syncer.values import InvalidValue

log = logging.getLogger(__name__)

_MANAGER = "sublet"
_PAUSE = 0.25
_TRIES = 40


def parse(text: str, *, where: str) -> list[Object]:
    """The objects of a multi-document YAML text. Raises InvalidValue, naming the value `where`."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        documents = [document for document in yaml.load_all(text, Loader=loader) if document]
    except yaml.YAMLError as error:
        raise InvalidValue(where, f"is not YAML: {error}", "mend the manifest") from error
    for document in documents:
        if not isinstance(document, dict) or not document.get("kind") or not document.get("apiVersion"):
            raise InvalidValue(where, "holds a document that is no Kubernetes object", "give it apiVersion and kind")
        metadata = document.get("metadata")
        if not isinstance(metadata, dict) or not metadata.get("name"):
            raise InvalidValue(where, f"holds a {document['kind']} without a name", "give it metadata.name")
    return documents


async def apply(virtual: Client, objects: list[Object]) -> None:
    """Applies the objects in order. A namespace or kind that is not there yet is waited for, for ten seconds."""
    served: dict[str, dict[str, Resource]] = {}
    for obj in objects:
        for attempt in range(_TRIES):
            try:
                await _apply_one(virtual, obj, served)
                break
            except KubeError as error:
                if attempt == _TRIES - 1 or (isinstance(error, ApiError) and error.status == 422):
                    raise
                await asyncio.sleep(_PAUSE)


async def _apply_one(virtual: Client, obj: Object, served: dict[str, dict[str, Resource]]) -> None:
    version, kind, metadata = obj["apiVersion"], obj["kind"], obj["metadata"]
    if kind not in served.get(version, {}):
        served[version] = await _discover(virtual, version)
    resource = served[version].get(kind)
    if resource is None:
        raise ApiError(404, "NotFound", f"the virtual cluster serves no {kind} in {version}")
    namespace = metadata.get("namespace", "default") if resource.namespaced else None
    await virtual.patch(
        resource, namespace, metadata["name"], obj, content_type="apply", field_manager=_MANAGER, force=True
    )


async def _discover(virtual: Client, api_version: str) -> dict[str, Resource]:
    path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    answer = await virtual.raw("GET", path)
    if answer.status != 200:
        raise ApiError.from_status(answer.status, answer.body, answer.headers)
    group, _, version = api_version.rpartition("/")
    return {
        item["kind"]: Resource(group, version, item["name"], item["kind"], namespaced=item["namespaced"])
        for item in orjson.loads(answer.body)["resources"]
        if "/" not in item["name"]
    }

"""Service IPs by admission: the host Service is made while the virtual one is being created, so that both have one IP from the start.

The API server calls this mutating webhook before it allocates an address, for a new Service or for one that was only an external name.
The host's choice goes into the object, the API server takes it, and the tenant never sees a Service deleted and made again. When the
webhook is bypassed (`failurePolicy: Ignore`), the engine's plan for Services sets things right.
"""

from __future__ import annotations

import base64
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

import orjson

from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, ApiError, KubeError
from syncer.kube.resource import Resource
from syncer.kube.watch import reflect
from syncer.names import Key, Object, identify
from syncer.rules import services
from syncer.rules.context import Context
from syncer.rules.table import Rule
from syncer.rules.text import to_virtual_text

log = logging.getLogger(__name__)

PORT = 9443
PATH = "/services"
CONFIGURATIONS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    namespaced=False,
)
NAME = "sublet-services"
_SERVICES = Resource("", "v1", "services", "Service", namespaced=True)
_EXTERNAL = "ExternalName"
_GETS_AN_ADDRESS = (
    f"request.operation == 'CREATE' || oldObject.spec.type == '{_EXTERNAL}' && object.spec.type != '{_EXTERNAL}'"
)
_TIMEOUT = 5

Known = Callable[[Key], bool]
OnHost = Callable[[Key], Object | None]
Promise = Callable[[Key, float], None]
Written = Callable[[Object], None]


def configuration(ca_bundle: bytes, *, port: int = PORT) -> Object:
    """The webhook configuration in the virtual cluster; `ca_bundle` is PEM."""
    return {
        "apiVersion": CONFIGURATIONS.api_version,
        "kind": CONFIGURATIONS.kind,
        "metadata": {"name": NAME},
        "webhooks": [
            {
                "name": "services.sublet.dev",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {
                    "url": f"https://localhost:{port}{PATH}",
                    "caBundle": base64.b64encode(ca_bundle).decode(),
                },
                "failurePolicy": "Ignore",
                "matchPolicy": "Equivalent",
                "reinvocationPolicy": "Never",
                "sideEffects": "NoneOnDryRun",
                "timeoutSeconds": _TIMEOUT,
                # Said though they are defaults, so that it shows when a tenant narrows them.
                "namespaceSelector": {},
                "objectSelector": {},
                "matchConditions": [{"name": "gets-an-address", "expression": _GETS_AN_ADDRESS}],
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["services"],
                        "scope": "Namespaced",
                    }
                ],
            }
        ],
    }


class ServiceAdmission:
    """Answers AdmissionReviews for Services (admission.k8s.io/v1)."""

    def __init__(
        self,
        *,
        host: Client,
        rule: Rule,
        context: Context,
        known: Known,
        on_host: OnHost,
        promise: Promise,
        written: Written,
    ) -> None:
        self._host = host
        self._rule = rule
        self._context = context
        self._known = known
        self._on_host = on_host
        self._promise = promise
        self._written = written

    async def review(self, body: bytes) -> bytes:
        """The answer to one AdmissionReview; both are JSON."""
        request = orjson.loads(body)["request"]
        response: Object = {"uid": request["uid"], "allowed": True}
        try:
            operations = await self._decide(request)
            if operations:
                response |= {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(operations)).decode()}
        except ApiError as error:
            # What the tenant asked for by hand, the host cannot give: say so as a real cluster would.
            key = Key(self._rule.key, request.get("namespace", ""), request.get("name", ""))
            message = to_virtual_text(error.message, key, self._context)
            response |= {"allowed": False, "status": {"code": error.status, "reason": error.reason, "message": message}}
        except KubeError as error:
            log.warning("a Service is admitted without the host's address", extra={"error": str(error)})
        return orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

    async def _decide(self, request: Object) -> list[Object]:
        virtual = request["object"]
        metadata = virtual.get("metadata") or {}
        name, namespace = metadata.get("name") or "", request.get("namespace") or ""
        key = Key(self._rule.key, namespace, name)
        if request.get("dryRun") or not name or (namespace, name) == services.KUBERNETES:
            return []
        new = request.get("operation") != "UPDATE"
        if not services.has_address(virtual) or (new and self._known(key)):
            # No address to agree on, or the API server is about to answer AlreadyExists.
            return []
        self._promise(key, services.PROMISE)
        named = {**virtual, "metadata": {**virtual["metadata"], "namespace": key.namespace, "name": key.name}}
        body = services.with_address(services.to_host(self._rule, key, named, self._context), named)
        host = self._on_host(key) or await self._made(key, body, virtual)
        if host is not None and not new:
            host = await self._addressed(host, body, virtual)
        if host is None or not services.has_address(host):
            return []
        self._written(host)
        return operations(virtual, host)

    async def _made(self, key: Key, body: Object, virtual: Object) -> Object | None:
        try:
            return await self._host.create(_SERVICES, body, namespace=self._context.host_namespace)
        except AlreadyExists:
            return await self._existing(key, body["metadata"]["name"])
        except ApiError as error:
            _bear(error, virtual)
            return None

    async def _addressed(self, host: Object, body: Object, virtual: Object) -> Object | None:
        """The host Service as one with an address, if it has been an external name so far."""
        if services.has_address(host):
            return host
        spec = {**body["spec"], "externalName": None}
        try:
            return await self._host.patch(
                _SERVICES, self._context.host_namespace, host["metadata"]["name"], {"spec": spec}
            )
        except ApiError as error:
            _bear(error, virtual)
            return None

    async def _existing(self, key: Key, name: str) -> Object | None:
        with contextlib.suppress(ApiError):  # it vanished meanwhile, say: the engine will find an address
            found = await self._host.get(_SERVICES, self._context.host_namespace, name)
            if identify(found, self._rule.key, self._context.cluster) == key:
                return found
        return None


def _bear(error: ApiError, virtual: Object) -> None:
    """Notes that the host refused a Service; raises what it said when that is about something the tenant asked for by hand."""
    asked = virtual["spec"]
    by_hand = asked.get("clusterIP") or any(port.get("nodePort") for port in asked.get("ports") or ())
    if by_hand and error.status == 422:
        raise error
    log.warning("the host refused a Service", extra={"service": virtual["metadata"].get("name"), "error": str(error)})


def operations(virtual: Object, host: Object) -> list[Object]:
    """The JSON patch that gives the Service what the host allocated."""
    given = services.allocations(host)
    if not given.get("clusterIP"):
        return []
    patch = [
        {"op": "add", "path": "/spec/clusterIP", "value": given["clusterIP"]},
        {"op": "add", "path": "/spec/clusterIPs", "value": [given["clusterIP"]]},
    ]
    if given.get("healthCheckNodePort"):
        patch.append({"op": "add", "path": "/spec/healthCheckNodePort", "value": given["healthCheckNodePort"]})
    for number, port in enumerate(services.ports_as_on_host(virtual, host)):
        if port.get("nodePort"):
            patch.append({"op": "add", "path": f"/spec/ports/{number}/nodePort", "value": port["nodePort"]})
    return patch


async def ensure(virtual: Client, wanted: Object) -> None:
    """Creates the webhook configuration, or puts it back as it should be."""
    try:
        await virtual.create(CONFIGURATIONS, wanted)
    except AlreadyExists:
        await virtual.patch(CONFIGURATIONS, None, NAME, {"webhooks": wanted["webhooks"]})


async def keep(virtual: Client, wanted: Object, spawn: Callable[[Awaitable[None]], None]) -> NoReturn:
    """Watches the configuration and puts it back whenever a tenant has changed it."""

    async def restore() -> None:
        log.warning("the admission webhook was changed in the virtual cluster and is put back")
        with contextlib.suppress(KubeError):
            await ensure(virtual, wanted)

    await reflect(virtual, CONFIGURATIONS, Guard(wanted, restore, spawn), field_selector=f"metadata.name={NAME}")


class Guard:
    """Sink of the watch on our webhook configuration: has it restored when a tenant changed or removed it."""

    def __init__(
        self, wanted: Object, restore: Callable[[], Awaitable[None]], spawn: Callable[[Awaitable[None]], None]
    ) -> None:
        self._wanted = wanted
        self._restore = restore
        self._spawn = spawn
        self._seen = False

    def begin(self) -> None:
        """A list starts."""
        self._seen = False

    def put(self, obj: Object) -> None:
        """The configuration as listed."""
        self.changed(obj)

    def end(self) -> None:
        """The list is complete; without the configuration in it, it is gone."""
        if not self._seen:
            self._spawn(self._restore())

    def bookmark(self, resource_version: str) -> None:
        """Nothing to remember."""

    def changed(self, obj: Object) -> None:
        """Compares what we set with what is there; defaults that the API server added do not count."""
        self._seen = True
        hooks = obj.get("webhooks") or []
        wanted = self._wanted["webhooks"][0]
        if len(hooks) != 1 or any((hooks[0].get(name) or None) != (value or None) for name, value in wanted.items()):
            self._spawn(self._restore())

    def deleted(self, obj: Object) -> None:
        """Somebody removed it."""
        self._spawn(self._restore())

"""An API server that is a dictionary: enough of GET, POST, PATCH (merge) and DELETE for single objects, with resourceVersions."""

from __future__ import annotations

from collections.abc import Callable

from syncer.kube.client import Client
from syncer.kube.transport import Response
from syncer.names import Object
from tests.unit.builders import merged
from tests.unit.kube.doubles import MockTransport, NoCredentials, Request, answer, refusal


class MemoryApi:
    """`objects` by path. `before` is called with each request and may change them, or answer in their place."""

    def __init__(self, *, namespaces: frozenset[str] | None = None) -> None:
        self.objects: dict[str, Object] = {}
        self.before: Callable[[Request], Response | None] = lambda request: None
        self.transport = MockTransport(self._handle)
        self.client = Client(self.transport, NoCredentials(), name="memory")
        self._namespaces = namespaces
        self._version = 0

    @property
    def writes(self) -> list[str]:
        """Method and path of all requests that change something."""
        return [f"{request.method} {request.path}" for request in self.transport.requests if request.method != "GET"]

    def put(self, path: str, obj: Object) -> Object:
        """Stores an object without a request."""
        self._version += 1
        metadata = {**obj.get("metadata", {}), "resourceVersion": str(self._version)}
        metadata.setdefault("name", path.rpartition("/")[2])
        metadata.setdefault("uid", f"uid-{self._version}")
        if path.startswith("/api/v1/namespaces/") and path.count("/") > 4:
            metadata["namespace"] = path.split("/")[4]
        self.objects[path] = {**obj, "metadata": metadata}
        return self.objects[path]

    def _handle(self, request: Request) -> Response:
        intercepted = self.before(request)
        if intercepted is not None:
            return intercepted
        if request.method == "POST":
            return self._create(request)
        found = self.objects.get(request.path)
        if found is None:
            return refusal(404, "NotFound", f"{request.path} not found")
        if request.method == "DELETE":
            del self.objects[request.path]
        if request.method != "PATCH":
            return answer(found)
        expected = request.json.get("metadata", {}).get("resourceVersion")
        if expected not in (None, found["metadata"]["resourceVersion"]):
            return refusal(409, "Conflict")
        return answer(self.put(request.path, merged(found, request.json)))

    def _create(self, request: Request) -> Response:
        parts = request.path.split("/")
        if parts[3] == "namespaces" and len(parts) > 4 and self._namespaces is not None:
            known = parts[4] in self._namespaces or f"/api/v1/namespaces/{parts[4]}" in self.objects
            if not known:
                return refusal(404, "NotFound", f'namespaces "{parts[4]}" not found')
        path = f"{request.path}/{request.json['metadata']['name']}"
        if path in self.objects:
            return refusal(409, "AlreadyExists")
        return answer(self.put(path, request.json), 201)

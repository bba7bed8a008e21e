"""Containers of every kind: environment and image.

Variables that the pod's author set win over added ones, as on a real cluster. What comes by `envFrom` should win too, but cannot be
known here and explicit variables would override it; so such a container gets the plain service variables only, not the Docker-style
ones (`REDIS_PORT=tcp://...`), whose names people like to use for their own settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from syncer.names import Object
from syncer.rules.context import Context
from syncer.rules.pods import downward, environment
from syncer.rules.pods.references import ENV_FROM_SOURCES, ENV_SOURCES, items, with_host_names

Translate = Callable[[Object], Object]


def step(spec: Object, pod: Object, context: Context) -> Object:
    """The step that translates all containers. Ephemeral ones cannot be created with a pod; they follow later."""
    translate = translator(pod, context)
    fields: Object = {
        name: [translate(container) for container in spec[name]]
        for name in ("initContainers", "containers")
        if spec.get(name)
    }
    return {**fields, "ephemeralContainers": None, "enableServiceLinks": False}


def translator(pod: Object, context: Context) -> Translate:
    """A function that translates one container of the pod."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    images = context.settings.pods.translate_image
    api = environment.api_variables(context)
    plain: dict[str, str] = {}
    links: dict[str, str] = {}
    if spec.get("enableServiceLinks") is not False:
        count = len(items(spec.get("initContainers"))) + len(items(spec.get("containers")))
        plain, links = environment.service_variables(namespace, context, containers=count)
    some = _variables({**plain, **api})
    every = _variables({**plain, **links, **api}) if links else some

    def translate(container: Object) -> Object:
        env_from = container.get("envFrom")
        result = {**container, "env": _env(container, some if env_from else every, namespace, context)}
        if container.get("image") in images:
            result["image"] = images[container["image"]]
        if env_from:
            result["envFrom"] = [with_host_names(source, ENV_FROM_SOURCES, namespace, context) for source in env_from]
        return result

    return translate


def _variables(values: Mapping[str, str]) -> dict[str, Object]:
    return {name: {"name": name, "value": value} for name, value in values.items()}


def _env(container: Object, added: Mapping[str, Object], namespace: str, context: Context) -> list[Object]:
    own = [_variable(variable, namespace, context) for variable in items(container.get("env"))]
    taken = {variable.get("name") for variable in own}
    # First, so that the author's own variables can refer to them as $(NAME).
    return [variable for name, variable in added.items() if name not in taken] + own


def _variable(variable: Object, namespace: str, context: Context) -> Object:
    source = variable.get("valueFrom")
    if not source:
        return variable
    if source.get("fieldRef"):
        return {**variable, "valueFrom": {**source, "fieldRef": downward.field_ref(source["fieldRef"], context)}}
    renamed = with_host_names(source, ENV_SOURCES, namespace, context)
    return variable if renamed is source else {**variable, "valueFrom": renamed}

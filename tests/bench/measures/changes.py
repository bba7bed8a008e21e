"""How long other changes take to cross: a ConfigMap's content and a Service to the host, a pod's status from it."""

from __future__ import annotations

import time
from collections import defaultdict

from tests.bench.bench import Bench
from tests.bench.targets import Target
from tests.bench.watching import View, views
from tests.bench.workload import CONFIG_MAPS, PODS, SERVICES, config_map, fake_pod, marker, service

_CONFIG = "settings"


async def changes(bench: Bench) -> None:
    """All three, in turns between the targets. For the bare host, seen is what its own watch shows."""
    samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    async with views(bench.targets, PODS) as pods, views(bench.targets, CONFIG_MAPS) as maps:
        users = {target.name: await _user_of_config(target, pods[target.name]) for target in bench.targets}
        for _ in range(bench.sizes.changes):
            for target in bench.targets:
                edit = await _edit(target, maps[target.name])
                samples["configmap"][target.name].append(edit)
                samples["service"][target.name].append(await _serve(target))
                seen = await _tell(target, pods[target.name], users[target.name])
                samples["status"][target.name].append(seen)
        for target in bench.targets:
            await target.delete(users[target.name])
            await target.client.delete(CONFIG_MAPS, target.space, _CONFIG)
    for measure, values in samples.items():
        bench.record_latencies(f"changes.{measure}", "", values)


async def _user_of_config(target: Target, view: View) -> str:
    """A running pod that uses the ConfigMap, so that this has to be on the host."""
    mark = marker()
    await target.client.create(CONFIG_MAPS, config_map(_CONFIG, marker()), namespace=target.space)
    await target.client.create(PODS, fake_pod(mark, config=_CONFIG), namespace=target.space)
    await view.inside.when(mark, "running")
    return mark


async def _edit(target: Target, view: View) -> float:
    """Seconds from the acknowledged edit until the host shows it."""
    mark = marker()
    await target.client.patch(CONFIG_MAPS, target.space, _CONFIG, {"data": {"MARKER": mark}})
    accepted = time.perf_counter()
    return await view.outside.when(mark, "there") - accepted


async def _serve(target: Target) -> float:
    """Seconds that the creation takes; its answer has the address, which is the host's as soon as it is given."""
    mark = marker()
    began = time.perf_counter()
    created = await target.client.create(SERVICES, service(mark), namespace=target.space)
    taken = time.perf_counter() - began
    assert created["spec"]["clusterIP"], "a Service without an address"
    await target.client.delete(SERVICES, target.space, mark)
    return taken


async def _tell(target: Target, view: View, user: str) -> float:
    """Seconds from the acknowledged change of the host pod's status until the target shows it."""
    mark = marker()
    await report(target, view.outside.names[user], mark)
    accepted = time.perf_counter()
    return await view.inside.when(mark, "there") - accepted


async def report(target: Target, host_pod: str, mark: str) -> None:
    """Does on the host what a kubelet does: says something in a pod's status."""
    status = {"status": {"message": mark}}
    await target.host.patch(PODS, target.host_namespace, host_pod, status, subresource="status")

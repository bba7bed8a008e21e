"""Machine-wide kernel settings that the lab changes while it runs, and gives back at `down`.

The kubelet sets most of these by itself at its start and never undoes it; the inotify limits are raised because every kubelet,
containerd and watching container takes from the same small allowance.
"""

from __future__ import annotations

import json
from pathlib import Path

from lab import layout

_SET_BY_KUBELET = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_AT_LEAST = {"fs/inotify/max_user_instances": 8192, "fs/inotify/max_user_watches": 524288}


def prepare() -> None:
    """Notes the present values, unless that was done before, and raises the limits."""
    record = _record()
    if not record.exists():
        record.parent.mkdir(parents=True, exist_ok=True)
        present = [name for name in (*_SET_BY_KUBELET, *_AT_LEAST) if _file(name).exists()]
        values = {name: _file(name).read_text().strip() for name in present}
        record.write_text(json.dumps(values))
    for name, least in _AT_LEAST.items():
        if int(_file(name).read_text()) < least:
            _file(name).write_text(str(least))


def restore() -> None:
    """Gives every setting the value it had before the lab started."""
    record = _record()
    if record.exists():
        for name, value in json.loads(record.read_text()).items():
            if _file(name).read_text().strip() != value:
                _file(name).write_text(value)
        record.unlink()


def _record() -> Path:
    return layout.RUN / "sysctls.json"


def _file(name: str) -> Path:
    return Path("/proc/sys") / name

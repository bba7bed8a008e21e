"""What is known of one kind on one side, kept small.

An object is kept as compressed JSON without managedFields (about 2 KiB for a pod, where parsed it would take 30), and unpacked for
each look: 40 microseconds, against a write that takes milliseconds. Bytes are also invisible to the garbage collector.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from syncer.names import Key, Object

Identify = Callable[[Object], Key | None]
"""Which virtual object an object is, or stands for; None = not ours."""

Changed = Callable[[Key, Object | None, Object | None, bool], None]
"""Called after a change: key, the object or None when gone, the last state of a gone object, whether we wrote it ourselves."""


@dataclass(slots=True)
class Entry:
    """One object, packed."""

    uid: str
    version: str
    packed: bytes


def is_newer(version: str, than: str) -> bool:
    """Whether a resourceVersion is newer. Versions that are no decimal numbers count as newer when they differ (KEP-5504)."""
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than


class Index:
    """Objects of one kind on one side, by virtual key. It is the sink of that kind's watch."""

    def __init__(self, identify: Identify, changed: Changed) -> None:
        self._identify = identify
        self._changed = changed
        self._entries: dict[Key, Entry] = {}
        self._by_name: dict[str, Key] = {}
        self._listed: set[Key] | None = None
        self._seen = ""
        self.synced = asyncio.Event()
        """Set once the first complete list is in."""

    def get(self, key: Key) -> Object | None:
        """A fresh copy of the object."""
        entry = self._entries.get(key)
        return None if entry is None else orjson.loads(zlib.decompress(entry.packed))

    def version(self, key: Key) -> str:
        """The object's resourceVersion, empty when there is none."""
        entry = self._entries.get(key)
        return "" if entry is None else entry.version

    def uid(self, key: Key) -> str:
        """The object's uid, empty when there is none."""
        entry = self._entries.get(key)
        return "" if entry is None else entry.uid

    def find(self, name: str) -> Key | None:
        """The key of the object that has this name on this index's own side; meant for host indexes, where names are unique."""
        return self._by_name.get(name)

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Key]:
        """All keys, safe against changes while iterating."""
        return iter(tuple(self._entries))

    def begin(self) -> None:
        """A complete list follows."""
        self._listed = set()

    def put(self, obj: Object) -> None:
        """An object of a list. The list is the truth, also when it is older than what was known (a restored store)."""
        key = self._key_of(obj)
        if key is None:
            return
        if self._listed is not None:
            self._listed.add(key)
        entry = self._entries.get(key)
        if entry is None or entry.version != obj["metadata"]["resourceVersion"]:
            self._store(key, obj, own=False)

    def end(self) -> None:
        """The list is complete: what it did not name is gone."""
        listed, self._listed = self._listed or set(), None
        for key in self:
            if key not in listed:
                self._remove(key, last=None)
        self.synced.set()

    def changed(self, obj: Object) -> None:
        """A watch says that the object was added or modified."""
        self._seen = obj["metadata"]["resourceVersion"]
        self._accept(obj, own=False)

    def written(self, obj: Object) -> None:
        """Our own write was answered with this state; the watch's echo of it will be dropped.

        A watch tells everything in order. An unknown object that is older than what the watch has told is therefore one that it
        has already reported gone: the answer came late.
        """
        key = self._key_of(obj)
        if key in self._entries or is_newer(obj["metadata"]["resourceVersion"], self._seen):
            self._accept(obj, own=True)

    def removed(self, name: str, *, uid: str) -> None:
        """Our own DELETE was answered with the object's end; like `find`, meant for host indexes."""
        key = self.find(name)
        if key is not None and self.uid(key) == uid:
            self._remove(key, last=None)

    def deleted(self, obj: Object) -> None:
        """A watch says that the object is gone (or has lost our label); `obj` is its last state."""
        self._seen = obj["metadata"]["resourceVersion"]
        key = self._key_of(obj)
        entry = self._entries.get(key) if key is not None else None
        if key is not None and entry is not None and entry.uid == obj["metadata"]["uid"]:
            self._remove(key, last=obj)

    def bookmark(self, resource_version: str) -> None:
        """All changes up to this version have been told."""
        self._seen = resource_version

    def _key_of(self, obj: Object) -> Key | None:
        """The object's key, also when somebody has taken off the marks of one that was known: they are to be put back."""
        key = self._identify(obj)
        if key is None:
            known = self._by_name.get(obj["metadata"]["name"])
            entry = self._entries.get(known) if known is not None else None
            key = known if entry is not None and entry.uid == obj["metadata"]["uid"] else None
        return key

    def _accept(self, obj: Object, *, own: bool) -> None:
        key = self._key_of(obj)
        if key is None:
            return
        if self._listed is not None:
            self._listed.add(key)
        entry = self._entries.get(key)
        if entry is None or is_newer(obj["metadata"]["resourceVersion"], entry.version):
            self._store(key, obj, own=own)

    def _store(self, key: Key, obj: Object, *, own: bool) -> None:
        metadata = obj["metadata"]
        metadata.pop("managedFields", None)
        self._entries[key] = Entry(metadata["uid"], metadata["resourceVersion"], zlib.compress(orjson.dumps(obj), 1))
        self._by_name[metadata["name"]] = key
        self._changed(key, obj, None, own)

    def _remove(self, key: Key, *, last: Object | None) -> None:
        if last is None:
            last = self.get(key)
        del self._entries[key]
        if last is not None:
            self._by_name.pop(last["metadata"]["name"], None)
        self._changed(key, None, last, False)

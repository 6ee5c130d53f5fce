"""What a vendor holds: objects by kind and key, the vendor's own ids for them, and indexes over the fields looked up so far."""
import collections


class Objects:
    def __init__(self):
        self.kept = collections.defaultdict(dict)  # kind -> key -> fields
        self.last_number, self._ids, self._keys = 0, {}, {}  # (kind, key) -> id and back
        self._indexes = collections.defaultdict(dict)  # kind -> field -> text of a value -> keys

    def store(self, kind, key, fields):
        """Merges fields into an object; None clears one. Returns (object, whether it is new)."""
        table = self.kept[kind]
        new = key not in table
        held = table.setdefault(key, {})
        indexes = self._indexes[kind]
        for name, value in fields.items():
            if name in indexes and name in held:
                indexes[name].get(str(held[name]), {}).pop(key, None)
            if value is None:
                held.pop(name, None)
                continue
            held[name] = value
            if name in indexes:
                indexes[name].setdefault(str(value), {})[key] = None
        return held, new

    def keys_with(self, kind, field, values):
        """The keys of the objects whose field has one of the values (compared as texts), in the order of the values."""
        index = self._indexes[kind].get(field)
        if index is None:
            index = self._indexes[kind][field] = {}
            for key, held in self.kept[kind].items():
                if field in held:
                    index.setdefault(str(held[field]), {})[key] = None
        return [key for value in dict.fromkeys(map(str, values)) for key in index.get(value, ())]

    def drop(self, kind, key):
        """Removes an object and its id; False when there was none."""
        self._keys.pop((kind, self._ids.pop((kind, key), None)), None)
        held = self.kept[kind].pop(key, None)
        for name, index in self._indexes[kind].items() if held else ():
            index.get(str(held.get(name)), {}).pop(key, None)
        return held is not None

    def append(self, kind, fields):
        """Keeps something that has no key, an event, under its running number."""
        self.kept[kind][len(self.kept[kind]) + 1] = fields

    def make_id(self, _kind, number):
        return str(number)

    def id_of(self, kind, key):
        """The vendor's own id of an object, given when it is first asked for."""
        if (kind, key) not in self._ids:
            self.last_number += 1
            number = self.make_id(kind, self.last_number)
            self._ids[(kind, key)], self._keys[(kind, number)] = number, key
        return self._ids[(kind, key)]

    def key_with_id(self, kind, number):
        return self._keys.get((kind, number))

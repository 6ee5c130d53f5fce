"""Members of audiences, segments and lists that are known by identifiers instead of a key.

A member stands under its strongest identifier, the first of `strong` that it has. A removal finds it by that, or else by
any strong identifier it was added with.
"""


class Audiences:
    def __init__(self, vendor, strong):
        self.vendor, self.strong = vendor, strong
        self._index = {}  # (kind, identifier name, value) -> key

    def key(self, member):
        for name in self.strong:
            if member.get(name):
                return member[name]
        return "|".join(f"{name}={member[name]}" for name in sorted(member))

    def add(self, kind, member):
        key = self.key(member)
        self.vendor.kept[kind][key] = member
        for name in self.strong:
            if member.get(name):
                self._index[(kind, name, member[name])] = key

    def remove(self, kind, member):
        table, key = self.vendor.kept[kind], self.key(member)
        if table.pop(key, None) is not None:
            return True
        for name in self.strong:
            key = self._index.get((kind, name, member[name])) if member.get(name) else None
            if key in table and table[key].get(name) == member[name]:  # it may have another address by now
                del table[key]
                return True
        return False

    def replace(self, kind, members):
        self.vendor.kept[kind] = {}
        for member in members:
            self.add(kind, member)


def refused(vendor, values):
    """Whether the test refuses one of these identifiers, named as sent or, where the texts are known, in clear."""
    for value in values:
        clear = next((table[value] for table in vendor.known_hashes.values() if value in table), None)
        plan = vendor.refusal(value) or (clear is not None and vendor.refusal(clear))
        if plan:
            return plan
    return None

"""The fake vendors of one test: a thread with an event loop, one listening port on 127.0.0.1 for each vendor."""
import asyncio
import importlib
import threading

from .http import Connection
from .vendor import Vendor

NAMES = ("hubspot", "salesforce", "meta", "google", "tiktok", "linkedin", "klaviyo", "braze", "customerio", "iterable",
         "mailchimp", "marketo", "intercom", "zendesk", "segment", "mixpanel", "amplitude", "slack", "airtable")


def vendor_class(name):
    assert name in NAMES, f"no vendor {name}: {', '.join(NAMES)}"
    module = importlib.import_module(f".{name}", __package__)
    return next(c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Vendor) and c.NAME == name)


class Vendors:
    """add() starts a vendor; violations of all of them are in one list."""

    def __init__(self):
        self.lock = threading.RLock()
        self.violations = []
        self.by_alias = {}
        self._servers = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def add(self, name, alias=None, port=0, **settings):
        """Starts a vendor under its name, or under an alias where a test needs two of them."""
        alias = alias or name
        assert alias not in self.by_alias, f"there is a vendor {alias} already"
        vendor = vendor_class(name)(self, alias, settings)
        server = self._await(self._listen(vendor, port))
        vendor.port = server.sockets[0].getsockname()[1]
        self._servers.append(server)
        self.by_alias[alias] = vendor
        return vendor

    def __getitem__(self, alias):
        return self.by_alias[alias]

    def objects(self, alias, kind):
        return self.by_alias[alias].objects(kind)

    def violations_of(self, *kinds):
        return [v for v in self.violations if v.kind in kinds]

    def assert_clean(self):
        """Nothing was malformed, no limit exceeded, no record in two requests at once."""
        assert self.violations == [], f"{len(self.violations)}: {self.violations[:5]}"
        for vendor in self.by_alias.values():
            assert not vendor.overlaps, f"{vendor.alias}: records in two requests at once: {vendor.overlaps[:5]}"

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        for server in self._servers:
            server.close()
        for vendor in self.by_alias.values():
            for connection in list(vendor.connections):
                connection.transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_reason):
        self.close()

    async def _listen(self, vendor, port):
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Connection(vendor), "127.0.0.1", port, backlog=512)

    def _await(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

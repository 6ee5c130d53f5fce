"""Starts fake vendors by hand: python3 -m tests.harness.vendors hubspot=8101 braze=8102 hubspot.token=pat-1"""
import argparse
import ast
import collections
import signal

from .server import NAMES, Vendors


def value_of(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def main():
    parser = argparse.ArgumentParser(prog="python3 -m tests.harness.vendors", description=__doc__,
                                     epilog="GET /_objects, /_objects/KIND, /_violations show what a vendor holds and saw.")
    parser.add_argument("words", nargs="+", metavar="VENDOR[=PORT] | VENDOR.SETTING=VALUE", help=f"one of {', '.join(NAMES)}")
    ports, settings = {}, collections.defaultdict(dict)
    for word in parser.parse_args().words:
        name, _, value = word.partition("=")
        vendor, dot, setting = name.partition(".")
        if vendor not in NAMES:
            parser.error(f"no vendor {vendor}: {', '.join(NAMES)}")
        if dot:
            settings[vendor][setting] = value_of(value)
        else:
            ports[vendor] = int(value or 0)
    ending = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)  # before the server's thread starts, so that sigwait gets them
    with Vendors() as vendors:
        for name, port in ports.items():
            vendor = vendors.add(name, port=port, **settings[name])
            print(f"{name}: {vendor.url}" + (f"  tokens: {vendor.token_url}" if vendor.TOKEN_PATH else ""), flush=True)
        signal.sigwait(ending)
        for violation in vendors.violations:
            print(violation)


main()

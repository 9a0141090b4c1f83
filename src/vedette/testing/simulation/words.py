"""What the services log and what people write in tickets."""

from collections.abc import Mapping
from typing import Final

#: Kind of a service -> (OpenTelemetry severity number, line). A field in braces is filled anew in each line.
ROUTINE: Final[Mapping[str, tuple[tuple[int, str], ...]]] = {
    "web": (
        (9, "GET /{page} 200 {ms} ms user={number}"),
        (9, "POST /{page} 201 {ms} ms user={number} bytes={number}"),
        (9, "session {hex} opened for user={number} from {address}"),
        (5, "cache holds {number} keys, {percent} % of lookups hit"),
    ),
    "queue": (
        (9, "order {number} taken from partition {few} at offset {number}"),
        (9, "order {number} handled in {ms} ms"),
        (5, "committed offset {number} of partition {few}"),
        (13, "order {number} put back, attempt {few}"),
    ),
    "database": (
        (9, "connection received: host={address} port={port}"),
        (9, "checkpoint complete: wrote {number} buffers ({percent} %) in {ms} ms"),
        (9, "duration: {ms} ms statement {hex}"),
        (5, "automatic vacuum of table {page}: {number} rows removed"),
    ),
}
#: The same of requests that fail.
GRAVE: Final[Mapping[str, tuple[tuple[int, str], ...]]] = {
    "web": (
        (17, "request {hex} failed: upstream timed out after {ms} ms"),
        (17, "GET /{page} 500 {ms} ms user={number}"),
        (13, "retrying request {hex}, attempt {few}"),
    ),
    "queue": (
        (17, "order {number} failed: broker {address} closed the connection"),
        (17, "cannot commit offset {number} of partition {few}: not the leader"),
    ),
    "database": (
        (17, "could not serialize access of process {number} to table {page}"),
        (18, "remaining connection slots are reserved, refused host={address}"),
    ),
}
PAGES: Final = ("cart", "catalogue", "profile", "orders", "prices", "stock", "reviews", "invoices")

#: Kind of a happening -> the alert that fires for it, its severity, and how far into the happening it fires.
ALERTS: Final[Mapping[str, tuple[str, str, float]]] = {
    "outage": ("ServiceDown", "critical", 0.0),
    "latency": ("LatencyHigh", "warning", 0.0),
    "error_burst": ("ErrorsHigh", "warning", 0.0),
    "leak": ("MemoryHigh", "warning", 0.85),
    "disk_full": ("DiskAlmostFull", "critical", 0.9),
}
#: Alerts that fire now and then and mean nothing.
FALSE_ALARMS: Final = ("CpuHigh", "ProbeFailed", "ClockSkew")

#: Kind of a happening -> topic of the tickets that it causes, and how many an hour.
COMPLAINTS: Final[Mapping[str, tuple[str, float]]] = {
    "outage": ("outage", 4.0),
    "latency": ("performance", 2.0),
    "error_burst": ("errors", 1.0),
}
#: Topics of every day, in the order of how often they come up.
EVERYDAY: Final = ("access", "billing", "howto", "hardware")
#: Topic -> how people put it. `{service}` is the service, `{page}` and `{number}` are filled anew in each ticket.
TICKETS: Final[Mapping[str, tuple[str, ...]]] = {
    "access": (
        "Cannot log in to {service}, my password is refused since this morning",
        "Please give user {number} access to {service}",
        "Account {number} is locked after three attempts",
        "New colleague needs permission to see {page} in {service}",
        "Login code for {service} never arrives on my phone",
    ),
    "billing": (
        "Invoice {number} was charged twice",
        "Refund for order {number} has not arrived",
        "Wrong tax on invoice {number}, please correct",
        "The price in {page} differs from the one on the invoice",
    ),
    "howto": (
        "How do I export {page} from {service} to a spreadsheet?",
        "Where can I change the address in {page}?",
        "Is there a way to see last year's {page}?",
        "Question: what does status {number} mean in {service}?",
    ),
    "hardware": (
        "Printer {number} on the second floor is jammed again",
        "Laptop {number} does not charge any more",
        "Screen flickers at desk {number}",
        "Badge reader {number} at the entrance is broken",
    ),
    "outage": (
        "{service} is down, nobody here can work",
        "{service} does not open at all, only an error page",
        "Nothing works since {number}: {service} unreachable",
        "We cannot reach {page}, is {service} offline?",
    ),
    "performance": (
        "{service} is terribly slow today, {page} takes {number} seconds",
        "{page} in {service} takes ages to load",
        "Everything hangs when I open {page}",
        "Very long waiting times in {service}",
    ),
    "errors": (
        "Sometimes I get error {number} when I save {page}",
        "Saving {page} in {service} fails every few tries",
        "Error {number} in {service}, worked on the second attempt",
    ),
}

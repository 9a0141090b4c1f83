"""Receivers and codecs: bytes of many dialects become columns, are checked and redacted, and only then reach the log.

A codec is a function from bytes and the time to a `Delivery`; it raises `BadRecord` where a body can never be taken, and
sets aside single records that cannot. A receiver reads bytes within bounds, asks a codec, and hands what comes out to
`Intake`, the one door to the log: it redacts, waits until the delivery is durable, and only then lets the sender go.
So a 2xx is a promise, a 503 is an invitation to come back, and a 4xx names the field and the position that were wrong.
"""

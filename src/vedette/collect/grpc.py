"""OTLP over gRPC: the same decoders as on HTTP, since the handlers are given the bytes of the wire.

Needs the extra `grpc`. Specification: opentelemetry.io/docs/specs/otlp, "OTLP/gRPC".
"""

import hmac
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from vedette.collect.http import OtlpDecoder
from vedette.collect.intake import Intake
from vedette.collect.limits import Limits
from vedette.collect.otlp_answers import export_response, retry_status
from vedette.collect.room import Room, until
from vedette.core.errors import BadRecord, ConfigError, Transient
from vedette.core.ports import Clock

if TYPE_CHECKING:
    import grpc

SOURCE: Final = "otlp"
#: Calls that are served at once, each with a message of `body_bytes` at most; the next are refused with RESOURCE_EXHAUSTED.
CALLS: Final = 8
CLOSE_SECONDS: Final = 5.0

_SERVICE: Final = "opentelemetry.proto.collector.{0}.v1.{1}Service"

Export = Callable[[bytes, Any], Awaitable[bytes]]


class OtlpGrpc:
    """Serves `MetricsService/Export` and `LogsService/Export` while it is entered.

    A call returns OK once its records are durable. UNAVAILABLE with `RetryInfo` means: send the very same again.
    INVALID_ARGUMENT means: never; the message names the field and the position. Single records that were refused are told in
    `partial_success`, as on HTTP.

    Args:
        address: `HOST:PORT`; of port 0 the system chooses one, which `port` then tells.
        intake: the door to the log.
        metrics, logs: decoders of the two kinds of request.
        limits: a message is `body_bytes` at most, compressed and not.
        clock: UTC microseconds.
        token: what callers send as metadata `authorization: Bearer ...`; without one everybody on this machine may call.
        compiled: whether the kernels of the decoders are; calls wait until then.

    Raises:
        ConfigError: on entering, where the extra is not installed or the address cannot be listened on.
    """

    def __init__(
        self,
        address: str,
        intake: Intake,
        metrics: OtlpDecoder,
        logs: OtlpDecoder,
        *,
        limits: Limits,
        clock: Clock,
        token: str = "",
        compiled: Callable[[], bool] = lambda: True,
    ) -> None:
        self._address = address
        self._intake = intake
        self._limits = limits
        self._clock = clock
        self._token = token
        self._decoders = {"metrics": metrics, "logs": logs}
        self._compiled = compiled
        self._room = Room()
        self._server: grpc.aio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        try:
            import grpc  # an optional extra
            import grpc.aio
        except ImportError as error:
            raise ConfigError(["web.grpc: the extra is not installed; pip install 'vedette[grpc]'"]) from error
        options = [("grpc.max_receive_message_length", self._limits.body_bytes), ("grpc.so_reuseport", 0)]
        server = grpc.aio.server(options=options, maximum_concurrent_rpcs=CALLS)
        for kind in self._decoders:
            handler = grpc.unary_unary_rpc_method_handler(partial(self._export, kind))
            name = _SERVICE.format(kind, kind.capitalize())
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Export": handler}),))
        try:
            self.port = server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise ConfigError([f"web.grpc: {self._address} cannot be listened on; is it in use?"]) from error
        await server.start()
        self._server = server
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await self._server.stop(CLOSE_SECONDS)

    async def _export(self, kind: str, body: bytes, call: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        import grpc

        if not self._knows(call.invocation_metadata()):
            await call.abort(grpc.StatusCode.UNAUTHENTICATED, "the token of web.token is needed: authorization: Bearer TOKEN")
        await until(self._compiled)
        try:
            decode = self._decoders[kind]
            delivery = await self._room.decode(len(body), partial(decode, body, now=self._clock(), json=False))
            await self._intake.accept(delivery)
        except BadRecord as error:
            self._intake.refuse(SOURCE, 1)
            await call.abort(grpc.StatusCode.INVALID_ARGUMENT, self._intake.clean(str(error)))
        except Transient as error:
            details = retry_status(str(error), error.retry_after)
            await call.abort(grpc.StatusCode.UNAVAILABLE, str(error), (("grpc-status-details-bin", details),))
        reason = self._intake.clean("; ".join(str(fault) for fault in delivery.faults[:3]))
        return export_response(delivery.rejected, reason)

    def _knows(self, metadata: Any) -> bool:  # noqa: ANN401 -- pairs of a name and text or bytes; grpc has no name for them
        given = next((value for name, value in metadata or () if name == "authorization" and isinstance(value, str)), "")
        scheme, _, offered = given.partition(" ")
        return not self._token or (
            scheme.lower() == "bearer" and hmac.compare_digest(offered.strip().encode(), self._token.encode())
        )

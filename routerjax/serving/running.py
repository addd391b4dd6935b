"""The server process: uvicorn on one address, ended by SIGTERM when its requests are answered."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
import warnings

import uvicorn

from routerjax.errors import DataWarning, InputError
from routerjax.serving.app import make_app
from routerjax.serving.service import Service

GRACE = 30
"""Seconds that requests in flight have after SIGTERM."""
BACKLOG = 2048
"""Connections that may wait to be taken."""


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def run(service: Service, *, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C, then answer what is in flight and return.

    Args:
      service: the router in service.
      host: address to bind.
      port: of it; 0 takes a free one.

    Raises:
      InputError: the address cannot be bound.
    """
    if not is_loopback(host) and service.settings.token is None:
        said = f"{host} can be reached from other machines and no bearer token is asked for"
        warnings.warn(f"{said} (--token-env)", DataWarning, stacklevel=2)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{host}:{port} cannot be bound ({reason})") from None
    config = uvicorn.Config(
        make_app(service),
        host=host,
        port=port,
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=GRACE,
    )
    with bound as listening:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}"
        print(f"serving {service.folder} on {address}", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):  # the signal again, after all was answered
            uvicorn.Server(config).run(sockets=[listening])

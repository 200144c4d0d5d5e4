"""nova-novncproxy as nova ships it, except for the token check; it runs in the environment that has nova.

``python nova_proxy.py PORT BACKEND_PORT``.  The real check asks the database and the compute host.  This stub answers
at once from memory, in favour of nova, whose set-up costs more in production.
"""

# As in nova's own commands: nothing may be imported before this.
from nova import monkey_patch

monkey_patch.patch()

import sys  # noqa: E402
from typing import Any  # noqa: E402

from nova import config, objects  # noqa: E402
from nova.cmd import baseproxy  # noqa: E402
from nova.conf import vnc  # noqa: E402
from nova.console import websocketproxy  # noqa: E402
from nova.console.securityproxy import rfb  # noqa: E402

LOOPBACK = "127.0.0.1"


def main() -> None:
    """Serve until a signal ends the process."""
    port, backend = int(sys.argv[1]), int(sys.argv[2])

    def known(self: Any, context: Any, token: str) -> Any:
        return objects.ConsoleAuthToken(
            context=context,
            token=token,
            console_type="novnc",
            host=LOOPBACK,
            port=backend,
            internal_access_path=None,
            instance_uuid="5f6a5a51-0e4f-4b5e-9c0d-6d1f4c9b1a01",
            access_url_base=f"http://{LOOPBACK}:{port}/vnc_auto.html",
        )

    websocketproxy.NovaProxyRequestHandler._get_connect_info = known
    vnc.register_cli_opts(baseproxy.CONF)
    config.parse_args(["nova-novncproxy", "--web", ""], default_config_files=[])
    baseproxy.proxy(host=LOOPBACK, port=port, security_proxy=rfb.RFBSecurityProxy())


if __name__ == "__main__":
    main()

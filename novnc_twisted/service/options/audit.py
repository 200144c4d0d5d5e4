"""The options of ``[audit]``; see :mod:`novnc_twisted.service.options`."""

from oslo_config import cfg

from novnc_twisted.service.options.types import CheckedOpt
from novnc_twisted.service.options.values import absolute_file

AUDIT: list[cfg.Opt] = [
    CheckedOpt(
        "file",
        absolute_file,
        help="Absolute path of the audit trail, with one JSON object in each line. It records tokens (made, used, "
        "refused, revoked), API tokens (made, used, revoked), sessions (opened, refused, closed, changed, "
        "shared), changes of control, power actions, screenshots, and keys sent through the API. The file is "
        "created with mode 0600. SIGHUP opens it again. Unset: no such file.",
    ),
    cfg.BoolOpt(
        "syslog",
        default=False,
        help="Send the audit trail to the local syslog daemon (/dev/log), in the form of RFC 5424.",
    ),
]

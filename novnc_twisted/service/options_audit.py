"""The options of ``[audit]``; see :mod:`novnc_twisted.service.options`."""

from oslo_config import cfg

from novnc_twisted.service.option_types import CheckedOpt
from novnc_twisted.service.option_values import absolute_file

AUDIT: list[cfg.Opt] = [
    CheckedOpt(
        "file",
        absolute_file,
        help="Absolute path of the audit trail: one JSON object in each line for each token made, used, refused and "
        "revoked, each session opened, refused, closed and changed, each power action and each screenshot. The "
        "file is created with mode 0600 and appended to; SIGHUP opens it again. Unset: no such file.",
    ),
    cfg.BoolOpt(
        "syslog",
        default=False,
        help="Send the audit trail to the local syslog daemon (/dev/log), in the form of RFC 5424.",
    ),
]

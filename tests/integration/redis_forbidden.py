"""What a stolen credential must not do.  docs/redis_acl.rst promises this, and lists what it still can do.

Names are the users', as ``novnc-redis-acl`` makes them: host ``one`` is at 192.0.2.1, ``two`` at 192.0.2.2.
"""

from novnc_twisted.messaging.redis import scripts
from tests.compute.harness import A, B
from tests.integration.redis_roles import VIEWER

HEX = "0" * 32
TOKEN = "{token}"
"""Placeholder for a live token's hash."""

FOR_NOBODY = """
SCAN 0
KEYS *
RANDOMKEY
DBSIZE
SORT novnc:services
TYPE novnc:services
EXISTS novnc:services
DUMP novnc:services
OBJECT FREQ novnc:services
COPY novnc:services novnc:r:proxy:x
RENAME novnc:services novnc:r:proxy:x
RESTORE novnc:r:proxy:x 0 x
MIGRATE 192.0.2.9 6379 novnc:services 0 100
PUBSUB CHANNELS
SUBSCRIBE novnc:q:consoleauth
PSUBSCRIBE *
PUBLISH novnc:q:consoleauth x
MONITOR
SLOWLOG GET
LATENCY LATEST
CONFIG GET *
CONFIG SET requirepass x
ACL LIST
ACL SETUSER novnc-proxy +@all
ACL WHOAMI
CLIENT LIST
CLIENT KILL TYPE normal
CLIENT PAUSE 1000
CLIENT UNBLOCK 1
CLIENT NO-EVICT on
DEBUG SLEEP 0
FLUSHALL
FLUSHDB
SWAPDB 0 1
MOVE novnc:services 1
SAVE
BGREWRITEAOF
SHUTDOWN NOSAVE
REPLICAOF 192.0.2.9 6379
FAILOVER
PSYNC ? -1
MODULE LIST
FUNCTION LIST
FUNCTION LOAD x
FUNCTION FLUSH
FCALL x 0
EVAL return(1) 0
EVAL_RO return(1) 0
EVALSHA_RO 0000000000000000000000000000000000000000 0
SCRIPT FLUSH
SCRIPT KILL
MULTI
WATCH novnc:services
CLUSTER INFO
COMMAND
DEL novnc:services
EXPIRE novnc:services 1
SET novnc:services x
"""
"""Commands that no role may run."""

FOR_NEITHER = f"""
SCRIPT LOAD return(1)
GET novnc:s:token:{TOKEN}
SET novnc:s:token:{TOKEN} x
SET novnc:s:token:forged x
GETDEL novnc:s:token:{TOKEN}
DEL novnc:s:token:{TOKEN}
EXPIRE novnc:s:token:{TOKEN} 0
PEXPIRE novnc:s:token:{TOKEN} 0
ZRANGE novnc:i:instance:{A} 0 -1
ZRANGEBYSCORE novnc:i:instance:{A} -inf +inf
ZADD novnc:i:instance:{A} 1 x
GET novnc:s:api:identity
SET novnc:s:api:identity x
SET novnc:s:lease:x x
SET novnc:s:used:x x
SET novnc:s:revoked:x x
DEL novnc:s:revoked:x
SET novnc:s:mode:x x
XADD novnc:l:history * v x
XREVRANGE novnc:l:history + - COUNT 1
XTRIM novnc:l:history MAXLEN 0
DEL novnc:l:history
SMEMBERS novnc:services
SMEMBERS novnc:services:compute
SADD novnc:services:consoleauth x
SREM novnc:services compute
SREM novnc:services:compute compute.one@192.0.2.1
PEXPIRE novnc:services:compute 0
BLPOP novnc:q:consoleauth 0.1
BLPOP novnc:q:consoleauth:proxy 0.1
BLPOP novnc:q:consoleauth:compute 0.1
BLPOP novnc:q:consoleauth:api 0.1
LRANGE novnc:q:consoleauth:proxy 0 -1
LRANGE novnc:q:consoleauth:compute 0 -1
LPOP novnc:q:consoleauth:proxy
DEL novnc:q:consoleauth:proxy
DEL novnc:q:consoleauth:compute
RPUSH novnc:q:consoleauth x
RPUSH novnc:q:consoleauth:api x
RPUSH novnc:q:consoleauth:consoleauth x
LPUSH novnc:q:consoleauth:api x
BLPOP novnc:q:compute.two:api 0.1
BLPOP novnc:q:compute.two:consoleauth 0.1
RPUSH novnc:q:compute.two x
RPUSH novnc:q:compute.two:api x
RPUSH novnc:q:compute.two:consoleauth x
DEL novnc:q:compute.two:consoleauth
BLPOP novnc:r:api:{HEX} 0.1
BLPOP novnc:r:consoleauth:{HEX} 0.1
LRANGE novnc:r:consoleauth:{HEX} 0 -1
DEL novnc:r:consoleauth:{HEX}
RPUSH novnc:r:{HEX} x
ZADD novnc:p:consoleauth 99999999999999 me
ZREM novnc:p:consoleauth x
DEL novnc:p:consoleauth
PEXPIRE novnc:p:consoleauth 0
ZADD novnc:a:consoleauth@ 99999999999999 me
ZADD novnc:p:compute.two 99999999999999 me
ZADD novnc:a:compute.two@192.0.2.2 99999999999999 me
ZADD novnc:a:compute.two@192.0.2.1 99999999999999 me
ZREMRANGEBYSCORE novnc:a:compute.two@192.0.2.2 -inf +inf
PEXPIRE novnc:a:compute.two@192.0.2.2 0
ZRANGEBYSCORE novnc:a:compute.two@192.0.2.2 -inf +inf
ZADD novnc:a:compute.three@192.0.2.3 99999999999999 me
GET novnc:s:domains:two
SET novnc:s:domains:two x
DEL novnc:s:domains:two
PEXPIREAT novnc:s:domains:two 1
MGET novnc:s:domains:one novnc:s:domains:two
GET novnc:s:domains:two/1.0
SET novnc:s:domains:two/1.0 x
DEL novnc:s:domains:two/1.0
SET novnc:s:domains:one.b x
SET novnc:s:domains:one.b/1.0 x
SMEMBERS novnc:g:compute-hosts
SREM novnc:g:compute-hosts two
PEXPIRE novnc:g:compute-hosts 0
DEL novnc:g:compute-hosts
"""
"""Commands that the credentials of a proxy and of compute host ``one`` must not run in addition."""

FOR = {
    "proxy": f"""
INFO
SADD novnc:g:compute-hosts x
SET novnc:s:domains:one x
RPUSH novnc:q:consoleauth:compute x
RPUSH novnc:q:compute.one:api x
RPUSH novnc:q:compute.one:consoleauth x
BLPOP novnc:q:compute.one:consoleauth 0.1
BLPOP novnc:r:compute:{HEX} 0.1
LPOP novnc:r:api:{HEX}
DEL novnc:r:api:{HEX}
RPUSH novnc:r:compute:{HEX} x
RPUSH novnc:r:proxy:{HEX} x
DEL novnc:r:proxy:{HEX}
ZADD novnc:p:compute.one 99999999999999 me
ZADD novnc:a:compute.one@192.0.2.1 99999999999999 me
ZADD novnc:p:novncproxy.control 99999999999999 me
RPUSH novnc:q:proxy.one.w x
RPUSH novnc:q:proxy.one.w:api x
RPUSH novnc:q:proxy.one.w:consoleauth x
RPUSH novnc:q:proxy.one.w:proxy x
LPOP novnc:q:proxy.one.w:api
ZADD novnc:a:proxy.one.w@192.0.2.1 99999999999999 me
ZREM novnc:a:compute.one@192.0.2.1 x
""",
    "compute.one": f"""
INFO
RPUSH novnc:q:consoleauth:proxy x
BLPOP novnc:r:proxy:{HEX} 0.1
RPUSH novnc:r:proxy:{HEX} x
RPUSH novnc:r:compute:{HEX} x
LPOP novnc:r:api:{HEX}
DEL novnc:r:api:{HEX}
ZADD novnc:a:compute.one@192.0.2.2 99999999999999 me
ZADD novnc:a:compute.one@127.0.0.1 99999999999999 me
ZADD novnc:a:compute.one@ 99999999999999 me
ZADD novnc:a:novncproxy.control@ 99999999999999 me
BLPOP novnc:q:proxy.one.w:api 0.1
RPUSH novnc:q:proxy.one.w:api x
RPUSH novnc:q:proxy.one.w:compute x
ZADD novnc:p:proxy.one.w 99999999999999 me
ZADD novnc:a:proxy.one.w@ 99999999999999 me
""",
    "api": f"""
INFO
SCRIPT LOAD return(1)
GET novnc:s:token:{TOKEN}
SET novnc:s:token:{TOKEN} x
ZRANGE novnc:i:instance:{A} 0 -1
RPUSH novnc:q:consoleauth x
RPUSH novnc:q:consoleauth:proxy x
RPUSH novnc:q:compute.one x
RPUSH novnc:q:compute.one:consoleauth x
RPUSH novnc:q:proxy.one.w x
RPUSH novnc:q:proxy.one.w:consoleauth x
BLPOP novnc:q:proxy.one.w:api 0.1
ZADD novnc:p:proxy.one.w 99999999999999 me
ZADD novnc:a:proxy.one.w@ 99999999999999 me
BLPOP novnc:q:compute.one:api 0.1
BLPOP novnc:q:consoleauth:api 0.1
BLPOP novnc:r:proxy:{HEX} 0.1
ZADD novnc:p:consoleauth 99999999999999 me
ZADD novnc:a:compute.two@192.0.2.2 99999999999999 me
SADD novnc:services x
SADD novnc:services:compute x
SREM novnc:services:compute compute.one@192.0.2.1
SET novnc:s:domains:two x
SET novnc:s:domains:two/1.0 x
DEL novnc:s:domains:two
SADD novnc:g:compute-hosts x
""",
    "consoleauth": f"""
GET novnc:s:api:identity
SET novnc:s:api:identity x
BLPOP novnc:q:compute.one:consoleauth 0.1
RPUSH novnc:q:compute.one:api x
RPUSH novnc:q:compute.one x
RPUSH novnc:q:proxy.one.w:api x
BLPOP novnc:q:proxy.one.w:consoleauth 0.1
ZADD novnc:p:proxy.one.w 99999999999999 me
ZADD novnc:a:proxy.one.w@ 99999999999999 me
BLPOP novnc:r:proxy:{HEX} 0.1
ZADD novnc:p:compute.one 99999999999999 me
ZADD novnc:a:compute.one@192.0.2.1 99999999999999 me
SET novnc:s:domains:two x
SET novnc:s:domains:two/1.0 x
DEL novnc:s:domains:two
SADD novnc:g:compute-hosts x
""",
}
"""Commands that the credential of this role must not run in addition."""

BY_SCRIPT: list[tuple[scripts.Script, list[str], list[str]]] = [
    (scripts.PUT, ["novnc:s:token:forged", f"novnc:i:instance:{A}"], ["{}", "60000", "token:forged"]),
    (scripts.REMOVE, [f"novnc:s:token:{TOKEN}"], []),
    (scripts.EXTEND, [f"novnc:s:token:{TOKEN}"], ["60000"]),
    (scripts.INDEXED, [f"novnc:i:instance:{A}"], []),
    (scripts.SERVICES, ["novnc:services"], ["novnc:a:", "1", "", ""]),
    (scripts.QUEUE, ["novnc:p:consoleauth", "novnc:q:consoleauth:api"], ["x", "99999999999999", "1000"]),
    (scripts.QUEUE, ["novnc:p:compute.two", "novnc:q:compute.two:consoleauth"], ["x", "99999999999999", "1000"]),
    (scripts.REPLY, [f"novnc:r:compute:{HEX}"], ["x", "99999999999999", "1000"]),
    (scripts.WITHDRAW, ["novnc:a:compute.two@192.0.2.2", "novnc:p:compute.two", "novnc:q:compute.two:api"], ["x", "y"]),
    (
        scripts.ANNOUNCE,
        ["novnc:services", "novnc:services:compute", "novnc:a:compute.two@192.0.2.2", "novnc:p:compute.two"],
        ["60000", "compute.two@192.0.2.2", "x {}", "x", "", "", "compute", "60000"],
    ),
]
"""Our scripts, with keys that a proxy or compute host ``one`` may not use: scripts run with the caller's rights."""

BAD_COUNTS = ("1e15", "1e308", "inf", "-inf", "nan", "-1", "-1e15", "0.5", "3", "0x1p60", "", "x", "\u0661")
"""Wrong numbers of keys before two arguments: the script must fail at once."""

ASKED = {
    "proxy": {
        "authorize_console": {"console_type": "novnc", "instance_uuid": A},
        "show_token": {},
        "delete_tokens_for_instance": {"instance_uuid": A},
        "instance_gone": {"instance_uuid": A},
    },
    "compute.one": {
        "authorize_console": {"console_type": "novnc", "instance_uuid": B},
        "check_token": {"console_type": "novnc", "client_address": VIEWER},
        "get_vnc_password": {"console_type": "novnc", "client_address": VIEWER},
        "keep_token": {"client_address": VIEWER},
        "keep_tokens": {},
        "show_token": {},
        "delete_tokens_for_instance": {"instance_uuid": A},
    },
    "api": {
        "check_token": {"console_type": "novnc", "client_address": VIEWER},
        "get_vnc_password": {"console_type": "novnc", "client_address": VIEWER},
        "instance_gone": {"instance_uuid": A},
    },
}
"""Methods of consoleauth that a role must not call, although it may call others."""

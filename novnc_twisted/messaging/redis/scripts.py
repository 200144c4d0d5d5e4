"""The Lua scripts for Redis (7.0 or newer).  Each script runs atomically, and uses the clock of Redis.

The keys that the scripts use are listed below, without their prefix ``novnc:`` (see :mod:`.keys`).  "Score" is the
number by which Redis sorts a sorted set.

=====================  ==========  ==================================================================================
``q:TOPIC:ROLE``       list        queue of the calls to a topic from callers with a role
``r:ROLE:PROCESS``     list        queue of the replies for a process
``p:TOPIC``            sorted set  WORKER of each server of the topic; score: the Unix time in ms at which this member
                                   expires (plus ``AWAY`` for the worker ``~``)
``a:TOPIC@PLACE``      sorted set  presence entries of the topic, ``WORKER JSON``; score: when the entry expires
``services``           set         all kinds of topics; the kind is the part of a topic's name before the first dot
``services:KIND``      set         ``TOPIC@PLACE`` of each presence entry of a kind
``s:KEY``              string      a stored object as JSON, after a line with its position in an index
``l:LOG``              stream      entries of a log, each a JSON object
``i:INDEX``            sorted set  positions of the objects in an index; score: when the object expires
=====================  ==========  ==================================================================================

WORKER is the name of one server or presence entry (``Announcement.worker``).  PLACE is the address that a compute host
announces; it is empty for other services.  For callers without a role, ``:ROLE`` and ``ROLE:`` are left out.

Keys expire, so that they do not stay in Redis for ever after all services have ended.  Only consoleauth, or a process
without a role, sets the expiry of ``services`` and ``services:KIND``.
"""

from hashlib import sha1
from typing import Any

AWAY = 10**13
"""Added to the score of the worker ``~``, which stands for a server that is being restarted (:data:`WITHDRAW`).

So ZCOUNT can count this worker separately from the others.
"""

# Keys are passed as arguments and not declared, because EVALSHA requires the rights to read and write each declared
# key.  Redis still checks each command of a script against the caller's rights.  The head of each script separates the
# keys from the other arguments.  The head uses loops, because Lua's unpack is limited to 8000 values.  The head checks
# the number of keys, because a wrong number could make Redis loop for ever.  Without arguments, a script does nothing:
# so EVAL can load the script, and EVALSHA can check that Redis has the script.
_HEAD = (
    """
if #ARGV == 0 then return 'here' end
local words, count = ARGV, tonumber(ARGV[1])
if not count or not (count >= 0 and count < #words) or count ~= math.floor(count) then
  return redis.error_reply('ERR bad number of keys')
end
local KEYS, ARGV = {}, {}
for i = 2, count + 1 do KEYS[i - 1] = words[i] end
for i = count + 2, #words do ARGV[i - count - 1] = words[i] end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local latest = now + 10000
"""
    + f"local away = {AWAY}\n"
)
# Entries that expire later than ``latest`` are ignored, so that a stolen credential cannot add a permanent entry.


class Script:
    """A script, and the SHA-1 by which Redis caches it.

    The arguments of a script are the number of keys, the keys, and then the other arguments.  The first comment of each
    script names them: ``-- KEYS | OTHERS``.

    :ivar writes: whether the purpose of the script is to add data, which a full Redis refuses.
    """

    def __init__(self, text: str, *, writes: bool = False) -> None:
        self.text = _HEAD + text
        self.writes = writes
        self.sha = sha1(self.text.encode()).hexdigest()  # noqa: S324
        ALL.append(self)

    def has_written(self, reply: Any) -> bool:
        """Return whether a reply proves that this script has added data, and therefore that Redis is not full."""
        return self.writes and (reply == "queued" or (isinstance(reply, int) and reply > 0))


ALL: list[Script] = []
"""All scripts.  A connection with the right to SCRIPT LOAD loads them into Redis."""

QUEUE = Script(
    """
-- p:TOPIC q:TOPIC:ROLE | request, millisecond at which its caller gives up, calls that may wait
local left = tonumber(ARGV[2]) - now
if left <= 0 then return 'late' end
if redis.call('ZCOUNT', KEYS[1], '(' .. now + away, latest + away) > 0 then return 'away' end
if redis.call('ZCOUNT', KEYS[1], '(' .. now, latest) == 0 then return 'nobody' end
if redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], left, 'NX')
redis.call('PEXPIRE', KEYS[2], left, 'GT')
return 'queued'
""",
    writes=True,
)
"""Put a call into a queue, if the topic has a server and the caller still waits.

If Redis was frozen, it runs the script late.  If the caller has given up by then, the answer is ``late``.

While the service is being restarted, the answer is ``away``, and the caller tries again.  If the call were queued at
this time, Redis could send it on a connection that the former server is closing, and the call would be lost.

The expiry of the queue is never shortened.  PEXPIRE with GT does nothing for a key without an expiry, so a PEXPIRE with
NX precedes it.
"""

REPLY = Script(
    """
-- r:ROLE:PROCESS | reply, millisecond at which its caller gives up, replies that may wait
local left = tonumber(ARGV[2]) - now
if left <= 0 or redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], left, 'NX')
redis.call('PEXPIRE', KEYS[1], left, 'GT')
return 1
""",
    writes=True,
)
"""Put a reply into the queue of the calling process; return 0 if the queue is full or the caller has given up."""

ANNOUNCE = Script(
    """
-- services services:KIND a:TOPIC@PLACE p:TOPIC | milliseconds, TOPIC@PLACE, worker and JSON, worker or '',
-- 1: maintains services, 1: exclusive, KIND, milliseconds for which the keys are kept
-- SADD comes first: a full Redis refuses a script at its first command that adds data, but not at later ones.
local ttl, kept = tonumber(ARGV[1]), tonumber(ARGV[8])
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('SADD', KEYS[1], ARGV[7])
if ARGV[4] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
  if ARGV[6] == '1' and redis.call('ZREM', KEYS[4], ARGV[4]) == 0
      and redis.call('ZCOUNT', KEYS[4], '(' .. now, latest) > 0 then
    local others = redis.pcall('ZRANGEBYSCORE', KEYS[3], '(' .. now, latest, 'LIMIT', 0, 8)
    return others.err and {} or others
  end
  if redis.call('ZREM', KEYS[4], '~') == 1 then
    for _, entry in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. now, latest)) do
      if string.sub(entry, 1, 2) == '~ ' then redis.call('ZREM', KEYS[3], entry) end
    end
  end
  redis.call('ZADD', KEYS[4], now + ttl, ARGV[4])
  redis.call('PEXPIRE', KEYS[4], kept)
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
redis.call('ZADD', KEYS[3], now + ttl, ARGV[3])
redis.call('PEXPIRE', KEYS[3], kept)
if ARGV[5] == '1' then
  for _, kind in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local set = KEYS[1] .. ':' .. kind
    local some = redis.call('SRANDMEMBER', set, 16)
    if #some == 0 then redis.call('SREM', KEYS[1], kind) else redis.call('PEXPIRE', set, 60 * kept) end
    for _, name in ipairs(some) do
      local entries = string.gsub(KEYS[1], 'services$', 'a:') .. name
      if redis.call('ZCOUNT', entries, '(' .. now, latest) == 0 then redis.call('SREM', set, name) end
    end
  end
  redis.call('PEXPIRE', KEYS[1], 60 * kept)
end
return 1
""",
    writes=True,
)
"""Make a presence entry, or renew it, and return 1.

If the entry is new and exclusive, and its topic has another live server, the script does not make the entry, and
returns the live entries of ``TOPIC@PLACE`` instead.  This list is empty if the other server has announced another
PLACE, or if the Redis user of this process may not read the entries.

Between two runs, plain commands renew the entry (:mod:`.presence`).

A server that replaces a restarting one (worker ``~``, see ``WITHDRAW``) removes the entries of that worker.

consoleauth maintains the sets ``services`` and ``services:KIND``: no other role may remove names from them, or set
their expiry.  The sets outlive the entries.  If the sets expired while a killed consoleauth restarts, each service
would be missing from the list of services until it has renewed its entry.  Each run by consoleauth checks some names of
each set, removes those of former services, and removes kinds without names.
"""

WITHDRAW = Script("""
-- a:TOPIC@PLACE p:TOPIC q:TOPIC... | worker and JSON, worker or '', milliseconds until the next server is there
redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[2] == '' then return {} end
redis.call('ZREM', KEYS[2], ARGV[2])
if redis.call('ZCOUNT', KEYS[2], '(' .. now, latest) > 0 then return false end
local absent = tonumber(ARGV[3])
if absent > 0 then
  redis.call('ZADD', KEYS[1], now + absent, '~' .. string.sub(ARGV[1], #ARGV[2] + 1))
  redis.call('PEXPIRE', KEYS[1], absent)
  redis.call('ZADD', KEYS[2], now + math.min(absent, 3000), ARGV[2])
  redis.call('ZADD', KEYS[2], now + absent + away, '~')
  redis.call('PEXPIRE', KEYS[2], absent)
  return {}
end
local left = {}
for i = 3, #KEYS do
  local waiting = redis.call('LRANGE', KEYS[i], 0, -1)
  redis.call('DEL', KEYS[i])
  left[#left + 1] = waiting
end
return left
""")
"""Remove a presence entry.  If its server was the last one of the topic, also remove and return the waiting calls.

The calls are returned so that they can be refused at once.  If another server may still take calls, return nil.  For an
entry without a server, return an empty list.

If the last argument is above 0, this server may be restarting.  If it was the last one of the topic, the waiting calls
stay in the queues, and the script returns an empty list.  For this number of milliseconds, the worker ``~`` stands for
the server, and callers with new calls try again (see ``QUEUE``).  The server itself stays in ``p:TOPIC`` until it has
closed its queues (at most 3 s), so that no other server gets an exclusive topic earlier.
"""

SERVICES = Script("""
-- services | prefix of the keys a:, 1: maintains services, how the wanted topics begin, their kind or '': all kinds
local answer, wanted = {}, ARGV[3]
for _, kind in ipairs(ARGV[4] == '' and redis.call('SMEMBERS', KEYS[1]) or {ARGV[4]}) do
  local set = KEYS[1] .. ':' .. kind
  for _, name in ipairs(redis.call('SMEMBERS', set)) do
    if string.sub(name, 1, #wanted) == wanted then
      local found = redis.call('ZRANGEBYSCORE', ARGV[1] .. name, '(' .. now, latest, 'WITHSCORES', 'LIMIT', 0, 256)
      if #found == 0 and ARGV[2] == '1' then redis.call('SREM', set, name) end
      for i = 1, #found, 2 do
        answer[#answer + 1] = name
        answer[#answer + 1] = found[i]
        answer[#answer + 1] = found[i + 1]
      end
    end
  end
end
return answer
""")
"""List the live presence entries of some topics: ``TOPIC@PLACE``, ``WORKER JSON`` and score of each.

If a kind is given, the script reads only the set of this kind.  So the cost of a search for proxies does not depend
on the number of compute hosts.  For a process that maintains the sets, the script also removes the names without a live
entry.
"""

# A stored object is "INDEX SPACE POSITION NEWLINE JSON"; without an index, the first line is empty.  INDEX is the whole
# key of the index in Redis (``novnc:i:...``).  POSITION has three parts: the time of creation in microseconds (always
# 16 digits), a space, and the KEY of the object.  So the positions' alphabetical order is the order of creation.  The
# scripts call the position ``place``.
_LEAVE = """
local function leave(key)
  local old = redis.call('GET', key)
  if not old then return 0 end
  local index, place = string.match(old, '^(%S+) ([^\\n]+)\\n')
  if index then redis.call('ZREM', index, place) end
  return redis.call('DEL', key)
end
"""

PUT = Script(
    """
-- s:KEY [i:INDEX] | JSON, milliseconds, KEY
local old = redis.call('GET', KEYS[1])
local head, place, ends = '', nil, now + tonumber(ARGV[2])
if KEYS[2] then
  place = string.format('%010d%06d', time[1], time[2]) .. ' ' .. ARGV[3]
  head = KEYS[2] .. ' ' .. place
end
redis.call('SET', KEYS[1], head .. '\\n' .. ARGV[1], 'PX', ARGV[2])
local index, before = string.match(old or '', '^(%S+) ([^\\n]+)\\n')
if index then redis.call('ZREM', index, before) end
if place then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. now)
  redis.call('ZADD', KEYS[2], ends, place)
  if redis.call('PTTL', KEYS[2]) < ends - now then redis.call('PEXPIREAT', KEYS[2], ends) end
  return redis.call('ZCOUNT', KEYS[2], '-inf', '+inf')
end
return 1
""",
    writes=True,
)
"""Store an object with a time to live, and add it to an index if one is given.

An object that had the same key is replaced, and removed from its index.  Return the number of keys in the index, or 1
without an index.
"""

EXTEND = Script("""
-- s:KEY | milliseconds
local old = redis.call('GET', KEYS[1])
if not old then return 0 end
local ends = now + tonumber(ARGV[1])
redis.call('PEXPIREAT', KEYS[1], ends, 'GT')
local index, place = string.match(old, '^(%S+) ([^\\n]+)\\n')
if index then
  redis.call('ZADD', index, 'XX', 'GT', ends, place)
  redis.call('PEXPIREAT', index, ends, 'GT')
end
return 1
""")
"""Extend, never shorten, the time to live of an object and its index entry; return 0 if there is no such object."""

REMOVE = Script(
    _LEAVE
    + """
-- s:KEY...
local removed = 0
for _, key in ipairs(KEYS) do removed = removed + leave(key) end
return removed
"""
)
"""Remove objects and their index entries; return how many objects there were."""

APPEND = Script(
    """
-- l:LOG | entries that are kept, milliseconds, JSON...
for i = 3, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'v', ARGV[i]) end
redis.call('XTRIM', KEYS[1], 'MINID', '~', now - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
""",
    writes=True,
)
"""Append entries to a log, and remove those that are too old or too many."""

INDEXED = Script("""
-- i:INDEX | how many of the newest to leave out
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
local places = redis.call('ZRANGE', KEYS[1], 0, -1)
local wanted = #places - math.max(0, tonumber(ARGV[1]))
if not (wanted > 0) then return {} end
table.sort(places)
local keys = {}
for i = 1, wanted do keys[i] = string.sub(places[i], 18) end
return keys
""")
"""Return the keys of the objects in an index, oldest first, without a given number of the newest keys.

A position in an index begins with 16 digits and a space, so the key in it begins at character 18.
"""

"""The Lua scripts that run in Redis (7.0 or newer), each atomically and by Redis' own clock.

Keys (``novnc:`` before each, see :mod:`.keys`):

=====================  ==========  ==================================================================================
``q:TOPIC:ROLE``       list        calls of a role that wait for a server of the topic
``r:ROLE:PROCESS``     list        replies for a process
``p:TOPIC``            sorted set  workers that serve the topic, by the millisecond at which their entries expire
``a:TOPIC@PLACE``      sorted set  presence entries of the topic, ``WORKER JSON``, by the same
``services``           set         each ``TOPIC@PLACE`` with a recent presence entry
``s:KEY``              string      an object of the keyed store, after its place in an index
``l:LOG``              stream      entries of a log, each with its object in JSON
``i:INDEX``            sorted set  places of an index, by the millisecond at which their objects expire
=====================  ==========  ==================================================================================

For callers without a role, ``:ROLE`` and ``ROLE:`` are left out.  Every key expires: when all services have ended,
nothing is left.
"""

from hashlib import sha1

# EVALSHA demands the rights to read and to write each declared key.  Therefore no key is declared: Redis checks each
# command of a script by the caller's rights.  (Lua's unpack has room for 8000 values only.)
# An invalid count (negative, a fraction, infinite, not a number, more than there are arguments) could make Redis loop
# for ever.  Without arguments a script does nothing, so EVAL can load it, and EVALSHA can ask whether Redis has it.
_HEAD = """
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
# Entries that expire later than ``latest`` are ignored: a stolen credential must not add one that lasts for ever.


class Script:
    """A script and the SHA-1 under which Redis caches it.  Its arguments are a count, so many keys, and all others.

    :ivar writes: whether each run adds data.  A Redis that takes no more data refuses such a script.
    """

    def __init__(self, text: str, *, writes: bool = False) -> None:
        self.text = _HEAD + text
        self.writes = writes
        self.sha = sha1(self.text.encode()).hexdigest()  # noqa: S324
        ALL.append(self)


ALL: list[Script] = []
"""All scripts.  A connection with the right to SCRIPT LOAD loads them into Redis."""

QUEUE = Script(
    """
-- p:TOPIC q:TOPIC:ROLE | request, millisecond at which its caller gives up, calls that may wait
local left = tonumber(ARGV[2]) - now
if left <= 0 then return 'late' end
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

A Redis that was frozen runs what it was sent once it thaws; if the caller has given up by then, the answer is ``late``.
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

ANNOUNCE = Script(
    """
-- services a:TOPIC@PLACE p:TOPIC | milliseconds, TOPIC@PLACE, worker and JSON, worker or '', 1: keeps services,
-- 1: exclusive
-- SADD comes first: a Redis without free memory refuses the first command that adds data, but not those after it.
local ttl = tonumber(ARGV[1])
redis.call('SADD', KEYS[1], ARGV[2])
if ARGV[5] == '1' then redis.call('PEXPIRE', KEYS[1], 5 * ttl) end
if ARGV[4] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
  if ARGV[6] == '1' and redis.call('ZREM', KEYS[3], ARGV[4]) == 0
      and redis.call('ZCOUNT', KEYS[3], '(' .. now, latest) > 0 then
    local others = redis.pcall('ZRANGEBYSCORE', KEYS[2], '(' .. now, latest, 'LIMIT', 0, 8)
    return others.err and {} or others
  end
  redis.call('ZADD', KEYS[3], now + ttl, ARGV[4])
  redis.call('PEXPIRE', KEYS[3], ttl)
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], now + ttl, ARGV[3])
redis.call('PEXPIRE', KEYS[2], ttl)
return 1
""",
    writes=True,
)
"""Renew a presence entry and return 1.  If it is exclusive and the topic has another live server, return the presence
entries of the topic instead.

consoleauth keeps the set of topics: no other role has the right to remove names from it, or to let it expire.  The
set outlives the entries: if it expired while a killed consoleauth starts again, all services would seem to be gone
until each has renewed its own.
"""

WITHDRAW = Script("""
-- a:TOPIC@PLACE p:TOPIC q:TOPIC... | worker and JSON, worker or ''
redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[2] == '' then return {} end
redis.call('ZREM', KEYS[2], ARGV[2])
if redis.call('ZCOUNT', KEYS[2], '(' .. now, latest) > 0 then return {} end
local left = {}
for i = 3, #KEYS do
  local waiting = redis.call('LRANGE', KEYS[i], 0, -1)
  redis.call('DEL', KEYS[i])
  left[#left + 1] = waiting
end
return left
""")
"""Remove a presence entry.  If it was the last server of its topic, also empty the topic's queues and return the calls,
so that they can be failed at once.
"""

SERVICES = Script("""
-- services | prefix of the keys a:, 1: keeps services, how the wanted topics begin
local answer, wanted = {}, ARGV[3]
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local matches = string.sub(name, 1, #wanted) == wanted
  if matches or ARGV[2] == '1' then
    local most = matches and 256 or 1
    local found = redis.call('ZRANGEBYSCORE', ARGV[1] .. name, '(' .. now, latest, 'WITHSCORES', 'LIMIT', 0, most)
    if #found == 0 and ARGV[2] == '1' then redis.call('SREM', KEYS[1], name) end
    for i = 1, matches and #found or 0, 2 do
      answer[#answer + 1] = name
      answer[#answer + 1] = found[i]
      answer[#answer + 1] = found[i + 1]
    end
  end
end
return answer
""")
"""List the live presence entries of some topics: name, member and score of each.

A connection that keeps the set of topics also removes every name from it that has no live entry, wanted or not.
"""

# A stored object is "INDEX SPACE PLACE NEWLINE JSON"; without an index the first line is empty.  A place is the time of
# creation in microseconds, of fixed width, and the key, so that places sort by the time of creation.
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
end
return 1
""",
    writes=True,
)

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

REMOVE = Script(
    _LEAVE
    + """
-- s:KEY...
local removed = 0
for _, key in ipairs(KEYS) do removed = removed + leave(key) end
return removed
"""
)

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

"""What runs inside Redis (7.0 or newer), each at one stroke and by Redis' own clock.

Keys (``novnc:`` before each, see :mod:`.keys`):

=====================  ==========  ==================================================================================
``q:TOPIC:ROLE``       list        calls of a role that wait for a server of the topic
``r:ROLE:PROCESS``     list        replies for a process
``p:TOPIC``            sorted set  workers that serve the topic, by the millisecond until which they are believed
``a:TOPIC@PLACE``      sorted set  everything announced under the topic, ``WORKER JSON``, by the same
``services``           set         each ``TOPIC@PLACE`` under which something was announced lately
``s:KEY``              string      an object of the keyed store, behind its place in an index
``i:INDEX``            sorted set  places of an index, by the millisecond at which their objects expire
=====================  ==========  ==================================================================================

Who has no role leaves out ``:ROLE`` and ``ROLE:``.  Each expires by itself: when all of ours has ended, nothing is
left.
"""

from hashlib import sha1

# EVALSHA wants the right to read and to write each key that it is told of.  So it is told of none: what a script does
# with a key is judged where it does it, by the caller's rights.  (Lua's unpack has room for 8000 only.)
# An invalid count (negative, broken, infinite, not a number, more than there are arguments) would have Redis loop
# for ever.  Without arguments a script does nothing: so it can be loaded by EVAL, and Redis be asked whether it has it.
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
# No sign of life is believed beyond that: one that somebody made to last for ever does not outlive his credential.


class Script:
    """A script and the name under which Redis caches it; its arguments are a count, so many keys, and the rest.

    :ivar writes: whether each run of it adds data, so that a Redis that takes no more data refuses it.
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
"""Queue a call where somebody serves it and its time is not over.

A frozen Redis runs what it was sent when it thaws: by then the caller may have given up, hence ``late``.
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
-- services a:TOPIC@PLACE p:TOPIC | milliseconds, TOPIC@PLACE, worker and what it says, worker or '', 1: keeps services,
-- 1: alone
-- SADD comes first: where memory is full Redis refuses it, but nothing that follows another change.
local ttl = tonumber(ARGV[1])
redis.call('SADD', KEYS[1], ARGV[2])
if ARGV[5] == '1' then redis.call('PEXPIRE', KEYS[1], ttl) end
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
"""Renew this service's presence, ``1``; or, where it must be the only server of its topic and another one is alive, the
presence entries under the topic.

The set of topics is kept by consoleauth: nobody else may take anything out of it, or let it expire.
"""

WITHDRAW = Script("""
-- a:TOPIC@PLACE p:TOPIC q:TOPIC... | worker and what it says, worker or ''
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
"""Be seen no more.  The last one of a topic takes along the calls that nobody will take, to answer them."""

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

# A stored object is "INDEX SPACE PLACE NEWLINE JSON"; without an index the first line is empty.  A place is the
# microsecond of its making, of fixed width, and the key: so that places sort in the order of their making.
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

INDEXED = Script("""
-- i:INDEX | how many of the newest are left out
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
local places = redis.call('ZRANGE', KEYS[1], 0, -1)
local wanted = #places - math.max(0, tonumber(ARGV[1]))
if not (wanted > 0) then return {} end
table.sort(places)
local keys = {}
for i = 1, wanted do keys[i] = string.sub(places[i], 18) end
return keys
""")

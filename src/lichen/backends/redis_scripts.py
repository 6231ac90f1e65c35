"""What a Redis server does in one step for the online store, in its own Lua.

A view has one hash, its `meta`: the visible generation's `number`, `cursor`, `line` and `version`, those of the one
before it, who writes (`writer`, a random word), and a field `change:<writer>` for each change whose keys are still
listed. A line is one hash of states: `=<key>` holds the key's versions, newest first, each with its version (8 bytes),
its size and one (4 bytes; 0: removed) and the state. Its field of no name holds the oldest version that is still read:
where it is missing the line is gone, whatever else is there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

_READS = """
local function states(line) return ARGV[1] .. 'states:' .. line end
local function changed(writer) return ARGV[1] .. 'changed:' .. writer end
local function whole(line) return redis.call('HEXISTS', states(line), '') == 1 end
"""


@dataclass(frozen=True)
class Script:
    """A script, and the name by which a server that has run it knows it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


GENERATION = Script(
    _READS
    + """
local it = redis.call('HMGET', KEYS[1], 'number', 'cursor', 'line', 'version')
if not it[1] or not whole(it[3]) then return {} end
return it
"""
)

BEGIN = Script(
    _READS
    + """
local meta, writer, changes = KEYS[1], ARGV[2], ARGV[3]
local it = redis.call('HMGET', meta, 'number', 'line', 'writer', 'writer_version', 'writer_line')
local line = writer
if changes ~= '' then
  if not it[1] or not whole(it[2]) then return {0} end
  if it[1] ~= changes then return {0, it[1]} end
  line = it[2]
end
if it[3] and it[3] == it[5] then
  redis.call('UNLINK', states(it[5]), changed(it[3]))
elseif it[3] then
  redis.call('HSET', meta, 'change:' .. it[3], 'undo ' .. it[4] .. ' ' .. it[5])
end
local version = redis.call('HINCRBY', meta, 'versions', 1)
redis.call('HSET', meta, 'writer', writer, 'writer_version', version, 'writer_line', line)
if line == writer then
  redis.call('HSET', states(line), '', version)
else
  redis.call('HSET', meta, 'change:' .. writer, 'writing ' .. version .. ' ' .. line)
end
redis.call('SETNX', ARGV[1] .. 'format', ARGV[4])
return {1, version, line}
"""
)

ADD = Script(
    _READS
    + """
local writer, line = ARGV[2], ARGV[3]
if redis.call('HGET', KEYS[1], 'writer') ~= writer or not whole(line) then return 0 end
for at = 4, #ARGV, 2 do
  local key, entry = ARGV[at], ARGV[at + 1]
  if line == writer then
    if redis.call('HSETNX', states(line), key, entry) == 0 then return -1 end
    if #entry == 12 and string.sub(entry, 9, 12) == '\\0\\0\\0\\0' then redis.call('RPUSH', changed(writer), key) end
  else
    local before = redis.call('HGET', states(line), key) or ''
    if string.sub(before, 1, 8) == string.sub(entry, 1, 8) then return -1 end
    redis.call('RPUSH', changed(writer), key)
    redis.call('HSET', states(line), key, entry .. before)
  end
end
return 1
"""
)

TAKE = Script(
    _READS
    + """
local meta, writer, line, own, cursor, most = KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[6], ARGV[7]
local seen = tonumber(ARGV[5])
if redis.call('HGET', meta, 'writer') ~= writer or not whole(writer) then return {0} end
local oldest = redis.call('HGET', states(line), '')
if not oldest or tonumber(oldest) > seen then return {-1} end
local found = redis.call('HSCAN', states(line), cursor, 'COUNT', most)
local taken = 0
for at = 1, #found[2], 2 do
  local key, value = found[2][at], found[2][at + 1]
  local place = 1
  while key ~= '' and place <= #value do
    local version, size = struct.unpack('<I8I4', value, place)
    local stop = place + 11 + math.max(size - 1, 0)
    if version <= seen then
      if size > 0 then
        local entry = struct.pack('<I8I4', own, size) .. string.sub(value, place + 12, stop)
        redis.call('HSETNX', states(writer), key, entry)
      end
      break
    end
    place = stop + 1
  end
  taken = taken + #value
end
return {1, found[1], taken}
"""
)

FLIP = Script(
    _READS
    + """
local meta, writer, cursor, view = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local names = {'writer', 'writer_version', 'writer_line', 'number', 'version', 'line', 'before_line'}
local it = redis.call('HMGET', meta, unpack(names))
if it[1] ~= writer or not whole(it[3]) then return 0 end
local number = tonumber(it[4] or 0) + 1
if it[7] and it[7] ~= it[6] then redis.call('UNLINK', states(it[7])) end
if it[4] then
  redis.call('HSET', meta, 'before_version', it[5], 'before_line', it[6])
  if whole(it[6]) then redis.call('HSET', states(it[6]), '', it[5]) end
end
redis.call('HSET', meta, 'number', number, 'cursor', cursor, 'version', it[2], 'line', it[3])
redis.call('HDEL', meta, 'writer', 'writer_version', 'writer_line')
if it[3] ~= writer then
  redis.call('HSET', meta, 'change:' .. writer, 'shown ' .. it[2] .. ' ' .. it[3])
end
redis.call('SADD', ARGV[1] .. 'views', view)
return number
"""
)

TIDY = Script(
    _READS
    + """
local meta, writer, line, own, undo, most = KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
for _, key in ipairs(redis.call('LRANGE', changed(writer), 0, most - 1)) do
  local value = redis.call('HGET', states(line), key)
  local kept, at = {}, 1
  while value and at <= #value do
    local version, size = struct.unpack('<I8I4', value, at)
    local stop = at + 11 + math.max(size - 1, 0)
    local stays = version ~= own
    if undo ~= '1' then stays = version > own or (version == own and size > 0) end
    if stays then kept[#kept + 1] = string.sub(value, at, stop) end
    at = stop + 1
  end
  local left = table.concat(kept)
  if value and left == '' then
    redis.call('HDEL', states(line), key)
  elseif value and left ~= value then
    redis.call('HSET', states(line), key, left)
  end
end
redis.call('LTRIM', changed(writer), most, -1)
if redis.call('EXISTS', changed(writer)) == 1 then return 1 end
redis.call('HDEL', meta, 'change:' .. writer)
return 0
"""
)

FORGET = Script(
    _READS
    + """
redis.call('UNLINK', changed(ARGV[2]))
redis.call('HDEL', KEYS[1], 'change:' .. ARGV[2])
return 1
"""
)

DROP = Script(
    _READS
    + """
local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
  local name, value = fields[at], fields[at + 1]
  if name == 'line' or name == 'before_line' or name == 'writer_line' then
    redis.call('UNLINK', states(value))
  elseif name == 'writer' then
    redis.call('UNLINK', changed(value))
  elseif string.sub(name, 1, 7) == 'change:' then
    redis.call('UNLINK', changed(string.sub(name, 8)))
  end
end
redis.call('DEL', KEYS[1])
redis.call('SREM', ARGV[1] .. 'views', ARGV[2])
return 1
"""
)

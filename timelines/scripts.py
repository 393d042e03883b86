"""What Redis does to a home by itself, in one go: Lua scripts of `store.py`."""

from twitter.lib import resp

# Begins a build unless there is a home. ARGV: the build's name, its seconds to live.
BEGIN = resp.Script("""
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
""")

# Completes the build named ARGV[1], unless the home was dropped meanwhile: what arrived since the
# build began stays in front. After ARGV[3], which says how many there are, follow the home's values
# (mark, snapshot, floor), and then the popular authors that its owner follows.
COMPLETE = resp.Script("""
if redis.call('LREM', KEYS[1], -1, ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[2])
local function push(key, first, last)
    for i = first, last, 1000 do
        redis.call('RPUSH', key, unpack(ARGV, i, math.min(i + 999, last)))
    end
end
local last = 3 + ARGV[3]
push(KEYS[1], 4, last)
push(KEYS[2], last + 1, #ARGV)
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
""")

# Adds the entry ARGV[1] to a home that exists, unless there is the mark of its tweet's removal.
PUSH_UNLESS_REMOVED = resp.Script("""
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
return redis.call('LPUSHX', KEYS[1], ARGV[1])
""")

# Sorts homes that are not being built, and keeps the newest ARGV[1] entries of long ones; the next
# one is made the floor, by setting its tag. Often what has arrived is in order already, and only
# the mark has to move. SORT compares doubles, and as text what these do not tell apart: numbers of
# one length, so the order is right. To set the tag, Lua's doubles are not exact enough, but for the
# last 10 digits they are, and 10^10 is a multiple of 2^10.
TIDY = resp.Script("""
local size = tonumber(ARGV[1])
local function cut(key)
    redis.call('LTRIM', key, 0, size + 1)
    local last = redis.call('LINDEX', key, -1)
    local high, low = tonumber(last:sub(1, -11)) or 0, tonumber(last:sub(-10))
    low = low + 1023 - low % 1024
    if low >= 1e10 then high, low = high + 1, low - 1e10 end
    redis.call('LSET', key, -1, string.format('%d%010d', high, low))
end
local function is_sorted(values)
    local above = values[1]
    for i = 2, #values do
        local value = values[i]
        if #above < #value or (#above == #value and above <= value) then return false end
        above = value
    end
    return true
end
for _, key in ipairs(KEYS) do
    local mark = ARGV[2]
    local position = redis.call('LPOS', key, mark)
    if not position then
        mark = ARGV[3]
        position = redis.call('LPOS', key, mark)
    end
    if position and position > 0 then
        local first = redis.call('LRANGE', key, 0, math.min(position + 1, 300))
        table.remove(first, position + 1)
        if #first == position + 1 and is_sorted(first) then
            redis.call('LREM', key, 1, mark)
            redis.call('LPUSH', key, mark)
        else
            local ttl = redis.call('PTTL', key)
            redis.call('SORT', key, 'DESC', 'STORE', key)
            if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
        end
    end
    if position and redis.call('LLEN', key) > size + 2 then cut(key) end
end
""")

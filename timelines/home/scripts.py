"""What Redis does to a home by itself, in one go: Lua scripts of `store.py`.

Each touches one home, and the list of whom its reader merges, which has the same tag.
"""

from twitter.base.data import resp

# Begins a build unless there is a home. ARGV: the build's name, its seconds to live.
BEGIN = resp.Script("""
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
""")

# Completes the build named ARGV[1] of the home KEYS[1], unless that was dropped meanwhile: what
# arrived since the build began stays in front. ARGV[2]: the home's seconds to live. After ARGV[3],
# which says how many there are, follow the home's values, and then the popular authors that its
# owner follows, for KEYS[2].
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

# Lets the home KEYS[1], and the list KEYS[2] of whom it merges, live for ARGV[1] seconds from now,
# unless it is being built: then the last value is the build's name, of ARGV[2] bytes.
LIVE_ON = resp.Script("""
local last = redis.call('LINDEX', KEYS[1], -1)
if last and #last ~= tonumber(ARGV[2]) then
    redis.call('EXPIRE', KEYS[1], ARGV[1])
    redis.call('EXPIRE', KEYS[2], ARGV[1])
end
""")

# Pushes a floor into the home KEYS[1], at its own highest value, and cuts it to ARGV[1] values if
# it is longer than that. A floor is at least as high as all behind it, so the highest value stands
# before the last floor, or is that. ARGV[2]: how many bytes a floor has; ARGV[3]: how many of the
# newest values hold one, usually. A home that is being built has no floor and gets none: what
# arrived in it is all that the snapshot lacks, so it is not cut either. Ids have 53 bits, for which
# Lua's numbers are exact.
PUSH_FLOOR = resp.Script("""
local function floor_of(values)
    local highest, most = '', -1
    for _, value in ipairs(values) do
        local id = struct.unpack('>l', value)
        if id > most then most, highest = id, value:sub(1, 8) end
        if #value == tonumber(ARGV[2]) then return highest .. value:sub(9) end
    end
end
local floor = floor_of(redis.call('LRANGE', KEYS[1], 0, ARGV[3]))
    or floor_of(redis.call('LRANGE', KEYS[1], 0, -1))
if floor and redis.call('LPUSHX', KEYS[1], floor) > tonumber(ARGV[1]) then
    redis.call('LTRIM', KEYS[1], 0, ARGV[1] - 1)
end
""")

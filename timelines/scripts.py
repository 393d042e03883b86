"""What Redis does to a home by itself, in one go: Lua scripts of `store.py`."""

from twitter.lib import resp

# Raises KEYS[1] to ARGV[1], a number that Lua's doubles are not exact enough for: as text.
_RAISE = """
local highest = redis.call('GET', KEYS[1]) or ''
if #highest < #ARGV[1] or (#highest == #ARGV[1] and highest < ARGV[1]) then
    redis.call('SET', KEYS[1], ARGV[1])
end
"""
RAISE = resp.Script(_RAISE)

# Begins a build unless there is a home. ARGV: the build's name, its seconds to live.
BEGIN = resp.Script("""
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
""")

# Completes the build named ARGV[2] of the home KEYS[2], unless that was dropped meanwhile: what
# arrived since the build began stays in front. ARGV[3]: the home's seconds to live. After ARGV[4],
# which says how many there are, follow the home's values, and then the popular authors that its
# owner follows, for KEYS[3].
COMPLETE = resp.Script(
    _RAISE
    + """
if redis.call('LREM', KEYS[2], -1, ARGV[2]) == 0 then return 0 end
redis.call('DEL', KEYS[3])
local function push(key, first, last)
    for i = first, last, 1000 do
        redis.call('RPUSH', key, unpack(ARGV, i, math.min(i + 999, last)))
    end
end
local last = 4 + ARGV[4]
push(KEYS[2], 5, last)
push(KEYS[3], last + 1, #ARGV)
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('EXPIRE', KEYS[3], ARGV[3])
return 1
"""
)

# Adds the entry ARGV[2] to the home KEYS[2] if it exists, unless there is the mark of its tweet's
# removal; returns the home's length.
PUSH_UNLESS_REMOVED = resp.Script(
    _RAISE
    + """
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
return redis.call('LPUSHX', KEYS[2], ARGV[2])
"""
)

# Pushes a floor into homes, the keys after the first, and cuts those that are longer than ARGV[1].
# One that is being built is not cut: what arrived in it is all that the snapshot lacks.
PUSH_FLOORS = resp.Script("""
local highest = redis.call('GET', KEYS[1])
local full = tonumber(ARGV[1])
for i = 2, highest and #KEYS or 0 do
    local key = KEYS[i]
    if redis.call('LPUSHX', key, highest) > full then
        local kind = redis.call('LINDEX', key, -1)
        if kind == ARGV[2] or kind == ARGV[3] then
            redis.call('LTRIM', key, 0, full - 2)
            redis.call('RPUSH', key, kind)
        end
    end
end
""")

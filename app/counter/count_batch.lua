-- Count one batch of visits, exactly once however often it arrives.
--
-- KEYS: the counter; the writer's record, "<sequence> <result>" of the last batch that was applied.
-- ARGV: the batch's sequence number; its visits; the seconds that the record is kept from now on.
-- Returns {"counted", value after the batch} or {"refused", why}. Refused, and any error reply: nothing has
-- changed. One script is one atomic step, in memory, in the append-only file and on the replicas.
local last, result = string.match(redis.call('GET', KEYS[2]) or '', '^(%d+) (%-?%d+)$')
if not last then
  return {'refused', 'unknown writer'}
end
if tonumber(ARGV[1]) == tonumber(last) then
  return {'counted', result}
end
if tonumber(ARGV[1]) ~= tonumber(last) + 1 then
  return {'refused', 'sequence ' .. ARGV[1] .. ' after ' .. last}
end

-- It checks memory, role, type, range and the right to count, and fails before it changes anything.
local counted = redis.pcall('INCRBY', KEYS[1], ARGV[2])
if type(counted) == 'table' then
  return counted
end
-- A Lua number is exact up to 2^53.
local value = string.format('%.0f', counted)
if math.abs(counted) >= 2 ^ 53 then
  value = redis.call('GET', KEYS[1])
end
local saved = redis.pcall('SET', KEYS[2], ARGV[1] .. ' ' .. value, 'EX', ARGV[3])
if saved.err then
  -- The right to the record was taken away. Without it a second copy of the batch would count again.
  redis.call('INCRBY', KEYS[1], '-' .. ARGV[2])
  return saved
end
return {'counted', value}

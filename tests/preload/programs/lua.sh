# waits: lua5.4
# package: lua5.4
cat >script.lua <<'END'
local pipe = io.popen('for i in 1 2 3; do sleep 0.01; echo line $i; done; exit 3')
for line in pipe:lines() do print(line) end
print(pipe:close())
print(os.execute('sleep 0.02; kill -TERM $$'))
pipe = io.popen('sleep 0.02; sort -n', 'w')
for n = 3, 1, -1 do pipe:write(n, '\n') end
print(pipe:close())
for line in io.lines() do io.write(#line, ' ', line, '\n') end
print(coroutine.wrap(function() local p = io.popen('sleep 0.02; echo in a coroutine'); coroutine.yield(p:read('a')) end)())
local file = io.tmpfile(); file:write('temporary'); file:seek('set'); print(file:read('a'))
io.stderr:write('to stderr\n')
os.exit(5, true)
END
(sleep 0.03; echo slow; sleep 0.02; echo input) | lua5.4 script.lua || echo "status $?"

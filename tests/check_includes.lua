-- The include graph is the architecture (docs/design.md): a part of engine/ includes only from parts below it, the
-- engine knows nothing of Lua, and the things that only one file may touch are touched by that file only.

-- What each part may include besides itself, moth.h and system headers.
local below = {
    core = "",
    tensor = "core",
    ops = "core tensor",
    graph = "core tensor ops",
    autograd = "core tensor ops graph",
    plan = "core tensor ops graph",
    nn = "core tensor ops graph autograd plan",
    io = "core tensor",
    train = "core tensor ops graph autograd plan nn io",
    api = "core tensor ops graph autograd plan nn io train",
}

-- Pattern in a line -> the only place that may have it.
local only_in = {
    ["#%s*include%s*[<\"]cblas%.h"] = "engine/core/blas.c",
    ["pthread_create%s*%("] = "engine/core/threads.c",
    ["#%s*include%s*[<\"]lua%.h"] = "bindings/",
    ["#%s*include%s*[<\"]lauxlib%.h"] = "bindings/",
    ["#%s*include%s*[<\"]lualib%.h"] = "bindings/",
}

local allowed = {}
for part, list in pairs(below) do
    allowed[part] = { [part] = true }
    for name in list:gmatch("%w+") do
        allowed[part][name] = true
    end
end

local problems = 0
local function problem(file, line, text, ...)
    problems = problems + 1
    io.stderr:write(("%s:%d: " .. text .. "\n"):format(file, line, ...))
end

local function check_include(file, number, part, path)
    if path == "moth.h" or path == "moth_version.h" then
        return
    end
    local other = path:match("^(%w+)/")
    if not other or not below[other] then
        problem(file, number, 'write "part/%s", from engine/', path)
    elseif part and not allowed[part][other] then
        problem(file, number, "%s must not include from %s (%s)", part, other, path)
    end
end

local files = assert(io.popen("find engine -name '*.[ch]' -o -name '*.def' | LC_ALL=C sort"))
for file in files:lines() do
    local part = file:match("^engine/(%w+)/")
    if part and not below[part] then
        problem(file, 1, "%s is no part of the engine", part)
        part = nil
    end
    local number = 0
    for line in io.lines(file) do
        number = number + 1
        local path = line:match('^%s*#%s*include%s*"([^"]+)"')
        if path then
            check_include(file, number, part, path)
        end
        for pattern, owner in pairs(only_in) do
            if file ~= owner and line:find(pattern) then
                problem(file, number, "only %s may have this: %s", owner, line)
            end
        end
    end
end
files:close()
os.exit(problems == 0)

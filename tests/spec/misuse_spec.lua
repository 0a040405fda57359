-- Wrong calls, closed objects, collection, coroutines: each ends in a one-line error at the caller's line or in the
-- right result, and the process goes on.
local moth = require "moth"
local core = require "moth.core"
local support = require "tests.spec.support"
local fails = support.fails

core.limit_memory(1 << 30) -- what asks for more must fail, not try

local function works()
    local w = moth.ones(2, 2):requires_grad_();
    (w:matmul(moth.ones(2, 2)) * 2):sum():backward()
    assert.are.same({ { 4, 4 }, { 4, 4 } }, w.grad:totable())
end

-- Right arguments for every public function and method; each is then replaced by wrong ones. What may fail on its own
-- account (a shape that another right argument would have) is not the point: no call may crash, hang, or raise more
-- than a line.
local t, i32, u8 = moth.ones(2, 3), moth.ones(2, 3, { dtype = "int32" }), moth.ones(2, 3, { dtype = "uint8" })
local path = os.tmpname()
moth.save_npy(path, t)
moth.save_tensors(path .. "2", { a = t })
local right = {
    tensor = { { { 1, 2 } }, { dtype = "int32" } }, zeros = { { 2, 3 }, { dtype = "int32" } }, ones = { 2, 3, {} },
    full = { { 2 }, 1.5, {} }, eye = { 3, {} }, arange = { 1, 5, 1, {} }, linspace = { 0, 1, 5, {} },
    rand = { { 2, 3 }, {} }, randn = { 2, 3, {} }, randint = { 0, 9, { 3 }, {} }, permutation = { 5, {} },
    seed = { 1 }, threads = { 2 }, cpu = { moth.cpu() }, cat = { { t, t }, 1 }, stack = { { t, t }, 1 },
    where = { u8, t, t }, one_hot = { i32, 3 }, maximum = { t, t }, minimum = { t, t },
    matmul = { t, moth.ones(3, 2) }, no_grad = { function() end }, compile = { function(x) return x end, {} },
    save_npy = { path, t }, load_npy = { path }, save_tensors = { path .. "2", { a = t } },
    load_tensors = { path .. "2" },
    gradcheck = { function(x) return x * 2 end, t, {} },
}
local right_methods = {
    to = { "int32" }, clamp = { 0, 1 }, transpose = { 1, 2 }, permute = { { 2, 1 } }, reshape = { 3, 2 },
    expand = { 4, 2, 3 }, squeeze = { { 1 } }, unsqueeze = { 1 }, slice = { 1, 1, 2 }, index = { 1, { 1 } },
    split = { 2, 1 }, softmax = { 1 }, log_softmax = { 1 }, cumsum = { 1, false }, flip = { 1 }, size = { 1 },
    requires_grad_ = { true }, fill_ = { 1 }, copy_ = { t }, one_hot = { 3 }, where = { t, t },
    matmul = { moth.ones(3, 2) },
}
for _, name in ipairs { "add", "sub", "mul", "div", "pow", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge" } do
    right_methods[name] = { t }
    if core.tensor_methods[name .. "_"] then
        right_methods[name .. "_"] = { t }
    end
end
for _, name in ipairs { "sum", "mean", "prod", "var", "std", "norm", "max", "min", "argmax", "argmin", "all", "any" } do
    right_methods[name] = { 1, true }
end

local foreign = io.tmpfile()
local closed = moth.ones(2)
debug.getmetatable(closed).__gc(closed)
local wrong = {
    { "nil", nil }, { "true", true }, { "a string", "/x/y" }, { "a string with a zero", "a\0b" },
    { "a table", { "x" } }, { "a table with itself", nil }, { "a function", function() end }, { "a file", foreign },
    { "a thread", coroutine.create(print) }, { "nan", 0 / 0 }, { "inf", math.huge }, { "-1", -1 }, { "0", 0 },
    { "0.5", 0.5 }, { "2^31", 2 ^ 31 }, { "2^32+1", 2 ^ 32 + 1 }, { "2^53", 2 ^ 53 }, { "2^53+1", (1 << 53) + 1 },
    { "2^62", 1 << 62 }, { "maxinteger", math.maxinteger }, { "mininteger", math.mininteger }, { "1e308", 1e308 },
    { "an empty table", {} }, { "a deep table", { { { { { { { { { { 1 } } } } } } } } } } },
    { "a table of huge numbers", { 1 << 62, 1 << 62 } }, { "a table of nan", { 0 / 0 } },
    { "a tensor of rank 5", moth.ones(1, 1, 1, 1, 2) }, { "an empty tensor", moth.zeros(0) },
    { "a 0-d tensor", moth.tensor(1) }, { "an int32 tensor", i32 }, { "a uint8 tensor", u8 },
    { "a closed tensor", closed },
}
local itself = {}
itself[1], itself.dtype = itself, itself
wrong[6][2] = itself

local function try(name, f, arguments, n)
    local result = table.pack(pcall(f, table.unpack(arguments, 1, n)))
    if not result[1] then
        local message = result[2]
        assert(type(message) == "string", name .. ": the error is no string")
        assert(message:match("^tests/spec/misuse_spec.lua:%d+: "), name .. ": no position: " .. message)
        assert(not message:find("%c"), name .. ": not one printable line: " .. message)
        assert(#message < 1000, name .. ": too long: " .. message)
    end
    assert(not moth.no_grad(core.grad_enabled) and core.grad_enabled(), name .. ": recording is off")
    return result[1]
end

local function substitute(name, f, arguments, count)
    for position = 1, count do
        for _, bad in ipairs(wrong) do
            local changed = table.move(arguments, 1, count, 1, {})
            changed[position] = bad[2]
            local text = ("%s with %s as argument %d"):format(name, bad[1], position)
            try(text, f, changed, count)
        end
    end
    for n = 0, count do
        try(name .. " with " .. n .. " arguments", f, arguments, n)
    end
end

describe("wrong calls of", function()
    it("every public function are known here", function()
        for name, value in pairs(moth) do
            local here = type(value) == "function" and (value == core[name] or value == core.tensor_methods[name])
            local method = value == core.tensor_methods[name] -- tried as such below
            assert.is_truthy(right[name] or method or not here, name)
        end
    end)

    local names = {}
    for name in pairs(right) do
        names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
        it("moth." .. name, function()
            local seed, threads, cpu = 1671, moth.threads(), moth.cpu()
            local count = 0
            for k in pairs(right[name]) do
                count = math.max(count, k)
            end
            substitute(name, moth[name], right[name], count)
            moth.seed(seed)
            moth.threads(threads)
            moth.cpu(cpu)
            works()
        end)
    end

    local methods = {}
    for name in pairs(core.tensor_methods) do
        methods[#methods + 1] = name
    end
    table.sort(methods)
    for _, name in ipairs(methods) do
        it("t:" .. name, function()
            local arguments = right_methods[name] or {}
            local selves = { t, i32, u8, moth.tensor(1), moth.zeros(0, 3), moth.zeros(1, 1, 1, 1, 1, 1, 1, 1) }
            for _, self in ipairs(selves) do
                self = self:clone() -- in-place methods change it
                substitute(name, core.tensor_methods[name], table.move(arguments, 1, #arguments, 2, { self }),
                    #arguments + 1)
            end
            works()
        end)
    end

    it("metamethods", function()
        local meta = debug.getmetatable(t)
        local events = {}
        for event, f in pairs(meta) do
            if type(f) == "function" and event ~= "__gc" then
                events[#events + 1] = event
            end
        end
        table.sort(events)
        for _, event in ipairs(events) do
            local count = event == "__newindex" and 3 or 2
            local good = { moth.ones(2, 3), event == "__index" and 1 or moth.ones(3), moth.ones(3) }
            if event == "__newindex" then
                good[2] = 1
            end
            substitute(event, meta[event], good, count)
        end
        works()
    end)

    it("an op say who is to blame", function()
        assert.matches("^bad argument #1 to 'zeros' %(sizes or a list of sizes expected, got no value%)$",
            fails(function() moth.zeros() end))
        assert.matches("^bad argument #1 to 'reshape' %(sizes expected, got nil%)$",
            fails(function() t:reshape(nil) end))
        assert.matches("^bad argument #2 to 'clamp' %(number expected, got boolean%)$",
            fails(function() t:clamp(1, true) end))
        assert.matches("^bad argument #1 to 'backward' %(tensor expected, got string%)$",
            fails(function() t:backward("x") end))
        assert.matches("^bad argument #1 to 'step' %(entry 2: tensor expected, got number%)$",
            fails(function() moth.optimizers.SGD {}:step { t, 1 } end))
        assert.matches("^bad argument #1 to 'step' %(list of tensors expected, got tensor%)$",
            fails(function() moth.optimizers.SGD {}:step(t) end))
        assert.matches("^bad argument #1 to 'add' %(tensor or number expected, got nil%)$",
            fails(function() t:add() end))
        assert.matches("^calling 'sum' on bad self %(tensor expected, got table%)$",
            fails(function() local o = { sum = t.sum } o:sum() end))
        assert.matches("dim expected %(from 1, or from the end: %-1%), got 0", fails(function() t:sum(0) end))
        assert.matches("sum: dim 3 is outside 1..2; got %(2, 3%)", fails(function() t:sum(3) end))
        assert.matches("dim expected", fails(function() t:transpose(1) end))
    end)

    it("with an option where a list belongs are not passed over", function()
        assert.matches("plain list of dims expected, got a table with the key 'dim'",
            fails(function() t:sum { dim = 1 } end))
        assert.matches("plain list of sizes expected, got a table with the key 'dtype'",
            fails(function() moth.zeros { 2, 3, dtype = "int32" } end))
        assert.matches("plain list of sizes expected", fails(function() t:reshape { 3, 2, order = 1 } end))
        assert.matches("plain list of tensors expected", fails(function() moth.optimizers.SGD {}:step { w = t } end))
        assert.matches("without names, got the key 'first'", fails(function() return t[{ { first = 1 } }] end))
        assert.matches("without names, got the key 'dim'", fails(function() return t[{ dim = 1 }] end))
    end)

    it("refuses a schedule whose lists do not fit", function()
        for _, case in ipairs {
            { { { 10, 20 }, { 1, 0.5 } }, "one number more than boundaries; got 2 boundaries and 2 values" },
            { { { 20, 10 }, { 1, 0.5, 0.1 } }, "'boundaries' must be a list of numbers that rise; see entry 2" },
            { { { "a" }, { 1, 2 } }, "'boundaries' must be a list of numbers that rise; see entry 1" },
            { { { 1 }, { 1, -2 } }, "'values' must be a list of numbers from 0; see entry 2" },
            { { 3, 4 }, "got 0 boundaries and 0 values" }, { { {}, {} }, "got 0 boundaries and 0 values" },
        } do
            local message = fails(function() moth.schedules.PiecewiseConstant(case[1]) end)
            assert(message:find(case[2], 1, true), message)
        end
        assert.equal(0.5, moth.schedules.PiecewiseConstant { {}, { 0.5 } } (7))
    end)

    it("show values, never addresses", function()
        for _, value in ipairs { {}, print, io.stdout, coroutine.create(print) } do
            local calls = {
                function() t:sum { value } end, function() t:index(1, { value }) end,
                function() moth.one_hot({ value }, 3) end, function() return t[{ { 1, value } }] end,
                function() t:split { value } end, function() moth.Input { value, 1 } end,
            }
            for _, call in ipairs(calls) do
                local fine, message = pcall(call)
                assert.is_false(fine)
                assert.not_matches("0x", message)
            end
        end
    end)

    it("functions of moth's Lua side are short in time and text", function()
        assert.matches("2 of 1099511627776 entries",
            fails(function() moth.Input { [1] = 1, [1 << 40] = 2 } end))
        local layers = moth.layers
        local model = moth.Sequential { layers.Dense { 2, input_shape = { 3 } } }
        model:compile { loss = "mse" }
        local x, y = moth.ones(2, 3), moth.ones(2, 2)
        model:fit(x, y, { initial_epoch = math.maxinteger, verbose = 0 }) -- more than there are: none is left
        assert.are.equal(0, model.step)
        local history = model:fit(x, y, { verbose = 0 })
        assert.matches("metrics%[1%] must be a name; got a table",
            fails(function() history:plot("x.svg", { metrics = { {} } }) end))
        assert.matches("must be a table of options; got 3", fails(function() history:plot("x.svg", 3) end))
        assert.matches("verbose must be one of 0, 1, 2",
            fails(function() moth.sweep { name = "x", grid = { a = { 1 } }, trial = print, verbose = "q" } end))
        assert.matches("trainable must be true or false, got 'x'",
            fails(function() model.layers[1].trainable = "x" end))
        assert.matches("x%.%.%.$", fails(function() moth.datasets.image_folder(("x"):rep(5000)) end))
        assert.matches("a\\x0ab\\x1b", fails(function() moth.datasets.image_folder("/nowhere/a\nb\27[31m") end))
        for _, case in ipairs {
            { 0 / 0, "an integer, got nan" }, { 0.5, "an integer, got 0.5" }, { 1e300, "an integer, got 1e%+300" },
            { 2 ^ 53, "at most 2^40, got 9007199254740992" }, { 1 << 53, "at most 2^40, got 9007199254740992" },
            { -1, "at least 1, got %-1" },
        } do
            assert.matches("Dense: option 'units' must be " .. case[2]:gsub("%^", "%%^"),
                fails(function() layers.Dense { case[1] } end))
        end
        assert.matches('moth.layers has no "Custom"; known: Activation', fails(function() return layers.Custom end))
    end)

    it("functions of moth's Lua side blame the caller", function()
        local function helper(n)
            return moth.zeros(n)
        end
        local fine, message = pcall(function() return helper(-1) end)
        assert.is_false(fine)
        local line = debug.getinfo(helper, "S").linedefined + 1
        assert.matches("^tests/spec/misuse_spec.lua:" .. line .. ": bad argument #1 to 'zeros'", message)
    end)
end)

describe("files", function()
    it("come back as they were saved", function()
        local empty, scalar = moth.zeros(0, 3), moth.tensor(2.5)
        for _, saved in ipairs { t * 1.25, i32, u8, t:T(), empty, scalar } do
            moth.save_npy(path, saved)
            local loaded = moth.load_npy(path)
            assert.are.same({ saved.shape, saved.dtype, saved:totable() },
                { loaded.shape, loaded.dtype, loaded:totable() })
        end
        moth.save_tensors(path, { a = t, ["b/c"] = i32, d = empty, e = scalar })
        local loaded = moth.load_tensors(path)
        assert.are.same(i32:totable(), loaded["b/c"]:totable())
        assert.are.equal(2.5, loaded.e:item())
        assert.are.same({ 0, 3 }, loaded.d.shape)
        assert.is_nil(loaded.f)
        assert.matches("'x' must be a tensor", fails(function() moth.save_tensors(path, { x = 1 }) end))
        assert.matches("/nowhere/x", fails(function() moth.load_npy("/nowhere/x") end))
        os.remove(path)
        os.remove(path .. "2")
    end)
end)

describe("random calls", function()
    it("end in results or one-line errors #slow", function()
        math.randomseed(7)
        local pool = {}
        for _, bad in ipairs(wrong) do
            pool[#pool + 1] = bad[2]
        end
        table.move({ 1, 2, 3, { 2, 3 }, t, i32, u8, t:T(), "int32", "float32", { dtype = "uint8" }, { t, t } }, 1, 12,
            #pool + 1, pool)
        local functions = {}
        for name in pairs(right) do
            if not name:find("^save") and name ~= "threads" and name ~= "cpu" and name ~= "no_grad" then
                functions[#functions + 1] = { name, moth[name] }
            end
        end
        for name, f in pairs(core.tensor_methods) do
            functions[#functions + 1] = { "t:" .. name, f }
        end
        table.sort(functions, function(a, b) return a[1] < b[1] end)
        for _, f in ipairs(functions) do
            for _ = 1, 200 do
                local arguments, n = {}, math.random(0, 4)
                for k = 1, n do
                    arguments[k] = pool[math.random(#pool + 1)]
                end
                if math.random() < 0.7 then
                    arguments[1] = ({ t, i32, u8, moth.rand(3, 4) })[math.random(4)]:clone()
                    n = math.max(n, 1)
                end
                try(f[1], f[2], arguments, n)
            end
        end
        t = moth.ones(2, 3)
        works()
    end)
end)

describe("a closed tensor", function()
    it("refuses every method and operator", function()
        for name, f in pairs(core.tensor_methods) do
            local fine, message = pcall(f, closed, 1, 1)
            assert.is_false(fine, name)
            assert.matches("closed tensor", message)
        end
        assert.matches("closed", fails(function() return closed.shape end))
        assert.matches("closed", fails(function() return closed + 1 end))
        assert.matches("closed", fails(function() return 1 - closed end))
        assert.matches("closed", fails(function() return #closed end))
        assert.matches("closed", fails(function() return closed < 1 end))
        assert.matches("closed", fails(function() closed[1] = 1 end))
        assert.are.equal("tensor (closed)", tostring(closed))
        assert.is_false(closed == moth.ones(2))
    end)

    it("can be closed again, and only its own kind", function()
        local gc = debug.getmetatable(closed).__gc
        gc(closed)
        gc(closed)
        gc(foreign)
        gc(nil)
        gc({})
        assert.are.equal("moth", getmetatable(closed))
        assert.has_error(function() setmetatable(closed, {}) end)
        local fake = debug.setmetatable(io.tmpfile(), debug.getmetatable(closed))
        assert.matches("tensor expected", fails(function() return fake.shape end))
        works()
    end)

    it("comes back from a finalizer as closed", function()
        local kept
        do
            setmetatable({ tensor = moth.ones(3) }, { __gc = function(self) kept = self.tensor end })
        end
        collectgarbage()
        collectgarbage()
        assert.is_true(kept ~= nil)
        local fine, message = pcall(function() return kept:sum():item() end)
        assert.is_true(fine or message:find("closed tensor") ~= nil)
        works()
    end)
end)

describe("the collector", function()
    local function resident()
        local file = io.open("/proc/self/statm")
        if not file then
            return 0
        end
        local _, pages = file:read("n", "n")
        file:close()
        return pages * 4096
    end

    it("keeps an eager loop of dead tensors small", function()
        collectgarbage()
        local before, peak = core.live_bytes(), 0
        local x = moth.ones(1024, 1024) -- 4 MB
        for _ = 1, 1000 do
            local y = x + 1 -- luacheck: ignore
            peak = math.max(peak, core.live_bytes())
        end
        assert.is_true(peak - before < 256 << 20, ("peak %.0f MB"):format((peak - before) / 2 ^ 20))
    end)

    it("works in generational mode and while stopped", function()
        collectgarbage("generational")
        local x, peak = moth.ones(512, 1024), 0
        for _ = 1, 1000 do
            local y = (x + 1):T() -- luacheck: ignore
            peak = math.max(peak, core.live_bytes())
        end
        collectgarbage("incremental")
        assert.is_true(peak < 300 << 20)
        works()
    end)

    it("does not let small tensors pile up #slow", function()
        if os.getenv("ASAN_OPTIONS") then
            return -- it keeps what was freed
        end
        local x = moth.ones(3)
        for _ = 1, 200000 do
            local y = x * 2 + 1 -- luacheck: ignore
        end
        collectgarbage()
        local before = resident()
        for _ = 1, 400000 do
            local y = x * 2 + 1 -- luacheck: ignore
        end
        collectgarbage()
        assert.is_true(resident() - before < 8 << 20)
    end)

    it("frees graphs, also circular ones through Lua", function()
        collectgarbage()
        collectgarbage()
        local before = core.live_bytes()
        do
            local w = moth.randn(100, 100):requires_grad_()
            local y = w
            for _ = 1, 50 do
                y = (y * w):tanh()
            end
            local holder = { y = y }
            holder.self = holder
            local f = moth.compile(function(x) return x * w, holder.y and 1 end)
            f(moth.ones(100, 100)):sum():backward()
        end
        collectgarbage()
        collectgarbage()
        assert.is_true(core.live_bytes() - before < 1 << 16, tostring(core.live_bytes() - before))
    end)

    it("may run at any moment", function()
        -- a cycle in nearly every allocation of Lua, and a full collection between any two of its instructions
        for _, mode in ipairs { { "incremental", 1, 1000 }, { "generational" } } do
            collectgarbage(table.unpack(mode))
            debug.sethook(function() collectgarbage() end, "", 10)
            for _ = 1, 3 do
                works()
                moth.compile(function(x) return x * 2, x.shape[1] * x end)(moth.ones(3, 2))
                moth.compile(function(x) return (x * t):sum() end)(moth.ones(2, 3):requires_grad_()):backward()
                moth.cat({ t, moth.stack({ t[1], t[2] }) }):split(2)[1]:index(1, { 2, 1 }):totable()
                pcall(moth.zeros, "x")
            end
            debug.sethook()
        end
        collectgarbage("incremental", 200, 100)
    end)
end)

describe("a failed allocation", function()
    local w = moth.randn(4, 3):requires_grad_()
    local x, y = moth.randn(5, 4), moth.randn(5, 3)
    local function loss(u, v)
        return (u:matmul(w):tanh() - v):square():mean()
    end
    local tasks = {
        eager = function()
            loss(x, y):backward()
            w:zero_grad()
        end,
        ["in place"] = function()
            local t2 = x:clone()
            t2:add_(1):mul_(x)
            t2[{ { 1, 2 } }] = x[{ { 2, 3 } }]
        end,
        compile = function()
            local step = moth.compile(loss)
            step(x, y):backward()
            w:zero_grad()
        end,
        ["training step"] = function()
            moth.compile(loss, { optimizer = moth.optimizers.Adam { lr = 1e-3 } })(x, y)
        end,
        lists = function()
            moth.cat({ x, moth.stack({ x[1], x[2] }) }, 1):split({ 3, 4 })[1]:index(1, { 3, 1 }):totable()
        end,
        text = function()
            return tostring(moth.randn(20, 20)), moth.one_hot({ 1, 2 }, 3)
        end,
    }
    local names = {}
    for name in pairs(tasks) do
        names[#names + 1] = name
    end
    table.sort(names)
    local function settle()
        collectgarbage()
        collectgarbage()
        return core.live_blocks()
    end
    -- Runs the task with its nth allocation failing; tells whether it came to its end.
    local function try_without(name, n, persistent)
        core.fail_alloc(n, persistent)
        local fine, message = pcall(tasks[name])
        core.fail_alloc(0)
        w:zero_grad()
        assert(fine or message:find("memory"), message)
        return fine
    end
    for _, name in ipairs(names) do
        it("in " .. name .. " is an error or is survived", function()
            tasks[name]()
            local before, n = settle(), 1
            while not try_without(name, n, true) do
                n = n + 1
                assert(n < 5000)
            end
            for k = 1, n do
                try_without(name, k, false)
            end
            works()
            assert.are.equal(before, settle())
        end)
    end
end)

describe("the module", function()
    it("opens again as the same table", function()
        package.loaded.moth = nil
        assert.are.equal(moth, require "moth")
        local open = package.loadlib and package.preload.moth
        if open then
            assert.are.equal(moth, open("moth"))
        end
    end)

    it("has a version", function()
        local file = io.open("VERSION")
        assert.are.equal(file:read("l"), moth.version)
        file:close()
    end)

    it("serves coroutines of one state", function()
        local threads = {}
        for k = 1, 20 do
            threads[k] = coroutine.wrap(function()
                local w = moth.full({ 3 }, k):requires_grad_()
                coroutine.yield()
                local y = (w * w):sum()
                coroutine.yield()
                y:backward()
                return w.grad[1]
            end)
        end
        for _ = 1, 2 do
            for k = 1, 20 do
                threads[k]()
            end
        end
        for k = 20, 1, -1 do
            assert.are.equal(2 * k, threads[k]())
        end
        local abandoned = coroutine.wrap(function()
            local x = moth.ones(1000)
            coroutine.yield()
            return x
        end)
        abandoned()
        abandoned = nil -- luacheck: ignore
        collectgarbage()
        works()
    end)
end)

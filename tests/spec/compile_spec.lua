local moth = require "moth"
local support = require "tests.spec.support"
local fails = support.fails

local golden = dofile("tests/golden/tensors.lua")

local function bits(value)
    local numbers = support.flat(value)
    for i, x in ipairs(numbers) do
        numbers[i] = ("<f"):pack(x)
    end
    return table.concat(numbers)
end

-- Results and gradients of f on fresh leaves.
local function run(f, case)
    local inputs = {}
    for k, values in ipairs(case.inputs) do
        inputs[k] = moth.tensor(values):requires_grad_()
    end
    local y = f(table.unpack(inputs))
    local weights = (moth.arange(y:numel()):reshape(y.shape) * 0.37):sin();
    (y * weights):sum():backward()
    local gradients = {}
    for k, input in ipairs(inputs) do
        gradients[k] = bits(input.grad:totable())
    end
    return bits(y:totable()), gradients, y.shape
end

describe("a compiled function gives the bits of the eager one:", function()
    for i, case in ipairs(golden.differentiable) do
        it(("%s (%d)"):format(case.code, i), function()
            local f = assert(load("local moth = ... return function(a, b, c) return " .. case.code .. " end"))(moth)
            local y, dx, shape = run(f, case)
            local compiled = moth.compile(f)
            for _ = 1, 2 do
                local y2, dx2, shape2 = run(compiled, case)
                assert.are.same(shape, shape2)
                assert.is_true(y == y2)
                assert.are.same(dx, dx2)
            end
        end)
    end
end)

describe("a compiled step", function()
    local w, b, traces

    local function step(x, y)
        traces = traces + 1
        local h = (x:matmul(w) + b):tanh()
        return (h - y):square():sum() / x.shape[1], h
    end

    before_each(function()
        moth.seed(11)
        traces = 0
        w, b = moth.randn(5, 3):requires_grad_(), moth.zeros(3):requires_grad_()
    end)

    local function gradients(f, x, y)
        w:zero_grad()
        b:zero_grad()
        local loss, h = f(x, y)
        loss:backward()
        return { bits(loss:item()), bits(h:totable()), bits(w.grad:totable()), bits(b.grad:totable()) }
    end

    it("serves every number of rows with one trace", function()
        local compiled = moth.compile(step)
        for _, rows in ipairs { 32, 31, 2, 100, 32 } do
            local x, y = moth.randn(rows, 5), moth.randn(rows, 3)
            assert.are.same(gradients(step, x, y), gradients(compiled, x, y))
        end
        assert.are.equal(5 + 1, traces)
        local x, y = moth.randn(1, 5), moth.randn(1, 3) -- one row may broadcast: exact
        assert.are.same(gradients(step, x, y), gradients(compiled, x, y))
        assert.are.equal(6 + 2, traces)
    end)

    it("gives the same bits on 1, 2 and 3 threads", function()
        local compiled, threads = moth.compile(step), moth.threads()
        local x, y = moth.randn(300, 5), moth.randn(300, 3)
        local first = gradients(compiled, x, y)
        for n = 1, 3 do
            moth.threads(n)
            assert.are.same(first, gradients(compiled, x, y))
        end
        moth.threads(threads)
    end)

    it("takes empty batches", function()
        local v = moth.ones(3):requires_grad_()
        local f = moth.compile(function(x, y)
            return x:sum(2), x + 1, (x * v):sum(), x:T():matmul(x), y:sum(1)
        end)
        for _, rows in ipairs { { 0, 0 }, { 2, 0 }, { 0, 5 } } do
            local p, q, c, d, e = f(moth.ones(rows[1], 3), moth.ones(rows[2], 2))
            assert.are.same({ { rows[1] }, { rows[1], 3 }, {}, { 3, 3 }, { 2 } },
                { p.shape, q.shape, c.shape, d.shape, e.shape })
            assert.are.equal(3.0 * rows[1], c:item())
            assert.are.equal(rows[1] + 0.0, d[{ 3, 1 }])
            assert.are.equal(rows[2] + 0.0, e[2])
            c:backward()
            assert.are.same(moth.full({ 3 }, rows[1]):totable(), v.grad:totable())
            v:zero_grad()
        end
    end)

    it("reads captured tensors at each run", function()
        local compiled = moth.compile(step)
        local x, y = moth.randn(8, 5), moth.randn(8, 3)
        gradients(compiled, x, y)
        moth.no_grad(function() w:sub_(w.grad * 0.1) end)
        assert.are.same(gradients(step, x, y), gradients(compiled, x, y))
        assert.are.equal(3 - 1, traces)
    end)

    it("follows a captured tensor that wants no gradient any more", function()
        local compiled = moth.compile(step)
        local x, y = moth.randn(8, 5), moth.randn(8, 3)
        gradients(compiled, x, y)
        w:requires_grad_(false)
        w:zero_grad()
        compiled(x, y):backward()
        assert.is_nil(w.grad)
        assert.is_truthy(b.grad)
    end)

    it("has gradients for its arguments and a history before it", function()
        local compiled = moth.compile(step)
        local v = moth.randn(8, 5):requires_grad_()
        local y = moth.randn(8, 3)
        step(v * 2, y):backward()
        local expected = bits(v.grad:totable())
        v:zero_grad()
        compiled(v * 2, y):backward()
        assert.are.equal(expected, bits(v.grad:totable()))
    end)

    it("notices a change in place between run and backward", function()
        local compiled = moth.compile(step)
        local x, y = moth.randn(8, 5), moth.randn(8, 3)
        local loss = compiled(x, y)
        moth.no_grad(function() w:add_(1) end)
        assert.matches("was changed in place", fails(function() loss:backward() end))
    end)

    it("records nothing inside no_grad", function()
        local compiled = moth.compile(step)
        local loss = moth.no_grad(compiled, moth.randn(8, 5), moth.randn(8, 3))
        assert.is_false(loss.requires_grad)
        assert.is_true(compiled(moth.randn(8, 5), moth.randn(8, 3)).requires_grad)
    end)

    it("keeps results alive for several backward passes in any order", function()
        local compiled = moth.compile(step)
        local x, y = moth.randn(8, 5), moth.randn(8, 3)
        local first, second = compiled(x, y), compiled(x * 2, y)
        compiled = nil -- luacheck: ignore
        collectgarbage()
        w:zero_grad()
        first:backward()
        local g = w.grad:clone()
        w:zero_grad()
        second:backward()
        w:zero_grad()
        step(x, y):backward()
        assert.are.equal(bits(w.grad:totable()), bits(g:totable()))
    end)
end)

describe("a compiled training step", function()
    local x, y = moth.randn(40, 5), moth.randn(40, 3)

    local function setup()
        moth.seed(3)
        local w, b = moth.randn(5, 3):requires_grad_(), moth.zeros(3):requires_grad_()
        return function(u, v) return ((u:matmul(w) + b):tanh() - v):square():mean() end, { w, b }
    end

    for _, name in ipairs { "SGD", "RMSprop", "Adam" } do
        it("with " .. name .. " gives the bits of the same loop written by hand", function()
            local by_hand, weights = setup()
            local optimizer = moth.optimizers[name] { lr = 0.05 }
            local loss, compiled_weights = setup()
            local step = moth.compile(loss, { optimizer = moth.optimizers[name] { lr = 0.05 }, training = true })
            for rows = 40, 21, -1 do
                local u, v = x[{ { 1, rows } }], y[{ { 1, rows } }]
                local expected = by_hand(u, v)
                expected:backward()
                optimizer:step(weights)
                optimizer:zero_grad(weights)
                assert.are.equal(bits(expected:item()), bits(step(u, v):item()))
            end
            for k, w in ipairs(weights) do
                assert.are.equal(bits(w:totable()), bits(compiled_weights[k]:totable()))
            end
        end)
    end

    it("stops before the update where the loss is not finite", function()
        local w = moth.ones(2):requires_grad_()
        local step = moth.compile(function(u) return (u * w):sum() end, { optimizer = "sgd" })
        local fine, message = pcall(step, moth.tensor({ 0 / 0, 1 }))
        assert.is_false(fine)
        assert.matches("the loss is %-?nan", message)
        assert.are.same({ 1, 1 }, w:totable())
        assert.are.equal(2, step(moth.ones(2)):item())
        assert.are_not.same({ 1, 1 }, w:totable())
    end)

    it("needs a loss and a known optimizer", function()
        local w = moth.ones(2):requires_grad_()
        for _, f in ipairs { function(u) return u:sum() end, function(u) return u * w end, function() end,
            function(u) return 1, (u * w):sum() end } do
            local fine, message = pcall(moth.compile(f, { optimizer = "sgd" }), moth.ones(2))
            assert.is_false(fine)
            assert.matches("compile_spec.lua:%d+: compile: with an optimizer the function must return the loss first",
                message)
        end
        assert.matches("unknown optimizer 'sgdd'", fails(function() moth.compile(print, { optimizer = "sgdd" }) end))
        assert.matches("expected the name of an optimizer",
            fails(function() moth.compile(print, { optimizer = 3 }) end))
    end)
end)

describe("compile", function()
    it("traces again for other types, shapes and constants", function()
        local traces = 0
        local f = moth.compile(function(x, k, flag)
            traces = traces + 1
            return flag and x * k or x + k, k
        end)
        local function try(...)
            local y, k = f(...)
            return y:totable(), k
        end
        assert.are.same({ { 2, 4 }, 2 }, { try(moth.tensor({ 1, 2 }), 2, true) })
        assert.are.same({ { 3, 6 }, 3 }, { try(moth.tensor({ 1, 2 }), 3, true) })
        assert.are.same({ { 4, 5 }, 3 }, { try(moth.tensor({ 1, 2 }), 3) })
        assert.are.same({ { 2, 4 }, 2 }, { try(moth.tensor({ 1, 2 }, { dtype = "int32" }), 2, true) })
        assert.are.same({ { { 2, 4 }, { 6, 8 } }, 2 }, { try(moth.tensor({ { 1, 2 }, { 3, 4 } }), 2, true) })
        assert.are.equal(5, traces)
        try(moth.tensor({ 1, 2, 3 }), 2, true)
        assert.are.equal(5, traces)
        for k = 1, 200 do
            assert.are.same({ { k, 2 * k }, k }, { try(moth.tensor({ 1, 2 }), k, true) })
        end
    end)

    it("passes constants, captured tensors and arguments through", function()
        local w = moth.tensor({ 7 })
        local f = moth.compile(function(x) return x, 1, nil, "s", w, x:T() end)
        local x, one, none, text, captured, turned = f(moth.tensor({ { 1, 2 }, { 3, 4 } }))
        assert.are.same({ { 1, 2 }, { 3, 4 } }, x:totable())
        assert.are.same({ 1, "s" }, { one, text })
        assert.is_nil(none)
        assert.are.same({ 7 }, captured:totable())
        assert.are.same({ { 1, 3 }, { 2, 4 } }, turned:totable())
        moth.compile(function() end)()
    end)

    it("takes views and renames what is changed in place", function()
        local f = moth.compile(function(x)
            x:add_(1)
            x[{ 1, 1 }] = 9
            x[{ {}, 2 }]:mul(2)
            return x
        end)
        local base = moth.tensor({ { 1, 2 }, { 3, 4 }, { 5, 6 } })
        assert.are.same({ { 9, 4, 6 }, { 3, 5, 7 } }, f(base:T()):totable())
        assert.are.same({ { 1, 2 }, { 3, 4 }, { 5, 6 } }, base:totable())
    end)

    it("computes with the number of rows", function()
        local seen
        local f = moth.compile(function(x)
            seen = x.shape
            return x:reshape(x.shape[1] * 2, 3), x:sum() / x.shape[1], moth.ones(x.shape[1], 2) * #x,
                x:reshape(x.shape[1] * 2, -1):reshape(x.shape[1] * 2 // 2, 6)
        end)
        for _, rows in ipairs { 4, 3, 5 } do
            local x = moth.randn(rows, 6)
            local a, b, c, d = f(x)
            assert.are.same({ rows * 2, 3 }, a.shape)
            assert.are.equal((x:sum() / rows):item(), b:item())
            assert.are.same(moth.full({ rows, 2 }, rows):totable(), c:totable())
            assert.are.same(x:totable(), d:totable())
        end
        assert.are.equal("batch", tostring(seen[1]))
        assert.are.equal("2*batch", tostring(seen[1] * 2))
        assert.are.equal(6, seen[2])
    end)

    it("draws new random numbers at each run", function()
        local f = moth.compile(function(x) return x + moth.rand(x.shape[1]), moth.randn(x.shape[1]) end)
        moth.seed(2)
        local a, n = f(moth.zeros(9))
        local b = f(moth.zeros(9))
        assert.are_not.same(a:totable(), b:totable())
        assert.are_not.same(a:totable(), n:totable())
        moth.seed(2)
        assert.are.same(a:totable(), f(moth.zeros(9)):totable())
    end)

    it("assigns to captured tensors at the end of a run, and computes with what it assigns", function()
        local function results(wrap)
            local count, mean = moth.zeros(1), moth.zeros(2)
            local f = wrap(function(x)
                count:add_(1)
                mean:copy_(x:mean(1))
                count[{ { 1, 1 } }] = count * 2 + mean[{ { 1, 1 } }]
                return x:sum() + count:sum(), count, mean + 1
            end)
            local all = {}
            for i = 1, 3 do
                local a, b, c = f(moth.tensor({ { 1, 2 }, { 3, 4 } }) * i)
                all[i] = { a:item(), b:totable(), c:totable(), count:totable(), mean:totable() }
            end
            return all
        end
        local eager = results(function(f) return f end)
        assert.are.same({ 14, { 4 }, { 3, 4 }, { 4 }, { 2, 3 } }, eager[1])
        assert.are.same(eager, results(moth.compile))
    end)

    it("knows no value of a captured tensor that it has changed", function()
        for _, read in ipairs {
            function(t) return t[1] end, function(t) return t:item() end, function(t) return t:totable() end,
            function(t) return t < 3 end, tostring,
        } do
            local count = moth.zeros(1)
            local f = moth.compile(function(x)
                count:add_(1)
                read(count)
                return x
            end)
            support.refuses("value not known while tracing", f, moth.ones(2))
            assert.are.same({ 0 }, count:totable())
        end
    end)

    it("does not read a tensor with requires_grad after changing it", function()
        local w = moth.tensor({ 2 }):requires_grad_()
        local function halve() moth.no_grad(function() w:mul_(0.5) end) end
        local reads = moth.compile(function(x)
            halve()
            return (x * w):sum()
        end)
        support.refuses("mul: the traced function has changed this tensor with requires_grad in place", reads,
            moth.ones(3))
        local changes_last = moth.compile(function(x)
            local y = (x * w):sum()
            halve()
            return y
        end)
        assert.are.equal(6, changes_last(moth.ones(3)):item())
        assert.are.same({ 1 }, w:totable())
    end)

    it("inlines compiled functions", function()
        local inner = moth.compile(function(x) return x:exp() end)
        local outer = moth.compile(function(x) return inner(x) + 1 end)
        local x = moth.tensor({ 1, 2 }):requires_grad_()
        outer(x):sum():backward()
        assert.are.same((x:detach():exp()):totable(), x.grad:totable())
    end)

    it("falls back to the exact number of rows", function()
        local traces = 0
        local f = moth.compile(function(x)
            traces = traces + 1
            return x:matmul(x:T()), x[2]
        end)
        for _ = 1, 2 do
            for _, rows in ipairs { 3, 4 } do
                local x = moth.arange(rows * 2):reshape(rows, 2)
                local product, row = f(x)
                assert.are.same(x:matmul(x:T()):totable(), product:totable())
                assert.are.same({ 3, 4 }, row:totable())
            end
        end
        assert.are.equal(3, traces)
        local captured = moth.ones(4, 2)
        local g = moth.compile(function(x) return x + captured end)
        assert.are.same({ { 2, 2 }, { 2, 2 }, { 2, 2 }, { 2, 2 } }, g(moth.ones(4, 2)):totable())
        assert.are.same({ 4, 2 }, g(moth.ones(1, 2)).shape)
        local fine, message = pcall(g, moth.ones(3, 2))
        assert.is_false(fine)
        assert.matches("compile_spec.lua:%d+: add: shapes must agree", message)
    end)

    it("says that values are not known while tracing", function()
        local function trial(f)
            local fine, message = pcall(moth.compile(f), moth.ones(3))
            assert.is_false(fine)
            assert.matches("compile_spec.lua:%d+: .*value not known while tracing", message)
        end
        trial(function(x) return x:item() end)
        trial(function(x) return x:totable() end)
        trial(function(x) return x[1] end)
        trial(function(x) return x:sum() < 1 end)
        trial(function(x) return tostring(x) end)
        trial(function(x) return moth.tensor(x) end)
        trial(function(x) return x:backward() end)
    end)

    it("raises what the function raises", function()
        local thrown = {}
        local fine, caught = pcall(moth.compile(function() error(thrown) end), moth.ones(2))
        assert.is_false(fine)
        assert.are.equal(thrown, caught)
        local f = moth.compile(function(x, bad)
            if bad then
                error("bad")
            end
            return x
        end)
        assert.has_error(function() f(moth.ones(2), true) end)
        assert.are.same({ 1, 1 }, f(moth.ones(2)):totable())
        assert.is_true((moth.ones(1):requires_grad_() * 2).requires_grad)
        assert.are.equal(4, (moth.ones(2) * 2):sum():item()) -- no trace is left open
    end)

    it("refuses what it cannot take", function()
        assert.matches("must be a function; got nil", fails(function() moth.compile() end))
        assert.matches("unknown option", fails(function() moth.compile(print, { trainning = true }) end))
        assert.matches("training must be a boolean", fails(function() moth.compile(print, { training = 1 }) end))
        local f = moth.compile(function(x) return x end)
        assert.matches("argument #1 of a compiled function.*got table", fails(function() f({}) end))
        assert.matches("argument #2 of a compiled function.*got function", fails(function() f(nil, print) end))
        local g = moth.compile(function() return {} end)
        assert.matches("result #1 of a compiled function.*got table", fails(function() g() end))
        local w = moth.ones(2):requires_grad_() * 2
        local h = moth.compile(function(x) return x * w end)
        local fine, message = pcall(h, moth.ones(2))
        assert.is_false(fine)
        assert.matches("compile_spec.lua:%d+: mul: .*recorded gradient comes from outside", message)
    end)

    it("cannot be left by a yield", function()
        local thread = coroutine.wrap(function() return pcall(moth.compile(coroutine.yield), moth.ones(2)) end)
        local fine, message = thread()
        assert.is_false(fine)
        assert.matches("yield", message)
        assert.are.equal(4, (moth.ones(2) * 2):sum():item())
    end)

    it("runs in coroutines", function()
        local f = moth.compile(function(x) return x * 2 end)
        local thread = coroutine.wrap(function()
            coroutine.yield(f(moth.ones(2)):sum():item())
            coroutine.yield(f(moth.ones(3)):sum():item())
        end)
        assert.are.equal(4, thread())
        assert.are.equal(8, f(moth.ones(4)):sum():item())
        assert.are.equal(6, thread())
    end)

    it("leaks nothing through symbolic tensors that get out", function()
        local kept
        local f = moth.compile(function(x)
            kept = x * 2
            return x
        end)
        f(moth.ones(2))
        f = nil -- luacheck: ignore
        collectgarbage()
        assert.matches("value not known", fails(function() kept:item() end))
        assert.matches("symbolic float32 %(batch,%)", tostring(kept))
        assert.are.same({ "symbolic" }, { tostring(kept + 1):match("^%w+") })
    end)
end)

local moth = require "moth"
local support = require "tests.spec.support"
local close, fails = support.close, support.fails

local function leaf(values)
    return moth.tensor(values):requires_grad_()
end

describe("backward", function()
    it("adds up over uses and calls", function()
        local x = leaf({ 1, 2, 3 });
        (x * x + 2 * x):sum():backward()
        close({ 4, 6, 8 }, x.grad:totable(), 0, "gradient")
        x:sum():backward()
        close({ 5, 7, 9 }, x.grad:totable(), 0, "sum of two calls")
        x:zero_grad()
        assert.is_nil(x.grad)
        x:sum():backward()
        x.grad = nil
        assert.is_nil(x.grad)
    end)

    it("starts from a gradient of its own", function()
        local w = moth.tensor({ 1, 2 }):requires_grad_();
        (w * w):backward(moth.tensor({ 1, 10 }))
        assert.are.same({ 2, 40 }, w.grad:totable())
        w:zero_grad()
        w:backward(moth.tensor({ 3, 4 }))
        assert.are.same({ 3, 4 }, w.grad:totable())
        local m = moth.ones(2, 3):requires_grad_()
        local g = moth.arange(6):reshape(2, 3);
        (m:T() * m:T()):backward(g:T())
        assert.are.same((g * 2):totable(), m.grad:totable())
        local y = w * 2
        assert.matches("float32 of shape %(2,%); got %(3,%)", fails(function() y:backward(moth.ones(3)) end))
        assert.matches("float32 of shape", fails(function() y:backward(moth.ones(2, { dtype = "int32" })) end))
    end)

    it("goes through views and broadcasting", function()
        local x = leaf({ { 1, 2 }, { 3, 4 } });
        (x[1] * 2 + x:T()[1] * 3):sum():backward()
        close({ { 5, 2 }, { 3, 0 } }, x.grad:totable(), 0, "views")
        local b = leaf({ 1, 2 });
        (b:expand(3, 2) * moth.arange(3):unsqueeze(2)):sum():backward()
        close({ 6, 6 }, b.grad:totable(), 0, "expand")
    end)

    it("gives the gradient of a tie to the first", function()
        local x = leaf({ 2, 2, 1 })
        x:max():backward()
        close({ 1, 0, 0 }, x.grad:totable(), 0, "max")
        local a, b = leaf({ 1 }), leaf({ 1 })
        a:maximum(b):sum():backward()
        assert.are.equal(1, a.grad[1])
        assert.are.equal(0, b.grad and b.grad[1] or 0)
    end)

    it("reaches leaves only where it should", function()
        local x, y = leaf({ 1, 2 }), leaf({ 3, 4 });
        (x * y:detach()):sum():backward()
        close({ 3, 4 }, x.grad:totable(), 0, "x")
        assert.is_nil(y.grad)
        local z = moth.no_grad(function() return x * 2 end)
        assert.is_false(z.requires_grad)
        assert.is_true((x * 2).requires_grad)
        assert.is_false((x * 2):detach().requires_grad)
        assert.is_false(x:gt(0).requires_grad)
        assert.is_false(x:argmax().requires_grad)
    end)

    it("passes through a chain of 100000 steps", function()
        local x = leaf(1)
        local y = x
        for _ = 1, 100000 do
            y = y + 0
        end
        y:backward()
        assert.are.equal(1, x.grad:item())
    end)

    it("refuses what has no gradient", function()
        local x = leaf({ 1, 2 })
        assert.matches("needs one value; got %(2,%)", fails(function() (x * 2):backward() end))
        assert.matches("does not depend on a tensor with requires_grad", fails(function() moth.ones(1):backward() end))
        local y = (x * x):sum()
        y:backward()
        assert.matches("freed by an earlier backward", fails(function() y:backward() end))
    end)

    it("of a gradient is not supported", function()
        local x = leaf({ 1, 2 });
        (x * x):sum():backward()
        assert.is_false(x.grad.requires_grad)
        assert.matches("second derivatives", fails(function() x.grad:sum():backward() end))
    end)
end)

describe("requires_grad_", function()
    it("is for float leaves", function()
        assert.matches("only float32", fails(function() moth.zeros(2, { dtype = "int32" }):requires_grad_() end))
        local y = leaf({ 1 }) * 2
        assert.matches("computed from others", fails(function() y:requires_grad_() end))
        assert.matches("boolean expected", fails(function() moth.zeros(2):requires_grad_(1) end))
        assert.is_false(leaf({ 1 }):requires_grad_(false).requires_grad)
    end)
end)

describe("no_grad", function()
    it("passes arguments and results", function()
        assert.are.same({ 1, nil, 3, n = 3 }, table.pack(moth.no_grad(function(...) return ... end, 1, nil, 3)))
    end)

    it("ends with an error too, and nests", function()
        local x = leaf({ 1 })
        assert.has_error(function() moth.no_grad(function() error("stop") end) end)
        assert.is_true((x * 2).requires_grad)
        moth.no_grad(function()
            pcall(moth.no_grad, function() error("stop") end)
            assert.is_false((x * 2).requires_grad)
        end)
        local thrown = {}
        local _, caught = pcall(moth.no_grad, function() error(thrown) end)
        assert.are.equal(thrown, caught)
        assert.matches("function expected, got no value", fails(function() moth.no_grad() end))
    end)

    it("cannot be left by a yield", function()
        local thread = coroutine.create(function() moth.no_grad(coroutine.yield) end)
        local fine, message = coroutine.resume(thread)
        assert.is_false(fine)
        assert.matches("yield", message)
        assert.is_true((leaf({ 1 }) * 2).requires_grad)
    end)
end)

describe("in-place changes", function()
    it("of leaves need no_grad", function()
        local w = leaf({ 1, 2 })
        assert.matches("only inside no_grad", fails(function() w:add_(1) end))
        assert.matches("only inside no_grad", fails(function() w[1] = 3 end))
        moth.no_grad(function() w:sub_(0.5) end)
        close({ 0.5, 1.5 }, w:totable(), 0, "step")
        assert.is_true(w.requires_grad);
        (w * w):sum():backward()
        close({ 1, 3 }, w.grad:totable(), 0, "gradient")
    end)

    it("of saved values are found in backward", function()
        local x, w = moth.tensor({ 1, 2 }), leaf({ 3, 4 })
        local y = (x * w):sum()
        x:add_(1)
        assert.matches("input 1 of 'mul' was changed in place", fails(function() y:backward() end))
        local z = (x + w):sum()
        x:add_(1)
        z:backward()
        close({ 1, 1 }, w.grad:totable(), 0, "a sum needs no values")
    end)

    it("are recorded", function()
        local w = leaf({ 1, 2, 3 })
        local y = w * 1
        y:mul_(w):add_(1)
        y[{ { 1, 2 } }] = w[{ { 2, 3 } }] * 10
        close({ 20, 30, 10 }, y:totable(), 0, "value")
        y:sum():backward()
        close({ 0, 10, 16 }, w.grad:totable(), 0, "gradient")
    end)

    it("make a constant tensor part of the graph", function()
        local w, t = leaf({ 1, 2 }), moth.zeros(2, 2)
        t[1] = w
        t:add_(w)
        assert.is_true(t.requires_grad)
        t:sum():backward()
        close({ 3, 3 }, w.grad:totable(), 0, "gradient")
    end)

    it("of what others see are refused where a gradient is recorded", function()
        local w = leaf({ 1, 2 })
        local y = w * 1
        local view = y[{ { 1, 1 } }]
        assert.matches("memory is shared", fails(function() y:add_(1) end))
        assert.matches("memory is shared", fails(function() view:add_(1) end))
        local t = moth.zeros(2)
        local part = t[{ { 1, 1 } }]
        assert.matches("memory is shared", fails(function() part:add_(w[{ { 1, 1 } }]) end))
    end)

    it("copy_ copies", function()
        local w, t = leaf({ 1, 2 }), moth.zeros(2)
        local u = w * 2
        t:copy_(u)
        moth.no_grad(function() u:zero_() end)
        close({ 2, 4 }, t:totable(), 0, "value")
        t:sum():backward()
        close({ 2, 2 }, w.grad:totable(), 0, "gradient")
        local c = w * 3
        c:fill_(1)
        assert.is_false(c.requires_grad)
    end)
end)

describe("gradcheck", function()
    it("accepts right gradients", function()
        moth.seed(5)
        assert.is_true(moth.gradcheck(function(x) return (x:exp() * x):sum(1) end, moth.randn(3, 4)) < 1e-3)
        assert.is_true(moth.gradcheck(function(x) return x:matmul(x:T()):tanh() end, moth.randn(3, 4)) < 1e-3)
        assert.is_true(moth.gradcheck(function(x) return x * 2 end, moth.tensor(3)) < 1e-3)
        assert.are.equal(0, moth.gradcheck(function(x) return x * 2 end, moth.zeros(0)))
    end)

    it("finds wrong ones", function()
        assert.is_true(moth.gradcheck(function(x) return x:detach() * x end, moth.tensor({ 1, 2 })) > 0.4)
        assert.is_true(moth.gradcheck(function(x) return x:detach() * 1 + 0 * x end, moth.tensor({ 1, 2 })) > 0.4)
    end)

    it("leaves its argument alone", function()
        local x = leaf({ 1, 2 })
        moth.gradcheck(function(y) return y * y end, x)
        assert.is_nil(x.grad)
    end)

    it("refuses what it cannot check", function()
        local x = moth.ones(2)
        assert.matches("must be a function; got 3", fails(function() moth.gradcheck(3, x) end))
        assert.matches("float32 tensor; got nil", fails(function() moth.gradcheck(print) end))
        assert.matches("must return a float32 tensor", fails(function() moth.gradcheck(function() end, x) end))
        assert.matches("float32 tensor", fails(function() moth.gradcheck(print, x:to("int32")) end))
        assert.matches("step must be above 0", fails(function() moth.gradcheck(print, x, { step = 0 }) end))
        assert.matches("unknown option", fails(function() moth.gradcheck(print, x, { steps = 1 }) end))
    end)
end)

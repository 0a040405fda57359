local moth = require "moth"
local support = require "tests.spec.support"

local golden = dofile("tests/golden/tensors.lua")
local close, fails = support.close, support.fails

local function same(expected, tensor)
    assert.are.same(expected, tensor:totable())
end

-- The code of a golden case as a function of its inputs.
local function compile(case)
    return assert(load("local moth, a, b, c = ... return " .. case.code))
end

local function waves(shape)
    local n, values = 1, {}
    for _, size in ipairs(shape) do
        n = n * size
    end
    for i = 1, n do
        values[i] = math.sin((i - 1) * 0.61 + 0.3)
    end
    return moth.tensor(values):reshape(shape)
end

describe("operations agree with numpy and jax:", function()
    for i, case in ipairs(golden.differentiable) do
        it(("%s (%d)"):format(case.code, i), function()
            local inputs = {}
            for k, values in ipairs(case.inputs) do
                inputs[k] = moth.tensor(values):requires_grad_()
            end
            local y = compile(case)(moth, table.unpack(inputs))
            assert.are.same(case.shape, y.shape)
            assert.are.equal("float32", y.dtype)
            close(case.y, y:totable(), 1e-6, "value")
            local loss = (y * waves(case.shape)):sum()
            loss:backward()
            for k, input in ipairs(inputs) do
                close(case.dx[k], input.grad:totable(), 2e-6, "gradient " .. k)
            end
        end)
    end
    for i, case in ipairs(golden.plain) do
        it(("%s (%d, %s)"):format(case.code, i, case.dtype), function()
            local inputs = {}
            for k, values in ipairs(case.inputs) do
                inputs[k] = moth.tensor(values, { dtype = case.types[k] })
            end
            local y = compile(case)(moth, table.unpack(inputs))
            assert.are.same(case.shape, y.shape)
            assert.are.equal(case.dtype, y.dtype)
            close(case.y, y:totable(), case.dtype == "float32" and 1e-6 or 0, "value")
        end)
    end
end)

describe("constructors", function()
    it("take nested lists, numbers and tensors", function()
        local t = moth.tensor({ { 1, 2 }, { 3, 4 } })
        assert.are.same({ 2, 2 }, t.shape)
        assert.are.equal("float32", t.dtype)
        assert.are.equal(1.5, moth.tensor(1.5):item())
        assert.are.same({}, moth.tensor(1.5).shape)
        assert.are.same({ 0 }, moth.tensor({}).shape)
        assert.are.same({ 2, 0 }, moth.tensor({ {}, {} }).shape)
        local copy = moth.tensor(t, { dtype = "int32" })
        copy[1][1] = 7
        same({ { 7, 2 }, { 3, 4 } }, copy)
        same({ { 1, 2 }, { 3, 4 } }, t)
        assert.is_true(moth.tensor({ 1 }, { requires_grad = true }).requires_grad)
    end)

    it("fill", function()
        same({ { 0, 0, 0 }, { 0, 0, 0 } }, moth.zeros(2, 3))
        same({ { 1, 1 } }, moth.ones({ 1, 2 }, { dtype = "uint8" }))
        assert.are.equal("uint8", moth.ones(1, 2, { dtype = "uint8" }).dtype)
        same({ 2.5, 2.5 }, moth.full({ 2 }, 2.5))
        same({ { 1, 0 }, { 0, 1 } }, moth.eye(2))
        assert.are.same({}, moth.zeros({}).shape)
        assert.are.same({ 3, 0, 2 }, moth.zeros(3, 0, 2).shape)
    end)

    it("make ranges that include their ends", function()
        same({ 1, 2, 3, 4, 5 }, moth.arange(1, 5))
        same({ 1, 2, 3 }, moth.arange(3))
        same({ 5, 3, 1 }, moth.arange(5, 1, -2))
        same({}, moth.arange(2, 1))
        assert.are.equal(11, #moth.arange(0, 1, 0.1))
        assert.are.equal(4, #moth.arange(0, 0.3, 0.1))
        same({ 0, 1, 2 }, moth.arange(0, 2, 1, { dtype = "int32" }))
        close({ 0.1, 0.2125, 0.325, 0.4375, 0.55, 0.6625, 0.775, 0.8875, 1.0 }, moth.linspace(0.1, 1.0, 9):totable(),
            1e-7, "linspace")
        same({ 3 }, moth.linspace(3, 4, 1))
        same({}, moth.linspace(3, 4, 0))
        assert.are.equal(0.7, moth.tensor(moth.linspace(0, 0.7, 8)[8]):item() + 0.7 - moth.tensor(0.7):item())
    end)

    it("draw the same numbers for the same seed", function()
        moth.seed(1671)
        local a, b = moth.rand(100), moth.randn(3, 5)
        local c, d = moth.randint(0, 9, { 50 }), moth.permutation(20)
        moth.seed(1671)
        same(a:totable(), moth.rand(100))
        same(b:totable(), moth.randn(3, 5))
        same(c:totable(), moth.randint(0, 9, { 50 }))
        same(d:totable(), moth.permutation(20))
        assert.are_not.same(a:totable(), moth.rand(100):totable())
        assert.are.equal("int32", c.dtype)
        assert.are.same({ 2, 3 }, moth.randint(1, 6, 2, 3).shape)
        local sorted = d:totable()
        table.sort(sorted)
        same(sorted, moth.arange(20))
    end)

    it("draw numbers of the promised distribution", function()
        moth.seed(3)
        local u, n, r = moth.rand(100000), moth.randn(100000), moth.randint(-1, 1, { 30000 })
        assert.is_true(u:min():item() >= 0 and u:max():item() < 1)
        assert.is_true(math.abs(u:mean():item() - 0.5) < 0.005 and math.abs(u:var():item() - 1 / 12) < 0.002)
        assert.is_true(math.abs(n:mean():item()) < 0.015 and math.abs(n:std():item() - 1) < 0.01)
        for value = -1, 1 do
            local share = r:eq(value):sum():item() / 30000
            assert.is_true(math.abs(share - 1 / 3) < 0.015)
        end
    end)

    it("refuse what does not fit", function()
        assert.matches("dimension 2: a list of 2 entries expected",
            fails(function() moth.tensor({ { 1, 2 }, { 3 } }) end))
        assert.matches("element 2: number expected, got string", fails(function() moth.tensor({ 1, "2" }) end))
        assert.matches("2.5 does not fit int32", fails(function() moth.tensor({ 2.5 }, { dtype = "int32" }) end))
        assert.matches("256 does not fit uint8", fails(function() moth.full({ 1 }, 256, { dtype = "uint8" }) end))
        assert.matches("nan does not fit int32", fails(function() moth.full({ 1 }, 0 / 0, { dtype = "int32" }) end))
        assert.matches('dtype "float32"', fails(function() moth.zeros(2, { dtype = "double" }) end))
        assert.matches("did you mean 'dtype'", fails(function() moth.zeros(2, { dype = "int32" }) end))
        assert.matches("option 'dtype': string expected, got number", fails(function() moth.ones(2, { dtype = 3 }) end))
        assert.matches("only float32", fails(function() moth.ones(2, { dtype = "int32", requires_grad = true }) end))
        assert.matches("at most 8", fails(function() moth.zeros(1, 1, 1, 1, 1, 1, 1, 1, 1) end))
        assert.matches("2^40", fails(function() moth.zeros(2 ^ 20, 2 ^ 21) end), 1, true)
        assert.matches("not enough memory", fails(function() moth.zeros(2 ^ 20, 2 ^ 19) end))
    end)
end)

describe("fields and values", function()
    local t = moth.tensor({ { 1, 2, 3 }, { 4, 5, 6 } })

    it("tell shape, type and length", function()
        assert.are.same({ 2, 3 }, t.shape)
        assert.are.same({ 2, 3 }, t:size())
        assert.are.equal(3, t:size(2))
        assert.are.equal(3, t:size(-1))
        assert.are.equal(2, #t)
        assert.are.equal(2, t:dim())
        assert.are.equal(6, t:numel())
        assert.are.equal("float32", t.dtype)
        assert.is_false(t.requires_grad)
        assert.is_nil(t.grad)
    end)

    it("name what does not exist", function()
        assert.matches("no field or method 'foo'", fails(function() return t.foo end))
        assert.matches("did you mean 'requires_grad'", fails(function() return t.reqires_grad end))
        assert.matches("did you mean 'shape'", fails(function() return t.hsape end))
        assert.matches("did you mean 'shape'", fails(function() return t.Shape end))
        assert.not_matches("did you mean", fails(function() return t[("x"):rep(300)] end))
        assert.matches("cannot be assigned", fails(function() t.shape = {} end))
    end)

    it("give Lua numbers of the right kind", function()
        assert.are.equal("float", math.type(t[1][2]))
        assert.are.equal("integer", math.type(t:to("int32")[1][2]))
        assert.are.equal("integer", math.type(t:to("uint8")[{ 2, 3 }]))
        assert.are.equal("integer", math.type(t:argmax():item()))
        assert.is_true(t:to("int32")[{ 2, 3 }] == 6)
        assert.are.equal("integer", math.type(t:to("int32"):totable()[1][1]))
        assert.matches("one element", fails(function() t:item() end))
    end)

    it("compare by identity, and single values by size", function()
        assert.is_false(t == t:clone())
        assert.is_true(t == t)
        assert.is_true(moth.tensor(1) < moth.tensor(2))
        assert.is_true(moth.tensor({ 2 }) <= 2)
        assert.is_true(1 < moth.tensor(2))
        assert.is_false(moth.tensor(0 / 0) < 1)
        local w = moth.ones(2):requires_grad_()
        w:sum():backward()
        assert.is_true(w.grad == w.grad)
        assert.matches("one element", fails(function() return t < 1 end))
        assert.matches("compare a tensor with", fails(function() return t < "x" end))
    end)

    it("refuse arithmetic with what is no number", function()
        assert.matches("arithmetic on a tensor and a string", fails(function() return t + "1" end))
        assert.matches("arithmetic on a table and a tensor", fails(function() return {} * t end))
        assert.matches("arithmetic on a tensor and a nil", fails(function() return t - nil end))
        assert.matches("shapes must agree.*%(2, 3%) and %(2,%)", fails(function() return t + moth.ones(2) end))
    end)
end)

describe("functions and methods", function()
    it("are the same", function()
        local t = moth.tensor({ { 1, 2 }, { 3, 5 } })
        close(t:exp():totable(), moth.exp(t):totable(), 0, "exp")
        same({ 4, 7 }, moth.sum(t, 1))
        same({ { 1, 2, 3, 5 } }, moth.reshape(t, 1, 4))
        local values, positions = moth.max(t, 2)
        same({ 2, 5 }, values)
        same({ 2, 2 }, positions)
        assert.matches("^bad argument #1 to 'exp' %(tensor expected, got number%)$", fails(function() moth.exp(3) end))
    end)

    it("of losses and activations compute on tensors", function()
        same({ 0, 2 }, moth.activations.relu(moth.tensor({ -1, 2 })))
        assert.are.equal(2.5, moth.losses.mse(moth.tensor({ { 1, 2 } }), moth.tensor({ { 0, 4 } })):item())
    end)

    it("clamp on one side", function()
        local t = moth.tensor({ -2, 0.5, 2 })
        same({ 0, 0.5, 2 }, t:clamp(0))
        same({ -2, 0, 0 }, t:clamp(nil, 0))
    end)

    it("have no negative powers of integers in integers", function()
        local i = moth.tensor({ -2, 0, 3 }, { dtype = "int32" })
        assert.matches("integers have no power %-2", fails(function() return 2 ^ i end))
        assert.matches("integers have no power %-2", fails(function() return moth.ones(4, 3):to("int32") ^ i end))
        assert.matches("pow_: the result is float32", fails(function() i:pow_(-1) end))
        same({ 4, 0, 9 }, i:pow_(2))
        same({}, moth.zeros(0, { dtype = "int32" }) ^ moth.zeros(0, { dtype = "int32" }))
    end)

    it("set requires_grad as a field too", function()
        local t = moth.ones(2)
        t.requires_grad = true
        assert.is_true(t.requires_grad)
        t.requires_grad = false
        assert.is_false(t.requires_grad)
        assert.matches("only float32", fails(function() moth.ones(2):to("int32").requires_grad = true end))
    end)
end)

describe("text", function()
    it("is aligned and can be pasted back", function()
        assert.are.equal("{{ 1.0000, -2.5000},\n { 3.2500,  4.0000}}  float32 (2, 2)",
            tostring(moth.tensor({ { 1, -2.5 }, { 3.25, 4 } })))
        assert.are.equal("{  1,  20, 300}  int32 (3,)",
            tostring(moth.tensor({ 1, 20, 300 }, { dtype = "int32" })))
        assert.are.equal("{{  0, 255}}  uint8 (1, 2)",
            tostring(moth.tensor({ { 0, 255 } }, { dtype = "uint8" })))
        assert.are.equal("{{{1, 2},\n  {3, 4}},\n\n {{5, 6},\n  {7, 8}}}  float32 (2, 2, 2)",
            tostring(moth.arange(8):reshape(2, 2, 2)))
    end)

    it("shows single values, empty tensors and what is not finite", function()
        assert.are.equal("2.5000  float32 ()", tostring(moth.tensor(2.5)))
        assert.are.equal("{}  float32 (0, 3)", tostring(moth.zeros(0, 3)))
        assert.are.equal("{ nan,  inf, -inf,    1}  float32 (4,)",
            tostring(moth.tensor({ 0 / 0, math.huge, -math.huge, 1 })))
        assert.are.equal("{0, 0}  float32 (2,)", tostring(moth.tensor({ -0.0, 0 })))
    end)

    it("uses exponents for what is very large or small", function()
        assert.are.equal("{1.2346e+08, 1.0000e+00}  float32 (2,)", tostring(moth.tensor({ 123456789.5, 1 })))
        assert.are.equal("{1.5000e-05, 2.0000e-03}  float32 (2,)", tostring(moth.tensor({ 1.5e-5, 2e-3 })))
    end)

    it("is abridged", function()
        assert.are.equal("{   1,    2,    3, ..., 1998, 1999, 2000}  float32 (2000,)", tostring(moth.arange(2000)))
        local text = tostring(moth.zeros(100, 100))
        assert.is_true(#text < 400)
        local lines = select(2, text:gsub("\n", ""))
        assert.are.equal(6, lines)
        assert.is_true(#tostring(moth.zeros(9, 9, 9, 9, 9, 9, 9, 9)) < 20000)
    end)

    it("leaves a blank line beside what is left out", function()
        local text = tostring(moth.zeros(7, 1, 200))
        assert.matches("\n\n %.%.%.,\n\n {{0", text)
    end)

    it("breaks long rows at 80 columns", function()
        for line in tostring(moth.rand(300)):gmatch("[^\n]+") do
            assert.is_true(#line <= 100, line)
        end
    end)

    it("shows views as they are seen", function()
        assert.are.equal("{{1, 3},\n {2, 4}}  float32 (2, 2)", tostring(moth.tensor({ { 1, 2 }, { 3, 4 } }):T()))
    end)
end)

describe("indexing", function()
    it("gives views that share memory", function()
        local t = moth.zeros(3, 4)
        local row = t[2]
        row[3] = 5
        assert.are.equal(5, t[{ 2, 3 }])
        t[{ {}, { 1, 2 } }]:fill_(1)
        same({ { 1, 1, 0, 0 }, { 1, 1, 5, 0 }, { 1, 1, 0, 0 } }, t)
        same({}, t[{ { 2, 1 } }])
    end)

    it("assigns numbers and tensors, with broadcasting", function()
        local t = moth.zeros(2, 3, { dtype = "int32" })
        t[1] = 7
        t[{ 2, { 2, 3 } }] = moth.tensor({ 8, 9 }, { dtype = "int32" })
        same({ { 7, 7, 7 }, { 0, 8, 9 } }, t)
        t[{ {}, 1 }] = moth.tensor(3, { dtype = "uint8" })
        same({ { 3, 7, 7 }, { 3, 8, 9 } }, t)
        local f = moth.zeros(2, 2)
        f[{}] = moth.tensor({ 1, 2 })
        same({ { 1, 2 }, { 1, 2 } }, f)
        f[{ 1 }] = f[{ 2 }] * 2
        same({ { 2, 4 }, { 1, 2 } }, f)
    end)

    it("copies what overlaps", function()
        local t = moth.arange(5)
        t[{ { 2, 5 } }] = t[{ { 1, 4 } }]
        same({ 1, 1, 2, 3, 4 }, t)
    end)

    it("refuses positions outside", function()
        local t = moth.zeros(2, 3)
        assert.matches("position 3 is outside 1..2 %(dim 1 of shape %(2, 3%)%)", fails(function() return t[3] end))
        assert.matches("position 0 is outside", fails(function() return t[0] end))
        assert.matches("position %-1 is outside", fails(function() return t[{ 1, -1 }] end))
        assert.matches("range to 4 is outside", fails(function() return t[{ {}, { 1, 4 } }] end))
        assert.matches("range from 0 is outside", fails(function() return t[{ { 0, 1 } }] end))
        assert.matches("range to 1 is outside", fails(function() return t[{ {}, { 3, 1 } }] end))
        assert.matches("3 positions for a tensor of shape", fails(function() return t[{ 1, 1, 1 }] end))
        assert.matches("{first, last}", fails(function() return t[{ { 1 } }] end))
        assert.matches("must be an integer, got 1.5", fails(function() return t[1.5] end))
        assert.matches("indexed by a position", fails(function() return t[true] end))
        assert.matches("2.5 does not fit", fails(function() t:to("int32")[1][1] = 2.5 end))
        assert.matches("convert it with to", fails(function() t:to("int32")[1] = moth.ones(3) end))
        assert.matches("only new dims", fails(function() t[1] = moth.ones(2) end))
        assert.matches("number or a tensor can be assigned", fails(function() t[1] = "x" end))
    end)

    it("picks by position", function()
        local t = moth.arange(6):reshape(2, 3)
        assert.matches("position 4 is outside 1..3", fails(function() t:index(2, { 4 }) end))
        assert.matches("entry 1: position expected, got 0", fails(function() t:index(2, { 0 }) end))
        assert.matches("list or tensor of positions", fails(function() t:index(2) end))
        same({ { 3, 3 }, { 6, 6 } }, t:index(2, moth.tensor({ 3, 3 })))
    end)
end)

describe("in place", function()
    it("changes memory that views see", function()
        local t = moth.ones(2, 2)
        local view = t[1]
        assert.is_true(t:add_(1) == t)
        same({ 2, 2 }, view)
        t:mul_(moth.tensor({ 1, 3 })):sub_(1):clamp_(0, 4)
        same({ { 1, 4 }, { 1, 4 } }, t)
        t:zero_()
        same({ 0, 0 }, view)
        t:copy_(moth.tensor({ 5, 6 }))
        same({ { 5, 6 }, { 5, 6 } }, t)
        t:fill_(2):sqrt_():square_()
        close({ { 2, 2 }, { 2, 2 } }, t:totable(), 1e-6, "sqrt and square")
    end)

    it("keeps the type", function()
        local i = moth.tensor({ 1, 2 }, { dtype = "int32" })
        i:add_(1):mul_(2)
        assert.are.equal("int32", i.dtype)
        same({ 4, 6 }, i)
        assert.matches("the result is float32, the tensor int32", fails(function() i:mul_(0.5) end))
        assert.matches("integer expected, got 0.5", fails(function() i:fill_(0.5) end))
    end)

    it("keeps the shape", function()
        local t = moth.ones(3)
        assert.matches("result has shape %(2, 3%)", fails(function() t:add_(moth.ones(2, 3)) end))
        assert.matches("only new dims", fails(function() t:copy_(moth.ones(2)) end))
        local e = moth.ones(1):expand(3)
        assert.matches("dimension 1 is expanded", fails(function() e:add_(1) end))
    end)
end)

describe("conversion", function()
    it("cuts off fractions and refuses what does not fit", function()
        same({ 1, -1 }, moth.tensor({ 1.9, -1.9 }):to("int32"))
        assert.matches("does not fit uint8", fails(function() moth.tensor({ 256 }):to("uint8") end))
        assert.matches("does not fit uint8", fails(function() moth.tensor({ -1 }):to("uint8") end))
        assert.matches("does not fit int32", fails(function() moth.tensor({ 2 ^ 31 }):to("int32") end))
        assert.matches("does not fit int32", fails(function() moth.tensor({ 0 / 0 }):to("int32") end))
        local t = moth.ones(2)
        assert.is_true(t:to("float32") == t)
    end)

    it("of parts", function()
        local t = moth.arange(6):reshape(2, 3)
        local parts = t:split({ 1, 0, 2 }, 2)
        assert.are.equal(3, #parts)
        assert.are.same({ 2, 0 }, parts[2].shape)
        assert.matches("do not make 2 equal parts", fails(function() t:split(2, 2) end))
        assert.matches("add up to 2 of 3", fails(function() t:split({ 1, 1 }, 2) end))
        assert.matches("size from 0 to 2 expected, got 3", fails(function() t:split({ 1, 3 }, 2) end))
        same({ { 0, 0, 1 }, { 1, 0, 0 } }, moth.one_hot({ 2, 0 }, 3))
        same({ { 0, 0, 1 }, { 1, 0, 0 } }, moth.one_hot(moth.tensor({ 2, 0 }), 3))
        assert.matches("whole numbers from 0, got 0.5", fails(function() moth.one_hot(moth.tensor({ 0.5 }), 3) end))
        assert.matches("entry 2: class id expected, got %-1", fails(function() moth.one_hot({ 1, -1 }, 3) end))
        same({ 1, 3, 6, 10 }, moth.tensor({ { 1, 2 }, { 3, 4 } }):cumsum())
        same({ 10, 9, 7, 4 }, moth.tensor({ { 1, 2 }, { 3, 4 } }):cumsum(nil, true))
        assert.matches("class 7 in row 1 is outside 0..6",
            fails(function() moth.one_hot(moth.tensor({ 7 }, { dtype = "int32" }), 7) end))
    end)

    it("has defined results for empty tensors", function()
        assert.are.equal(0, moth.zeros(0):sum():item())
        assert.are.equal(1, moth.zeros(0):prod():item())
        same({ 0, 0 }, moth.zeros(0, 2):sum(1))
        same({ { 0, 0 }, { 0, 0 } }, moth.zeros(2, 0):matmul(moth.zeros(0, 2)))
        assert.has_error(function() moth.zeros(0):max() end)
        assert.has_error(function() moth.zeros(0, 2):argmax(1) end)
    end)
end)

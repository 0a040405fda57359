require "moth"
local options = require "moth.options"
local support = require "tests.spec.support"

local spec = {
    name = "layers.Thing",
    positionals = 3,
    { "units", "integer", required = true, min = 1 },
    { "activation", "string|function" },
    { "rate", "number", min = 0, below = 1 },
    { "use_bias", "boolean", default = true },
    { "learning_rate", "number", default = 0.5, above = 0 },
    { "input_shape", "table" },
    { "mode", { "auto", "min", "max" }, default = "auto" },
    { "even", function(value)
        if math.type(value) == "integer" and value % 2 == 0 then
            return value
        end
        return nil, "an even number"
    end },
}

local function read(args)
    local values = options.read(spec, args)
    return values
end

local function refusal(args)
    return support.refusal(read, args)
end

describe("options.read", function()
    it("takes positionals, names and a bare value", function()
        assert.are.equal(3, read({ 3 }).units)
        assert.are.equal(3, read({ units = 3 }).units)
        assert.are.equal(3, read(3).units)
        assert.are.equal("relu", read({ 3, "relu" }).activation)
        assert.are.equal(0.25, read({ 3, nil, 0.25 }).rate)
    end)

    it("fills in defaults and leaves out what has none", function()
        local values = read { 3 }
        assert.is_true(values.use_bias)
        assert.are.equal("auto", values.mode)
        assert.is_nil(values.activation)
    end)

    it("keeps false apart from absent", function()
        assert.is_false(read({ 3, use_bias = false }).use_bias)
    end)

    it("turns 3.0 into 3 where an integer is wanted", function()
        assert.are.equal("integer", math.type(read({ 3.0 }).units))
        assert.are.equal("float", math.type(read({ 3, rate = 0.0 }).rate))
    end)

    it("knows aliases of names", function()
        assert.are.equal(0.25, read({ 3, lr = 0.25 }).learning_rate)
        assert.are.same({ 784 }, read({ 3, input_dim = 784 }).input_shape)
    end)

    it("takes an object for a bare positional", function()
        local object = setmetatable({}, { __name = "layer" })
        local values = options.read({ name = "Wrap", { "layer", "any" } }, object)
        assert.are.equal(object, values.layer)
    end)

    it("reads positionals as a shape", function()
        local shape = { name = "Input", shape = "shape", { "shape", "table" }, { "name", "string" } }
        assert.are.same({ 28, 28, 1 }, options.read(shape, { 28, 28, 1 }).shape)
        assert.are.same({ 28, 28 }, options.read(shape, { { 28, 28 }, name = "x" }).shape)
        assert.are.same({ 784 }, options.read(shape, 784).shape)
        assert.is_nil(options.read(shape, {}).shape)
    end)

    it("refuses wrong values in one line with the caller's position", function()
        assert.are.equal('layers.Thing: units must be an integer; got "a"', refusal { "a" })
        assert.are.equal("layers.Thing: units must be an integer; got 2.5", refusal { 2.5 })
        assert.are.equal("layers.Thing: units must be at least 1; got 0", refusal { 0 })
        assert.are.equal("layers.Thing: units is missing", refusal {})
        assert.are.equal("layers.Thing: units is missing", refusal(nil))
        assert.are.equal("layers.Thing: units is given twice", refusal { 3, units = 3 })
        assert.are.equal("layers.Thing: learning_rate is given twice", refusal { 3, lr = 1, learning_rate = 1 })
        assert.are.equal("layers.Thing: takes at most 3 values by position; got 4", refusal { 3, "relu", 0, 4 })
        assert.are.equal("layers.Thing: rate must be at least 0 and below 1; got 1", refusal { 3, rate = 1 })
        assert.are.equal("layers.Thing: rate must be a number, not nan; got nan", refusal { 3, rate = 0 / 0 })
        assert.are.equal("layers.Thing: learning_rate must be above 0; got 0", refusal { 3, lr = 0 })
        assert.are.equal("layers.Thing: use_bias must be a boolean; got 1", refusal { 3, use_bias = 1 })
        assert.are.equal("layers.Thing: activation must be a string or a function; got a table",
            refusal { 3, activation = {} })
        assert.are.equal("layers.Thing: even must be an even number; got 3", refusal { 3, even = 3 })
        assert.are.equal("layers.Thing: an option is named by a string; got the key 2.5", refusal { 3, [2.5] = 1 })
        assert.are.equal("layers.Thing: an option is named by a string; got the key 0", refusal { 3, [0] = 1 })
    end)

    it("lists what is known and suggests the nearest", function()
        assert.are.equal('layers.Thing: unknown option "activatoin"; did you mean "activation"? known: units, '
            .. "activation, rate, use_bias, learning_rate, input_shape, mode, even", refusal { 3, activatoin = "relu" })
        assert.is_truthy(refusal({ 3, zzzzzz = 1 }):find('unknown option "zzzzzz"; known: units', 1, true))
        assert.are.equal('layers.Thing: mode must be one of "auto", "min", "max" (did you mean "max"?); got "maxx"',
            refusal { 3, mode = "maxx" })
    end)

    it("keeps unprintable text out of messages", function()
        local text = refusal { 3, ["a\nb\27[31m\255"] = 1 }
        assert.is_truthy(text:find([["a\x0ab\x1b[31m\xff"]], 1, true))
        assert.is_nil(text:find("[%c\128-\255]"))
        assert.is_true(#refusal { ("x"):rep(10000) } < 200)
    end)
end)

describe("options.nearest", function()
    it("finds small mistakes, swapped letters and beginnings", function()
        local known = { "accuracy", "precision", "recall", "f1" }
        assert.are.equal("accuracy", options.nearest("acuracy", known))
        assert.are.equal("recall", options.nearest("reclal", known))
        assert.are.equal("precision", options.nearest("prec", known))
        assert.are.equal("accuracy", options.nearest("ACCURACY", known))
        assert.is_nil(options.nearest("batch", known))
        assert.is_nil(options.nearest(("a"):rep(1000), known))
    end)
end)

describe("options.full_name", function()
    it("completes aliases, behind val_ too", function()
        assert.are.equal("accuracy", options.full_name("acc"))
        assert.are.equal("val_accuracy", options.full_name("val_acc"))
        assert.are.equal("val_digit_accuracy", options.full_name("val_digit_acc"))
        assert.are.equal("digit_accuracy", options.full_name("digit_acc"))
        assert.are.equal("random_uniform", options.full_name("uniform"))
        assert.are.equal("val_loss", options.full_name("val_loss"))
        assert.are.equal(7, options.full_name(7))
    end)
end)

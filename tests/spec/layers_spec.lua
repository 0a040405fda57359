-- What every layer must do in a model, whatever it computes (golden_spec has its values): the promised shape, the same
-- numbers eagerly and in a plan, the same bits on any number of threads, a file that brings it back, a row in the
-- summary; and refusals that say what is wrong.
local moth = require "moth"
local support = require "tests.spec.support"
local layers = moth.layers

local ROWS = 37

-- Values that depend on the place only.
local function wave(shape, phase)
    local n = 1
    for _, size in ipairs(shape) do
        n = n * size
    end
    return (moth.arange(1, n) * 0.37 + phase):sin():reshape(table.unpack(shape))
end

-- A case: samples of which shapes go in, what comes out, and a function from symbols to the symbol of the layer.
local cases = {}
local function case(name, shapes, out, make)
    cases[#cases + 1] = { name = name, shapes = shapes, out = out, make = make }
end

local V, W, S, IMAGE = { 4 }, { 3, 4 }, { 5, 4 }, { 6, 5, 3 }

case("Add", { V, V, V }, { 4 }, layers.Add {})
case("Add with broadcasting", { V, W }, { 3, 4 }, layers.Add {})
case("Subtract", { V, V }, { 4 }, layers.Subtract {})
case("Multiply", { V, V }, { 4 }, layers.Multiply {})
case("Average", { V, V, V }, { 4 }, layers.Average {})
case("Maximum", { V, V }, { 4 }, layers.Maximum {})
case("Minimum", { V, V }, { 4 }, layers.Minimum {})
case("Concatenate", { V, { 2 } }, { 6 }, layers.Concatenate {})
case("Concatenate of steps", { W, S }, { 8, 4 }, layers.Concatenate { axis = 1 })
case("Dot", { V, V }, { 1 }, layers.Dot { 1, normalize = true })
case("Dot of matrices", { W, { 4, 2 } }, { 3, 2 }, layers.Dot { { 2, 1 } })
case("ReLU", { W }, { 3, 4 }, layers.ReLU { max_value = 0.9, negative_slope = 0.1 })
case("LeakyReLU", { V }, { 4 }, layers.LeakyReLU {})
case("ELU", { V }, { 4 }, layers.ELU { 0.5 })
case("PReLU", { IMAGE }, { 6, 5, 3 }, layers.PReLU { alpha_initializer = "random_normal", shared_axes = { 1, 2 } })
case("Softmax", { W }, { 3, 4 }, layers.Softmax { 1 })
case("Softmax of two axes", { W }, { 3, 4 }, layers.Softmax { axis = { 1, 2 } })

-- The layer between others that are trained: its gradient is part of what is compared.
local function model_of(entry)
    local inputs, hidden = {}, {}
    for k, shape in ipairs(entry.shapes) do
        inputs[k] = moth.Input(shape)
        hidden[k] = layers.Dense { shape[#shape] } (inputs[k])
    end
    local made = entry.fresh or layers[entry.make.type](entry.make.config)
    local y = made(#hidden == 1 and hidden[1] or hidden)
    return moth.Model { inputs = inputs, outputs = layers.Dense { 2 } (layers.Flatten {} (y)) }, y, made
end

local function data_of(entry)
    local x = {}
    for k, shape in ipairs(entry.shapes) do
        x[k] = wave({ ROWS, table.unpack(shape) }, k)
    end
    return x, wave({ ROWS, 2 }, 0.2)
end

local function trained(entry, threads)
    moth.threads(threads)
    moth.seed(7)
    local model = model_of(entry)
    local x, y = data_of(entry)
    model:compile { optimizer = "adam", loss = "mse" }
    model:fit(x, y, { batch_size = 16, epochs = 2, verbose = 0 })
    local facts = { support.flat(model:predict(x):totable()) }
    for _, weight in ipairs(model:get_weights()) do
        facts[#facts + 1] = support.flat(weight:totable())
    end
    return facts
end

describe("the layer", function()
    local before = moth.threads()
    after_each(function()
        moth.threads(before)
    end)

    for _, entry in ipairs(cases) do
        describe(entry.name, function()
            it("gives the promised shape, eagerly what a plan gives, and a row in the summary", function()
                moth.seed(3)
                local model, y, made = model_of(entry)
                assert.same(entry.out, y.shape)
                local x = data_of(entry)
                support.close(model:predict(x):totable(), model(x):totable(), 1e-6, "eager")
                local found
                for _, row in ipairs(model:rows()) do
                    found = found or row.name == made.name and row
                end
                assert.equal(made.type, found.type)
            end)

            it("trains to the same bits on 1, 2 and 3 threads", function()
                local one = trained(entry, 1)
                assert.same(one, trained(entry, 2))
                assert.same(one, trained(entry, 3))
            end)

            it("comes back from a file", function()
                local model = model_of(entry)
                local x = data_of(entry)
                local path = os.tmpname()
                model:save(path)
                local loaded = moth.load_model(path)
                os.remove(path)
                assert.same(model:predict(x):totable(), loaded:predict(x):totable())
                assert.equal(model:to_json(), loaded:to_json())
            end)
        end)
    end
end)

describe("refused:", function()
    local a, b, steps = moth.Input { 4 }, moth.Input { 3 }, moth.Input { 2, 4 }
    local function refused(what, pattern, f)
        it(what, function()
            local message = support.fails(f)
            assert(message:find(pattern, 1, true), ("expected %q in: %s"):format(pattern, message))
        end)
    end

    refused("shapes that do not broadcast", "(batch, 4) and (batch, 3)", function() layers.Add {} ({ a, b }) end)
    refused("a third input of Subtract", "takes 2 tensors, got 3", function() layers.Subtract {} ({ a, a, a }) end)
    refused("one input of Dot", "takes 2 tensors, got 1", function() layers.Dot { 1 } (a) end)
    refused("different numbers of rows", "the same number of rows, got (2, 3) and (1, 3)",
        function() layers.Add {} ({ moth.ones(2, 3), moth.ones(1, 3) }) end)
    refused("an option of Add", "unknown option 'axis'", function() layers.Add { axis = 1 } end)
    refused("the batch as axis", "axis 0", function() layers.Concatenate { axis = 0 } ({ a, a }) end)
    refused("shapes that do not join", "agree in all dimensions but axis 1",
        function() layers.Concatenate {} ({ a, steps }) end)
    refused("Dot without axes", "option 'axes' is missing", function() layers.Dot {} end)
    refused("axes of different sizes", "must have the same size", function() layers.Dot { { 1, 1 } } ({ a, steps }) end)
    refused("three axes", "takes 2 integers, got 3", function() layers.Dot { { 1, 1, 1 } } end)
    refused("a negative slope", "at least 0", function() layers.LeakyReLU { -1 } end)
    refused("an axis that is not there", "axis 3", function() layers.PReLU { shared_axes = { 3 } } (steps) end)
    refused("no axis", "at least one", function() layers.Softmax { axis = {} } (a) end)
end)

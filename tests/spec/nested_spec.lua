-- Models inside models: their layers are used once more and shared. Values follow from the definition.
local moth = require "moth"
local support = require "tests.spec.support"
local has = support.has
local layers = moth.layers

local function names(model)
    local list = {}
    for i, layer in ipairs(model.layers) do
        list[i] = layer.name
    end
    return list
end

local path = os.tmpname()
teardown(function() os.remove(path) end)

describe("a model called on a symbol", function()
    local function base()
        return moth.Sequential { layers.Dense { 3, activation = "tanh", input_shape = { 4 } }, layers.Dense { 2 } }
    end

    it("computes what it computes by itself, with the same weights", function()
        local inner, x = base(), moth.Input { 4 }
        local outer = moth.Model { inputs = x, outputs = layers.Activation "relu" (inner(x)) }
        local data = moth.randn(5, 4)
        support.close(inner:predict(data):relu():totable(), outer:predict(data):totable(), 1e-6, "outputs")
        inner:set_weights { moth.ones(4, 3), moth.zeros(3), moth.ones(3, 2), moth.zeros(2) }
        support.close(inner:predict(data):relu():totable(), outer:predict(data):totable(), 1e-6, "after a change")
        assert.equal(inner:count_params(), (outer:count_params()))
    end)

    it("does not stand inside a layer", function()
        has(support.fails(function() layers.TimeDistributed { base(), input_shape = { 5, 4 } } end),
            "TimeDistributed: takes a layer; a model cannot stand inside one")
        has(support.fails(function() layers.Bidirectional(base()) end), "Bidirectional: takes a layer; a model cannot")
    end)

    it("does not lend its layers to wrappers, which would not share their weights", function()
        local used = base().layers[1]
        has(support.fails(function() layers.TimeDistributed(used) end),
            "TimeDistributed: " .. used.name .. " has weights already, which it would not share")
    end)

    it("counts as much as by itself", function()
        local inner = base()
        local outer = moth.Sequential { inner, layers.Dense { 1 } }
        local total, trainable = outer:count_params()
        assert.same({ 26, 26 }, { total, trainable })
        assert.matches("Total params: 26\nTrainable params: 26\n", require("moth.summary").text(outer))
    end)

    it("goes on with the same draws when it was read from a file", function()
        local x, y = moth.rand(8, 4), moth.rand(8, 1)
        local inner = moth.Sequential { layers.Dense { 8, input_shape = { 4 } }, layers.Dropout(0.5) }
        local outer = moth.Sequential { inner, layers.Dense { 1 } }
        outer:compile { optimizer = "sgd", loss = "mse" }
        outer:train_on_batch(x, y)
        outer:save(path)
        local again = moth.load_model(path)
        assert.equal(outer:train_on_batch(x, y).loss, again:train_on_batch(x, y).loss)
    end)

    it("learns inside another model, unless it is frozen", function()
        local inner, x = base(), moth.Input { 4 }
        local outer = moth.Model { x, layers.Dense { 1 } (inner(x)) }
        local function step()
            local before = inner:get_weights()
            outer:compile { optimizer = "sgd", loss = "mse" }
            outer:train_on_batch(moth.ones(2, 4), moth.full({ 2, 1 }, 9))
            return (inner:get_weights()[1] - before[1]):abs():sum():item()
        end
        assert.is_true(step() > 0)
        inner.trainable = false
        assert.is_false(inner.trainable)
        assert.equal(0, step())
        local _, trained = outer:count_params()
        assert.equal(3, trained)
    end)

    it("may be used several times, with several inputs and outputs", function()
        local a, b = moth.Input { 2 }, moth.Input { 2 }
        local both = moth.Model {
            inputs = { a, b },
            outputs = { layers.Lambda(function(u, v) return u + v end)(a, b), layers.Activation "relu" (a) },
        }
        local x, y = moth.Input { 2 }, moth.Input { 2 }
        local sum, positive = both(x, y)
        local again = both(sum, y)
        local outer = moth.Model { inputs = { x, y }, outputs = { again, positive } }
        local one, two = outer(moth.tensor { { 1, -2 } }, moth.tensor { { 10, 20 } })
        assert.same({ { 21, 38 } }, one:totable())
        assert.same({ { 1, 0 } }, two:totable())
    end)

    it("draws anew for each use of its dropout", function()
        local drop = moth.Sequential { layers.Dropout { 0.5, input_shape = { 64 } } }
        local x = moth.Input { 64 }
        local outer = moth.Model { x, { drop(x), drop(x) } }
        local p, q = outer(moth.ones(1, 64), { training = true })
        assert.is_true(p:eq(q):all():item() == 0)
    end)

    it("gives layers that bear the same name without being told so a new one", function()
        local x = moth.Input { 4 }
        local first, second = base(), base()
        local outer = moth.Model { x, layers.Dense { 1 } (second(layers.Dense { 4 } (first(x)))) }
        local seen = {}
        for _, name in ipairs(names(outer)) do
            assert.is_nil(seen[name], name)
            seen[name] = true
        end
        assert.equal(6, #outer.layers)
        outer:compile { optimizer = "adam", loss = "mse" }
        outer:fit(moth.randn(8, 4), moth.randn(8, 1), { verbose = 0 })
        outer:save(path)
        local data = moth.randn(3, 4)
        assert.same(outer:predict(data):totable(), moth.load_model(path):predict(data):totable())
    end)

    it("is told what does not fit", function()
        local inner = base()
        has(support.fails(function() inner(moth.Input { 5 }) end), "expected input of shape (batch, 4)")
        has(support.fails(function() inner(moth.Input { 4 }, moth.Input { 4 }) end), "has 1 inputs, got 2")
        has(support.fails(function() moth.Sequential {} (moth.Input { 4 }) end), "no layers")
    end)
end)

describe("a Sequential in another", function()
    it("adds its layers", function()
        local inner = moth.Sequential { moth.Input { 4 }, layers.Dense { 3 } }
        local outer = moth.Sequential { inner, layers.Dense { 2 }, moth.Sequential { layers.Dense { 1 } } }
        assert.is_true(outer.built)
        assert.equal(4 * 3 + 3 + 3 * 2 + 2 + 2 + 1, (outer:count_params()))
        local data = moth.randn(2, 4)
        local by_hand = data
        for _, layer in ipairs(outer.layers) do
            by_hand = layer(by_hand)
        end
        support.close(by_hand:totable(), outer:predict(data):totable(), 1e-6, "outputs")
        local again = moth.model_from_json(outer:to_json())
        assert.same(names(outer), names(again))
    end)

    it("is told what cannot be added", function()
        local x = moth.Input { 2 }
        local graph, chain = moth.Model { x, layers.Dense { 1 } (x) }, moth.Sequential { layers.Dense { 1 } }
        has(support.fails(function() moth.Sequential { graph } end), "another Sequential")
        has(support.fails(function() chain:add(chain) end), "another Sequential")
        has(support.fails(function() chain:add(moth.Sequential {}) end), "another Sequential with layers")
    end)
end)

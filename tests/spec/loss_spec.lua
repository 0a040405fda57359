-- What training minimizes and reports: losses and metrics written in Lua, penalties. Values follow from the definition.
local moth = require "moth"
local support = require "tests.spec.support"
local layers = moth.layers
local fails, line, column, net = support.refuses, support.line, support.column, support.classifier
local sample, same_weights, quiet = support.samples, support.same_weights, support.quiet

describe("losses and metrics in Lua", function()
    local function squares(y_true, y_pred)
        return (y_true - y_pred):square():mean(-1)
    end

    it("train as the engine's own do", function()
        moth.seed(5)
        local x, y = sample(20)
        local first = net { loss = "mse" }
        local list = {}
        for i, loss in ipairs { "mse", squares, function(a, b) return (a - b):square():mean() end } do
            local model = net { loss = loss, metrics = { "mae", function(a, b) return (a - b):abs():mean(-1) end } }
            model:set_weights(first:get_weights())
            model:fit(x, y, quiet { epochs = 5, batch_size = 5, shuffle = false })
            list[i] = model
        end
        for i = 2, 3 do
            for k, w in ipairs(list[1]:get_weights()) do
                assert((w - list[i]:get_weights()[k]):abs():max():item() < 1e-5)
            end
            local want, got = list[1]:evaluate(x, y), list[i]:evaluate(x, y)
            assert.near(want.loss, got.loss, 1e-5)
            assert.near(got.mae, got["function"], 1e-6)
        end
    end)

    it("take sample weights when they give a value for each sample", function()
        local x, y = moth.ones(4, 1), column { 1, 2, 3, 4 }
        local weights = { 1, 0, 2, 0.5 }
        assert.near(27 / 4, line(0, { loss = squares }):evaluate(x, y, { sample_weight = weights }).loss, 1e-5)
    end)

    it("may use a matrix of the whole batch, full or partial", function()
        moth.seed(6)
        local x, y = sample(10)
        local function pairs_loss(_, p)
            return p:matmul(p:T()):mean()
        end
        local model = net { loss = pairs_loss }
        local function expected(from, to)
            return pairs_loss(nil, model(x:slice(1, from, to))):item()
        end
        local want = (4 * expected(1, 4) + 4 * expected(5, 8) + 2 * expected(9, 10)) / 10
        assert.near(want, model:evaluate(x, y, { batch_size = 4 }).loss, 1e-5)
        local history = model:fit(x, y, quiet { batch_size = 4, epochs = 3, shuffle = false }).history.loss
        assert(history[3] < history[1])
    end)

    it("raise at their own line, and leave the weights alone", function()
        local x, y = sample(8)
        local cases = {
            { "own fault", function() error("own fault") end },
            { "value not known while tracing", function(_, p) return p[1][1] > 0 and p:sum() or p:mean() end },
            { "returned 0 values where 1 is wanted", function() end },
            { "must return tensors or numbers", function() return "loss" end },
            { "must give a value for each sample", function(_, p) return p:slice(1, 1, 2):sum(-1) end },
            { "no field or method 'nothing'", function(a) return a.nothing + 1 end },
        }
        for _, case in ipairs(cases) do
            local model = net { loss = case[2] }
            local before = model:get_weights()
            fails(case[1], function() model:fit(x, y, quiet {}) end)
            assert(same_weights(before, model:get_weights()))
        end
        fails("own metric", function()
            net { metrics = { function() error("own metric") end } }:fit(x, y, quiet {})
        end)
    end)

    it("cannot train the model that they belong to", function()
        local x, y = sample(8)
        local model
        local function inside(f)
            model = net { loss = function(a, b)
                f()
                return (a - b):square():mean(-1)
            end }
            return function() model:fit(x, y, quiet {}) end
        end
        fails("compile: the model is just being traced", inside(function() model:compile { loss = "mse" } end))
        fails("predict: the model is just being traced", inside(function() model:predict(x) end))
        fails("evaluate: the model is just being traced", inside(function() model:evaluate(x, y) end))
        fails("reset: the model is just being traced", inside(function() model:reset(1) end))
        model:compile { loss = "mse" }
        model:fit(x, y, quiet {})
    end)
end)

describe("penalties", function()
    it("are part of the loss, divided by the rows only where they are of activations", function()
        local model = moth.Sequential { layers.Dense { 1, use_bias = false, input_shape = { 1 },
            kernel_regularizer = moth.regularizers.l2 { 0.1 }, activity_regularizer = moth.regularizers.l1 { 0.5 } } }
        model:set_weights { { { 3 } } }
        model:compile { optimizer = moth.optimizers.SGD { lr = 0 }, loss = "mse", metrics = { "mse" } }
        local x, y = column { 1, 2, 3, 4 }, column { 3, 6, 9, 12 }
        local want = 0.1 * 9 + 0.5 * (3 + 6 + 9 + 12) / 4
        for _, size in ipairs { 4, 100 } do
            local score = model:evaluate(x, y, { batch_size = size })
            assert.near(want, score.loss, 1e-5)
            assert.near(0, score.mse, 1e-9)
        end
        -- batches of 3 and 1: the penalty of a batch counts as often as it has samples
        want = 0.9 + (3 * 0.5 * 18 / 3 + 0.5 * 12) / 4
        assert.near(want, model:evaluate(x, y, { batch_size = 3 }).loss, 1e-5)
        assert.near(want, model:fit(x, y, quiet { batch_size = 3, shuffle = false }).history.loss[1], 1e-5)
    end)
end)
